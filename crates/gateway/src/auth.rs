//! Forward authentication for proxies that ask us: Caddy, Traefik, Envoy, and nginx with its narrower contract.
//!
//! Nothing is taken from what a client could set unless the asking proxy overwrites it: the caller is believed for its
//! management token or its address, and product and path come from the URL and headers that proxies write.

pub(crate) mod check;
mod envoy;
pub(crate) mod grpc;
mod key_places;
mod protobuf;

use std::net::IpAddr;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::refusal::Refusal;
use keytoll_domain::time::Timestamp;

use crate::admit::{self, Asked};
use crate::answer::{self, Answer, Context};
use crate::call::{Start, micros_since};
use crate::client::Client;
use crate::core::{Core, Product};
use crate::fields::Fields;
use crate::identity;
use crate::keytable::KeyRecord;
use crate::metrics::Outcome;
use crate::own::{self, AskedAbout};
use crate::path::{is_plain, is_plain_query};
use crate::request::Request;
use crate::route::{Found, ProductRoute};
use crate::verify::{self, Verdict};

use key_places::KeyPlaces;

/// Tells Envoy which header fields held the key.
const TO_REMOVE: &str = "x-envoy-auth-headers-to-remove";

/// What the proxy's client asked for.
struct Asking<'r> {
    method: &'r str,
    path: &'r str,
    query: Option<&'r str>,
    /// It names a version that the product has not.
    unknown_version: bool,
}

impl<'r> Asking<'r> {
    fn new(method: &'r str, path: &'r str, query: Option<&'r str>) -> Self {
        Self { method, path, query, unknown_version: false }
    }

    /// The version of the product that is asked for; the path becomes the one below it.
    fn product(&mut self, core: &Core, id: &str, fields: &Fields) -> Result<Product, Refusal> {
        let located = core.with_routes(|routes| routes.below(id, self.path, fields));
        let located = located.filter(|located| !located.product.is_keyless());
        let located = located.ok_or(Refusal::NoSuchProduct)?;
        (self.path, self.unknown_version) = (located.rest, located.unknown_version);
        Ok(located.product)
    }
}

/// `/v1/auth/{product}`, and `/v1/auth/{product}/the/path` for proxies that append it.
pub(crate) async fn forward(
    core: &Core,
    start: &Start,
    client: &Client,
    request: &Request,
    rest: &str,
) -> (Answer, AskedAbout) {
    let (id, suffix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let fields = &request.fields;
    let asking = if suffix.is_empty() {
        asking_of(fields, "x-forwarded-method", "x-forwarded-uri")
    } else {
        Some(Asking::new(request.method(), suffix, request.query()))
    };
    let (asking, product) = match asked_of(core, client, fields, id, asking) {
        Ok(asked) => asked,
        Err(refusal) => return (own::refuse(core, start, refusal), AskedAbout::default()),
    };
    let address = core.shared.forwarded_address(client, fields);
    let decision = decide(core, start, fields, &product, &asking, Some(address)).await;
    let mut answer = match decision.verdict.refusal {
        None => Answer::empty(200, start.id),
        Some(refusal) => {
            own::refusal_answer(core, start, refusal, &decision.context(core, &product, start.at))
        }
    };
    finish(core, start, &decision, &mut answer);
    (answer, decision.asked_about())
}

/// `/v1/auth-nginx/{product}`: nginx passes only 401 and 403 on, so the real answer is in headers.
pub(crate) async fn nginx(
    core: &Core,
    start: &Start,
    client: &Client,
    request: &Request,
    id: &str,
) -> (Answer, AskedAbout) {
    let fields = &request.fields;
    let asking = asking_of(fields, "x-original-method", "x-original-uri");
    let (asking, product) = match asked_of(core, client, fields, id, asking) {
        Ok(asked) => asked,
        Err(refusal) => {
            return (
                nginx_refusal(core, start, refusal, &Context::default()),
                AskedAbout::default(),
            );
        }
    };
    let address = core.shared.forwarded_address(client, fields);
    let decision = decide(core, start, fields, &product, &asking, Some(address)).await;
    let mut answer = match decision.verdict.refusal {
        None => Answer::empty(200, start.id),
        Some(refusal) => {
            nginx_refusal(core, start, refusal, &decision.context(core, &product, start.at))
        }
    };
    finish(core, start, &decision, &mut answer);
    (answer, decision.asked_about())
}

fn nginx_refusal(core: &Core, start: &Start, refusal: Refusal, context: &Context<'_>) -> Answer {
    answer::with_problem(refusal, context, &core.shared.tables, |problem| {
        let status = if problem.status == 401 { 401 } else { 403 };
        let mut answer = problem.answer_as(status, start.id);
        answer.head.extend_from_slice(b"x-keytoll-status: ");
        answer::put_number(&mut answer.head, problem.status.into());
        answer.head.extend_from_slice(b"\r\n");
        answer.field("x-keytoll-problem", &problem.body(start.id));
        answer
    })
}

/// Whether the caller holds a token or calls from a trusted address.
fn may_ask(core: &Core, client: &Client, fields: &Fields) -> bool {
    verify::is_token(core, fields) || client.trusted
}

/// What is asked of which product, if the caller may ask.
fn asked_of<'r>(
    core: &Core,
    client: &Client,
    fields: &Fields,
    id: &str,
    asking: Option<Asking<'r>>,
) -> Result<(Asking<'r>, Product), Refusal> {
    if !may_ask(core, client, fields) {
        return Err(Refusal::TokenInvalid);
    }
    let known = asking.is_some();
    let mut asking = asking.unwrap_or_else(|| Asking::new("", "/", None));
    let product = asking.product(core, id, fields)?;
    if known { Ok((asking, product)) } else { Err(Refusal::RequestInvalid) }
}

