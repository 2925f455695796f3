//! Requests compared with the document of their product, before anything is charged for them.
//!
//! The checks are compiled elsewhere, for it may take seconds, and arrive in a [`Slot`] that the routes hold. The
//! listener waits for the first ones; until later ones have come, requests pass. While new ones are made, the old
//! ones hold if they are about the same operations.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use keytoll_apispec::{Body, BodyNeeded, RequestParts, Validators, Violation};
use keytoll_domain::catalog::{Operation, Product, Validation};
use keytoll_domain::ids::ProductId;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::chunked::write_size;
use crate::options::Bounds;
use crate::ports::KeySource;
use crate::request::{BodyFraming, Request};
use crate::server::deadline::Deadline;
use crate::server::source::{Fill, Source};
use crate::upstream::Failure;

/// How soon a source that was out is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// How long the listener waits at start for the checks of products that refuse what is against their document.
const FIRST_CHECKS_WAIT: Duration = Duration::from_secs(20);

/// The code in the access log of a call that passed although it is against the document.
pub(crate) const VIOLATES: &str = "request_violates_spec";

type Slot = Arc<ArcSwapOption<Validators>>;

/// A version of a product: `None` = the default one.
type VersionId = (ProductId, Option<Box<str>>);

/// What a route does with requests that are against the document.
pub(crate) struct Checks {
    pub enforce: bool,
    slot: Slot,
}

/// Checks to be compiled.
pub(crate) struct Wanted {
    of: VersionId,
    operations: Vec<(String, String)>,
    slot: Slot,
    /// Dropped after the first try, for which the start waits.
    awaited: Option<Awaited>,
}

type Awaited = mpsc::Sender<Infallible>;

/// What the start waits for.
pub(crate) struct FirstChecks(mpsc::Receiver<Infallible>);

impl FirstChecks {
    /// Returns when all checks wanted at start were tried once: those whose document cannot be read are tried again
    /// while requests pass.
    pub(crate) async fn tried(mut self) {
        if timeout(FIRST_CHECKS_WAIT, self.0.recv()).await.is_err() {
            tracing::warn!(
                waited = ?FIRST_CHECKS_WAIT,
                "some checks of requests are not ready; until they are, these requests pass"
            );
        }
    }
}

/// The slots of all routes; only the feed task has it.
pub(crate) struct Slots {
    known: BTreeMap<VersionId, (Vec<(String, String)>, Slot)>,
    /// Products whose document may be another one.
    changed: BTreeSet<ProductId>,
    wanted: mpsc::UnboundedSender<Wanted>,
    /// While the gateway starts.
    awaited: Option<Awaited>,
}

impl Slots {
    /// The receiver is for [`follow`].
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Wanted>) {
        let (wanted, queue) = mpsc::unbounded_channel();
        (Self { known: BTreeMap::new(), changed: BTreeSet::new(), wanted, awaited: None }, queue)
    }

    /// What is wanted from now until [`Self::started`] is waited for.
    pub(crate) fn starting(&mut self) -> FirstChecks {
        let (awaited, tried) = mpsc::channel(1);
        self.awaited = Some(awaited);
        FirstChecks(tried)
    }

    pub(crate) fn started(&mut self) {
        self.awaited = None;
    }

    /// A record of the product came.
    pub(crate) fn changed(&mut self, product: &Product) {
        if product.settings.validation == Validation::Off {
            self.known.retain(|(id, _), _| *id != product.id);
        } else {
            self.changed.insert(product.id.clone());
        }
    }

    /// All routes of the changed products have been made.
    pub(crate) fn settled(&mut self) {
        self.changed.clear();
    }

    /// The checks of one version, if the product wants any; asks for them if they may be old.
    pub(crate) fn checks(
        &mut self,
        product: &Product,
        version: Option<&str>,
        operations: &[Operation],
    ) -> Option<Checks> {
        let enforce = match product.settings.validation {
            Validation::Off => return None,
            Validation::Report => false,
            Validation::Enforce => true,
        };
        let of = (product.id.clone(), version.map(Into::into));
        let pairs: Vec<_> =
            operations.iter().map(|one| (one.method.clone(), one.path.clone())).collect();
        let known = self.known.get(&of).filter(|(known, _)| *known == pairs);
        let slot = known.map_or_else(Slot::default, |(_, slot)| slot.clone());
        if known.is_none() || self.changed.contains(&product.id) {
            self.known.insert(of.clone(), (pairs.clone(), slot.clone()));
            let awaited = self.awaited.clone().filter(|_| enforce);
            let wanted = Wanted { of, operations: pairs, slot: slot.clone(), awaited };
            // Without a receiver the gateway is stopping.
            let _ = self.wanted.send(wanted);
        }
        Some(Checks { enforce, slot })
    }
}

/// Fetches what is wanted, the latest of each version, until the compiler is gone.
pub(crate) async fn follow(mut queue: mpsc::UnboundedReceiver<Wanted>, source: Arc<dyn KeySource>) {
    let mut open: BTreeMap<VersionId, Wanted> = BTreeMap::new();
    loop {
        if open.is_empty() {
            let Some(wanted) = queue.recv().await else { return };
            open.insert(wanted.of.clone(), wanted);
        }
        while let Ok(wanted) = queue.try_recv() {
            open.insert(wanted.of.clone(), wanted);
        }
        let mut failed = BTreeMap::new();
        for (of, mut wanted) in std::mem::take(&mut open) {
            let asked = source.validators(&of.0, of.1.as_deref(), wanted.operations.clone());
            match asked.await {
                Ok(found) => wanted.slot.store(found),
                Err(error) => {
                    tracing::warn!(product = %of.0, %error, "checks of requests cannot be made");
                    wanted.awaited = None;
                    failed.insert(of, wanted);
                }
            }
        }
        if failed.is_empty() {
            continue;
        }
        open = failed;
        match timeout(AGAIN, queue.recv()).await {
            Ok(None) => return,
            Ok(Some(wanted)) => {
                open.insert(wanted.of.clone(), wanted);
            }
            Err(_) => {}
        }
    }
}

