//! Requests at a fixed rate, whatever the other side does. A request's time runs from the moment it was due, so
//! that a stall counts for every request that it held up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::arguments::{Arguments, Outcome};
use crate::client::{Client, Read, requests};
use crate::poll::Poll;

/// Requests of the first moments are not counted: connections are being made.
const WARM_UP: Duration = Duration::from_millis(500);
/// After the last request was due, late answers are waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

struct Load {
    start: Instant,
    clients: Vec<Client>,
    /// When the request under way was due, by connection.
    due: Vec<Option<Duration>>,
    free: VecDeque<usize>,
    micros: Vec<u128>,
    bad: u64,
}

#[expect(clippy::disallowed_methods, reason = "a client that measures time reads the clock")]
pub(crate) fn run(given: &Arguments) -> Outcome {
    let to: SocketAddr = given.number("to")?;
    let rate: u32 = given.number("rate")?;
    let seconds: u32 = given.number("seconds")?;
    let connections = given.number_or("connections", 64)?;
    let requests = requests(given.text("to")?, given.text("path")?, given.text("keys")?)?;
    let mut poll = Poll::new()?;
    let mut clients = Vec::new();
    for number in 0..connections {
        clients.push(Client::connect(to, &poll, number)?);
    }
    let mut load = Load {
        start: Instant::now(),
        due: vec![None; clients.len()],
        free: (0..clients.len()).collect(),
        clients,
        micros: Vec::new(),
        bad: 0,
    };
    let total = rate * seconds;
    let due_at = |request: u32| Duration::from_secs(1) * request / rate;
    let mut sent = 0;
    let mut ready = Vec::new();
    let end = due_at(total) + PATIENCE;
    while sent < total || load.free.len() < load.clients.len() {
        let mut now = load.start.elapsed();
        while sent < total && due_at(sent) <= now {
            let Some(client) = load.free.pop_front() else { break };
            load.clients[client].send(&requests[sent as usize % requests.len()])?;
            load.due[client] = Some(due_at(sent));
            sent += 1;
            now = load.start.elapsed();
        }
        if now > end {
            load.bad += u64::try_from(load.clients.len() - load.free.len())?;
            break;
        }
        let wait = if sent < total && !load.free.is_empty() {
            due_at(sent).saturating_sub(now)
        } else {
            PATIENCE
        };
        poll.wait(wait, &mut ready)?;
        for client in ready.iter().copied() {
            load.take_answer(client)?;
        }
    }
    load.print(total)
}

impl Load {
    fn take_answer(&mut self, client: usize) -> Outcome {
        let status = match self.clients[client].read() {
            Read::More => return Ok(()),
            Read::Answer(status) => status,
            Read::Broken => return Err("a connection broke".into()),
        };
        let due = self.due[client].take().ok_or("an answer without a request")?;
        self.free.push_back(client);
        if status != 200 {
            self.bad += 1;
        } else if due >= WARM_UP {
            self.micros.push(self.start.elapsed().saturating_sub(due).as_micros());
        }
        Ok(())
    }

    fn print(mut self, total: u32) -> Outcome {
        self.micros.sort_unstable();
        let last = self.micros.len().checked_sub(1).ok_or("no answer at all")?;
        let at = |per_1000: usize| self.micros[last * per_1000 / 1000];
        println!(
            "sent {total} bad {} p50 {} p90 {} p99 {} max {}",
            self.bad,
            at(500),
            at(900),
            at(990),
            self.micros[last]
        );
        Ok(())
    }
}
