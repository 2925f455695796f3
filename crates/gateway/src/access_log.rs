//! One JSON line per request, written by a thread of its own through a bounded queue. What does not fit is
//! dropped and counted; a request never waits for a disk. Queries are left out, since keys have been seen in them.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use http::Method;
use keytoll_domain::ids::KeyId;
use keytoll_domain::time::Timestamp;

use crate::core::RequestId;
use crate::options::AccessLog;

/// Lines that wait for the disk.
const QUEUE_MAX: usize = 8192;

#[derive(Debug)]
pub(crate) struct Line {
    pub id: RequestId,
    pub at: Timestamp,
    pub client: IpAddr,
    pub method: Method,
    pub path: String,
    pub status: u16,
    /// Code of a refusal or failure, else empty.
    pub code: &'static str,
    pub key: Option<KeyId>,
    pub micros: u32,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub aborted: bool,
}

#[derive(Clone)]
pub(crate) struct Log {
    queue: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Starts the thread; `None` when logging is off.
    pub(crate) fn start(target: &AccessLog) -> io::Result<Option<Self>> {
        let out: Box<dyn Write + Send> = match target {
            AccessLog::Off => return Ok(None),
            AccessLog::Stdout => Box::new(io::stdout()),
            AccessLog::File(path) => {
                Box::new(OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        let (queue, lines) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(&lines, BufWriter::with_capacity(64 * 1024, out)))?;
        Ok(Some(Self { queue, dropped: Arc::default() }))
    }

    pub(crate) fn write(&self, line: Line) {
        if self.queue.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Ends when the last sender is gone.
fn write_lines(lines: &Receiver<Line>, mut out: BufWriter<Box<dyn Write + Send>>) {
    let mut failed = false;
    loop {
        let line = match lines.try_recv() {
            Ok(line) => Some(line),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                note(&mut failed, out.flush());
                lines.recv().ok()
            }
        };
        let Some(line) = line else { break };
        note(&mut failed, write_line(&mut out, &line));
    }
    note(&mut failed, out.flush());
}

/// Says once that the log cannot be written.
fn note(failed: &mut bool, result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(_) if *failed => {}
        Err(error) => {
            *failed = true;
            tracing::error!(%error, "access log cannot be written");
        }
    }
}

fn write_line(out: &mut impl Write, line: &Line) -> io::Result<()> {
    let id = line.id.text();
    let id = std::str::from_utf8(&id).unwrap_or_default();
    write!(out, "{{\"at\":\"{}\",\"request_id\":\"{id}\",\"client\":\"{}\"", line.at, line.client)?;
    write!(out, ",\"method\":\"{}\",\"path\":", line.method)?;
    serde_json::to_writer(&mut *out, &line.path)?;
    write!(
        out,
        ",\"status\":{},\"ms\":{}.{:03}",
        line.status,
        line.micros / 1000,
        line.micros % 1000
    )?;
    write!(out, ",\"bytes_in\":{},\"bytes_out\":{}", line.bytes_in, line.bytes_out)?;
    if let Some(key) = line.key {
        write!(out, ",\"key\":\"{key}\"")?;
    }
    if !line.code.is_empty() {
        write!(out, ",\"code\":\"{}\"", line.code)?;
    }
    if line.aborted {
        out.write_all(b",\"aborted\":true")?;
    }
    out.write_all(b"}\n")
}
