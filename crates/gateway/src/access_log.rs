//! One JSON line per request, written by a thread of its own through a bounded queue. What does not fit is
//! dropped and counted; a request never waits for a disk. Queries are left out, since keys have been seen in them.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use http::Method;
use keytoll_domain::ids::KeyId;
use keytoll_domain::time::Timestamp;

use crate::core::RequestId;
use crate::options::AccessLog;

/// Lines that wait for the disk.
const QUEUE_MAX: usize = 8192;
/// How long a line waits for others; the queue holds what 160 000 requests a second make in this time.
const GATHER: Duration = Duration::from_millis(50);

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

/// What the thread is told.
enum Entry {
    Line(Line),
    Flush(SyncSender<()>),
}

#[derive(Clone)]
pub(crate) struct Log {
    queue: SyncSender<Entry>,
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
        if self.queue.try_send(Entry::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the lines of before are in the file, or until patience ends. Blocks.
    pub(crate) fn flush(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Entry::Flush(done)).is_ok() {
            let _ = written.recv_timeout(patience);
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Ends when the last sender is gone. Lines are gathered for a moment before they are written: waking this
/// thread for every request would cost the request more than writing its line.
fn write_lines(entries: &Receiver<Entry>, mut out: BufWriter<Box<dyn Write + Send>>) {
    let mut failed = false;
    let mut asked: Vec<SyncSender<()>> = Vec::new();
    while let Ok(first) = entries.recv() {
        if matches!(first, Entry::Line(_)) {
            std::thread::park_timeout(GATHER);
        }
        for entry in std::iter::once(first).chain(entries.try_iter()) {
            match entry {
                Entry::Line(line) => note(&mut failed, write_line(&mut out, &line)),
                Entry::Flush(done) => asked.push(done),
            }
        }
        note(&mut failed, out.flush());
        for done in asked.drain(..) {
            let _ = done.try_send(());
        }
    }
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