fn asking_of<'r>(fields: &'r Fields, method: &'r str, uri: &'r str) -> Option<Asking<'r>> {
    let one = |name: &'r str| {
        let mut values = fields.named(name);
        let value = values.next().filter(|_| values.next().is_none())?;
        std::str::from_utf8(value).ok()
    };
    Some(asking_about(one(method)?, one(uri)?))
}

fn asking_about<'r>(method: &'r str, uri: &'r str) -> Asking<'r> {
    let (path, query) =
        uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
    Asking::new(method, path, query)
}

/// What came of a question, and what its answer needs beside.
struct Decision<'p> {
    verdict: Verdict,
    allow: Option<&'p str>,
    key_places: KeyPlaces<'p>,
    /// How long it took.
    micros: Option<u32>,
}

impl<'p> Decision<'p> {
    fn of_unknown(refusal: Refusal) -> Self {
        let key_places = KeyPlaces::default();
        Self { verdict: Verdict::of_unknown(refusal), allow: None, key_places, micros: None }
    }

    fn asked_about(&self) -> AskedAbout {
        let code = self.verdict.refusal.map_or("", Refusal::code);
        AskedAbout { key: self.verdict.key_id(), code, micros: self.micros }
    }

    fn context<'a>(&self, core: &'a Core, product: &'a ProductRoute, now: Timestamp) -> Context<'a>
    where
        'p: 'a,
    {
        let upgrade_url = core.shared.options.upgrade_url.as_deref();
        let closed = product.closed(now);
        Context { texts: product.texts, allow: self.allow, upgrade_url, closed }
    }
}

async fn decide<'p>(
    core: &Core,
    start: &Start,
    fields: &'p Fields,
    product: &'p ProductRoute,
    asking: &Asking<'p>,
    address: Option<IpAddr>,
) -> Decision<'p> {
    let shared = &core.shared;
    if !is_plain(asking.path) || !asking.query.is_none_or(is_plain_query) {
        return Decision::of_unknown(Refusal::RequestInvalid);
    }
    let known = match product.key_from.find(fields, asking.query) {
        Ok(found) => {
            let key = admit::any_known_key(shared, &found.secret, start.at).await;
            key.map(|key| (key, found))
        }
        Err(refusal) => Err(refusal),
    };
    let mut decision = match known {
        Err(refusal) => Decision::of_unknown(refusal),
        Ok((key, found)) => {
            let (from, brand) = (&product.key_from, &shared.options.brand);
            let key_places = KeyPlaces::of(&found, from, brand, fields, asking.query);
            let place = if asking.unknown_version {
                Found::NoPath
            } else {
                product.find(asking.method, asking.path)
            };
            let asked = Asked {
                now: start.at,
                product: Some(product),
                found: Some(place),
                address,
                proxied: false,
                units: None,
            };
            let allow = if let Found::WrongMethod(allow) = place { Some(allow) } else { None };
            let verdict = verify::charge(&mut core.writer.borrow_mut(), start.id, key, &asked);
            Decision { verdict, allow, key_places, micros: None }
        }
    };
    let refusal = decision.verdict.refusal;
    let (status, why) = refusal.map_or((200, ""), |refusal| (refusal.status(), refusal.code()));
    let outcome = Outcome { operation: OperationKey::NONE, status, code: why };
    let micros = micros_since(start.at, core.now());
    decision.micros = Some(micros);
    core.metrics.count((product.index, &product.id), outcome, "", micros);
    if let Some(refusal) = refusal {
        core.refused(decision.verdict.key_id(), start.at, refusal);
    }
    decision
}

/// The key's record if the call was granted.
fn granted_key<'d>(decision: &'d Decision<'_>) -> Option<&'d KeyRecord> {
    let verdict = &decision.verdict;
    verdict.key.as_deref().filter(|_| verdict.refusal.is_none())
}

/// Who calls, where the key was, and where the limits stand.
fn finish(core: &Core, start: &Start, decision: &Decision<'_>, answer: &mut Answer) {
    let granted = granted_key(decision);
    identity::write(&mut answer.head, granted);
    if granted.is_some() {
        decision.key_places.put_headers(&mut answer.head, TO_REMOVE);
    }
    let limited = decision.verdict.refusal.and_then(Refusal::limited);
    core.put_limits(&mut answer.head, &decision.verdict.standings, limited, start.at);
}
