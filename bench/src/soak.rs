//! As many calls as will go, of which some are given up: before the answer, within it, or within the request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::arguments::{Arguments, Outcome};
use crate::client::{Client, Read, requests};
use crate::poll::Poll;
use crate::random::Random;

/// How often the end of the run is looked for while nothing happens.
const TICK: Duration = Duration::from_millis(100);

struct Soak {
    to: SocketAddr,
    poll: Poll,
    clients: Vec<Client>,
    requests: Vec<Vec<u8>>,
    random: Random,
    drops_per_10_000: u64,
    sent: usize,
    dropped: u64,
    broken: u64,
    statuses: BTreeMap<u16, u64>,
}

#[expect(clippy::disallowed_methods, reason = "a run of some seconds reads the clock")]
pub(crate) fn run(given: &Arguments) -> Outcome {
    let to: SocketAddr = given.number("to")?;
    let seconds: u64 = given.number("seconds")?;
    let connections: usize = given.number_or("connections", 64)?;
    let mut soak = Soak {
        to,
        poll: Poll::new()?,
        clients: Vec::new(),
        requests: requests(given.text("to")?, given.text("path")?, given.text("keys")?)?,
        random: Random::new(7),
        drops_per_10_000: given.number_or("drops", 0)?,
        sent: 0,
        dropped: 0,
        broken: 0,
        statuses: BTreeMap::new(),
    };
    for number in 0..connections {
        soak.clients.push(Client::connect(to, &soak.poll, number)?);
        soak.send(number)?;
    }
    let start = Instant::now();
    let mut ready = Vec::new();
    while start.elapsed() < Duration::from_secs(seconds) {
        soak.poll.wait(TICK, &mut ready)?;
        for number in ready.iter().copied() {
            soak.take_answer(number)?;
        }
    }
    print!("sent {} dropped {} broken {}", soak.sent, soak.dropped, soak.broken);
    for (status, count) in &soak.statuses {
        print!(" status_{status} {count}");
    }
    println!();
    Ok(())
}

impl Soak {
    /// Sends the next request; with bad luck only half of it, or all of it and then goes away.
    fn send(&mut self, number: usize) -> Outcome {
        loop {
            let request = &self.requests[self.sent % self.requests.len()];
            self.sent += 1;
            let gives_up = self.random.chance(self.drops_per_10_000);
            let half = gives_up && self.random.chance(3_333);
            let bytes = if half { &request[..request.len() / 2] } else { &request[..] };
            let sent = self.clients[number].send(bytes);
            if sent.is_ok() && (!gives_up || (!half && self.random.chance(5_000))) {
                if gives_up {
                    // Gives up within the answer: after its first piece, whichever that is.
                    self.dropped += 1;
                    let _ = self.clients[number].stream.set_nonblocking(false);
                    let _ = std::io::Read::read(&mut self.clients[number].stream, &mut [0; 64]);
                    self.reconnect(number)?;
                    continue;
                }
                return Ok(());
            }
            if sent.is_ok() {
                self.dropped += 1;
            } else {
                self.broken += 1;
            }
            self.reconnect(number)?;
        }
    }

    fn reconnect(&mut self, number: usize) -> Outcome {
        self.clients[number] = Client::connect(self.to, &self.poll, number)?;
        Ok(())
    }

    fn take_answer(&mut self, number: usize) -> Outcome {
        match self.clients[number].read() {
            Read::More => return Ok(()),
            Read::Answer(status) => *self.statuses.entry(status).or_insert(0) += 1,
            Read::Broken => {
                self.broken += 1;
                self.reconnect(number)?;
            }
        }
        self.send(number)
    }
}
