//! One JSON line per request. Each core writes its lines into memory of its own and hands them over in blocks to a
//! thread that owns the file; what does not fit the queue is dropped and counted, and a request never waits for a
//! disk. Queries are left out, since keys have been seen in them.

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use keytoll_domain::ids::KeyId;

use crate::answer::put_number;
use crate::core::RequestId;
use crate::fields::Fields;
use crate::identity::put_id;
use crate::options::AccessLog;
use crate::trace;

/// Blocks that wait for the disk.
const QUEUE_MAX: usize = 256;
/// A core's lines are handed over at this size, or at its next tick.
const BLOCK_BYTES: usize = 32 * 1024;

/// The beginning of a line, written when the answer's head is known.
pub(crate) struct Line(Vec<u8>);

/// What a line begins with.
pub(crate) struct Beginning<'a> {
    pub id: RequestId,
    /// `2026-11-21T12:00:00.123456Z`
    pub at: &'a [u8],
    pub client: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    /// Code of a refusal or failure, else empty.
    pub code: &'static str,
    pub key: Option<KeyId>,
    /// The request's, for its trace.
    pub fields: &'a Fields,
}

/// What is known when a request has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending {
    pub micros: u32,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub aborted: bool,
}

/// What the thread is told.
enum Entry {
    Block(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The log, as every thread sees it.
#[derive(Clone)]
pub(crate) struct Log {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

/// One core's end of the log.
pub(crate) struct CoreLog {
    log: Option<Log>,
    block: RefCell<Vec<u8>>,
    lines: Cell<u64>,
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
        let (queue, entries) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_blocks(&entries, out))?;
        Ok(Some(Self { queue, dropped: Arc::default() }))
    }

    /// Waits until what was handed over is in the file, or until patience ends. Blocks.
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

impl Line {
    pub(crate) fn begin(beginning: &Beginning<'_>) -> Self {
        let mut out = Vec::with_capacity(384);
        beginning.write(&mut out);
        Self(out)
    }
}

impl Beginning<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        for part in
            [b"{\"at\":\"", self.at, b"\",\"request_id\":\"", &self.id.text(), b"\",\"client\":\""]
        {
            out.extend_from_slice(part);
        }
        for part in [self.client, "\",\"method\":\"", self.method, "\",\"path\":"] {
            out.extend_from_slice(part.as_bytes());
        }
        put_text(out, self.path);
        out.extend_from_slice(b",\"status\":");
        put_number(out, self.status.into());
        if let Some(key) = self.key {
            put_id(out, b",\"key\":\"key_", key.to_bytes());
            out.push(b'"');
        }
        if let Some(trace) = trace::id(self.fields) {
            for part in [b",\"trace_id\":\"", trace, b"\""] {
                out.extend_from_slice(part);
            }
        }
        if !self.code.is_empty() {
            for part in [",\"code\":\"", self.code, "\""] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }
}

impl CoreLog {
    pub(crate) fn new(log: Option<Log>) -> Self {
        Self { log, block: RefCell::default(), lines: Cell::new(0) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// Ends a line.
    #[expect(clippy::needless_pass_by_value, reason = "a line ends once")]
    pub(crate) fn end(&self, line: Line, end: &Ending) {
        self.add(end, |block| block.extend_from_slice(&line.0));
    }

    /// A line of a request that ended with its beginning.
    pub(crate) fn whole(&self, line: &Beginning<'_>, end: &Ending) {
        self.add(end, |block| line.write(block));
    }

    fn add(&self, end: &Ending, begin: impl FnOnce(&mut Vec<u8>)) {
        let mut block = self.block.borrow_mut();
        if block.capacity() == 0 {
            block.reserve(BLOCK_BYTES + 1024);
        }
        begin(&mut block);
        block.extend_from_slice(b",\"ms\":");
        put_number(&mut block, u64::from(end.micros / 1000));
        let rest = end.micros % 1000;
        block.push(b'.');
        for digit in [rest / 100, rest / 10 % 10, rest % 10] {
            block.push(b'0' + u8::try_from(digit).unwrap_or(0));
        }
        for (name, value) in [(",\"bytes_in\":", end.bytes_in), (",\"bytes_out\":", end.bytes_out)]
        {
            block.extend_from_slice(name.as_bytes());
            put_number(&mut block, value);
        }
        block.extend_from_slice(if end.aborted { b",\"aborted\":true}\n" } else { b"}\n" });
        self.lines.set(self.lines.get() + 1);
        if block.len() >= BLOCK_BYTES {
            drop(block);
            self.hand_over();
        }
    }

    /// Gives the lines so far to the thread that writes them.
    pub(crate) fn hand_over(&self) {
        let Some(log) = &self.log else { return };
        let lines = self.lines.take();
        if lines > 0 {
            let block = std::mem::take(&mut *self.block.borrow_mut());
            if log.queue.try_send(Entry::Block(block)).is_err() {
                log.dropped.fetch_add(lines, Ordering::Relaxed);
            }
        }
    }
}

/// Lines of requests that ended with their core.
impl Drop for CoreLog {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// A JSON string. Paths are mostly plain, but those that were refused may hold anything.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("writing to memory cannot fail");
    }
}

/// Ends when the last sender is gone.
fn write_blocks(entries: &Receiver<Entry>, mut out: Box<dyn Write + Send>) {
    let mut failed = false;
    while let Ok(entry) = entries.recv() {
        match entry {
            Entry::Block(block) => {
                note(&mut failed, out.write_all(&block).and_then(|()| out.flush()));
            }
            Entry::Flush(done) => {
                let _ = done.try_send(());
            }
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