/// What came of a comparison.
pub(crate) enum Checked {
    Right,
    Wrong(Vec<Violation>),
    /// Its body is larger than can be compared.
    TooLarge,
}

/// What has been read of a body.
#[derive(Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    whole: bool,
}

impl Checks {
    /// Compares a request; reads its body if the operation says something about it.
    pub(crate) async fn check(
        &self,
        (index, rest): (usize, &str),
        request: &Request,
        source: &mut dyn Source,
        bounds: &Bounds,
    ) -> Result<(Checked, Option<Gathered>), Failure> {
        let Some(validators) = self.slot.load_full() else { return Ok((Checked::Right, None)) };
        let fields = &request.fields;
        if fields.iter().filter(|field| is_content_type(field.name)).count() > 1 {
            let location = "header/content-type".to_owned();
            let message = "say it once: two of them can be read in two ways".to_owned();
            return Ok((Checked::Wrong(vec![Violation { location, message }]), None));
        }
        let header = |name: &str| {
            // What is of this connection only does not arrive at the upstream.
            let mut found = fields.iter().filter(|one| {
                !fields.of_connection().any(|named| named.eq_ignore_ascii_case(one.name))
            });
            found.find(|one| one.name.eq_ignore_ascii_case(name.as_bytes())).map(|one| one.value)
        };
        let framing = source.framing();
        let needed = match validators.body_needed(index, header("content-type")) {
            BodyNeeded::Yes { max_bytes } if framing != BodyFraming::None => Some(max_bytes),
            _ => None,
        };
        let announced = match framing {
            BodyFraming::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
            BodyFraming::None | BodyFraming::Chunked => 0,
        };
        let gathered = match needed {
            Some(max) if announced <= max => Some(gather(source, max, bounds).await?),
            _ => None,
        };
        let is_whole = gathered.as_ref().is_some_and(|gathered| gathered.whole);
        if self.enforce && needed.is_some() && !is_whole {
            return Ok((Checked::TooLarge, gathered));
        }
        let body = match (&gathered, framing) {
            (_, BodyFraming::None) => Body::Absent,
            (Some(gathered), _) if gathered.whole => Body::Whole(&gathered.bytes),
            _ => Body::Unread,
        };
        let parts = RequestParts { path: rest, query: request.query(), headers: &header, body };
        let checked = match validators.check(index, &parts) {
            Ok(()) => Checked::Right,
            Err(violations) => Checked::Wrong(violations),
        };
        Ok((checked, gathered))
    }
}

/// Whatever a server makes of an underscore.
fn is_content_type(name: &[u8]) -> bool {
    let dashed = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == 12 && name.iter().map(dashed).eq(b"content-type".iter().copied())
}

/// Reads a body up to its end, or a little past the bound, within one idle limit in all: it is short.
async fn gather(
    source: &mut dyn Source,
    max_bytes: usize,
    bounds: &Bounds,
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::default();
    source.deadline().set(bounds.idle);
    poll_fn(|cx| {
        while gathered.bytes.len() <= max_bytes {
            match source.poll_fill(cx, &mut gathered.bytes, false) {
                Poll::Ready(Ok(Fill::Data(_))) => {}
                Poll::Ready(Ok(Fill::End)) => {
                    gathered.whole = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => {
                    return source.deadline().poll(cx).map(|()| Err(Failure::ClientSlow));
                }
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    Ok(gathered)
}

/// A source whose body has been read in part: gives that first.
pub(crate) struct Replay<'s> {
    pub source: &'s mut dyn Source,
    pub gathered: Gathered,
}

impl<'s> Replay<'s> {
    /// The source itself if nothing has been read of its body.
    pub(crate) fn or<'r>(
        source: &'s mut dyn Source,
        gathered: Option<Gathered>,
        room: &'r mut Option<Self>,
    ) -> &'r mut dyn Source {
        match gathered {
            None => source,
            Some(gathered) => room.insert(Self { source, gathered }),
        }
    }
}

impl Source for Replay<'_> {
    fn framing(&self) -> BodyFraming {
        self.source.framing()
    }

    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
        chunked: bool,
    ) -> Poll<Result<Fill, Failure>> {
        let bytes = std::mem::take(&mut self.gathered.bytes);
        if bytes.is_empty() {
            if self.gathered.whole {
                return Poll::Ready(Ok(Fill::End));
            }
            return self.source.poll_fill(cx, out, chunked);
        }
        if chunked {
            write_size(out, bytes.len());
        }
        out.extend_from_slice(&bytes);
        if chunked {
            out.extend_from_slice(b"\r\n");
        }
        Poll::Ready(Ok(Fill::Data(bytes.len())))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.source.poll_gone(cx)
    }

    fn deadline(&self) -> &Deadline {
        self.source.deadline()
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        self.source.trailers()
    }
}
