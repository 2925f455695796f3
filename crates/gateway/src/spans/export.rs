//! The one task that sends spans to the collector. It waits for nobody but the collector, and nobody waits for it but
//! the end of the process, for a moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::options::OtlpOptions;
use super::{Pending, Span, encode};
use crate::tls::{ClientTls, ClientTlsOptions, TlsError};
use crate::upstream::{Failure, Upstream, once};

/// Longest wait of a span before it is sent.
const EXPORT_EVERY: Duration = Duration::from_secs(2);
/// Longest that one request to the collector may take.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// A batch is sent so often before it is dropped.
const ATTEMPTS_MAX: u32 = 5;
/// Longest that the end of the process waits for the last batches.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// The running task.
pub(crate) struct Export {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    pending: Arc<Pending>,
}

struct Exporter {
    pending: Arc<Pending>,
    target: Arc<Upstream>,
    /// The request's head up to its length.
    head: String,
    node: String,
    retry_wait: Duration,
    stop: watch::Receiver<bool>,
    /// The last batch did not arrive; that is said once.
    failing: bool,
}

/// Why a batch did not arrive.
enum Refused {
    Status(u16),
    Failure(Failure),
}

impl Export {
    pub(crate) fn start(
        options: &OtlpOptions,
        node: &str,
        pending: &Arc<Pending>,
        runtime: &Runtime,
    ) -> Result<Self, TlsError> {
        let mut target = options.target();
        if target.secure {
            target.tls = Some(ClientTls::load(&ClientTlsOptions::default(), &[b"http/1.1"])?);
        }
        let head = format!(
            "POST {}/v1/traces HTTP/1.1\r\nhost: {}\r\nuser-agent: keytoll/{}\r\n\
             connection: close\r\ncontent-type: application/json\r\n{}content-length: ",
            target.prefix,
            target.authority,
            env!("CARGO_PKG_VERSION"),
            options.header_lines,
        );
        let (stop, stopped) = watch::channel(false);
        let exporter = Exporter {
            pending: pending.clone(),
            target: Arc::new(target),
            head,
            node: node.to_owned(),
            retry_wait: options.retry_wait,
            stop: stopped,
            failing: false,
        };
        let task = runtime.spawn(exporter.run());
        Ok(Self { stop, task, pending: pending.clone() })
    }

    /// Sends what is left, or drops it when the collector is not there in time.
    pub(crate) async fn finish(mut self) {
        self.stop.send_replace(true);
        if timeout(FLUSH_MAX, &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the collector of traces did not take the last spans in time");
        }
        let left = std::mem::take(&mut *self.pending.lock()).len();
        self.pending.count_dropped(left);
    }
}

impl Exporter {
    async fn run(mut self) {
        loop {
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => {}
                () = self.pending.full.notified() => {}
                () = sleep(EXPORT_EVERY) => {}
            }
            let stopping = self.is_stopping();
            loop {
                let batch = self.pending.take();
                if batch.is_empty() {
                    break;
                }
                self.export(&batch).await;
                if self.failing && self.is_stopping() {
                    return;
                }
            }
            if stopping {
                return;
            }
        }
    }

    /// Nobody is left to say so either.
    fn is_stopping(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    async fn export(&mut self, batch: &[Span]) {
        let body = encode::request(&self.node, batch);
        let mut request = format!("{}{}\r\n\r\n", self.head, body.len()).into_bytes();
        request.extend_from_slice(&body);
        let mut wait = self.retry_wait;
        for attempt in 1..=ATTEMPTS_MAX {
            let refused = match self.send(&request).await {
                Ok(()) => {
                    if std::mem::replace(&mut self.failing, false) {
                        tracing::info!("the collector takes spans again");
                    }
                    return;
                }
                Err(refused) => refused,
            };
            self.note(&refused);
            if attempt == ATTEMPTS_MAX || !refused.may_pass() || self.is_stopping() {
                break;
            }
            tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => {}
                () = sleep(wait) => {}
            }
            wait *= 2;
        }
        self.pending.count_dropped(batch.len());
    }

    async fn send(&self, request: &[u8]) -> Result<(), Refused> {
        let asked = timeout(REQUEST_MAX, once::ask(&self.target, request, REQUEST_MAX)).await;
        match asked.unwrap_or(Err(Failure::Timeout)) {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(Refused::Status(status)),
            Err(failure) => Err(Refused::Failure(failure)),
        }
    }

    /// Says once that the collector does not take spans.
    fn note(&mut self, refused: &Refused) {
        if std::mem::replace(&mut self.failing, true) {
            return;
        }
        let collector = &*self.target.authority;
        match refused {
            Refused::Status(status) => {
                tracing::warn!(collector, status, "the collector refuses spans");
            }
            Refused::Failure(failure) => {
                tracing::warn!(collector, %failure, "no spans reach the collector");
            }
        }
    }
}

impl Refused {
    /// Whether the same batch may be taken later; the protocol names the statuses.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status, 429 | 502 | 503 | 504),
            Self::Failure(_) => true,
        }
    }
}
