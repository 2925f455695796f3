//! One API call from its head to its answer's head, in the order of the contract.
//!
//! A granted call is charged before its answer leaves, whatever happens: [`Call`] charges when it is dropped
//! without an answer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use keytoll_domain::ids::KeyId;
use keytoll_domain::ledger::STATUS_CLIENT_GONE;
use keytoll_domain::refusal::Refusal;

use crate::access_log::Line;
use crate::admit::{self, Asked, Grant};
use crate::answer::{self, Context};
use crate::call::{Call, Finish, Start, micros_since};
use crate::core::Core;
use crate::credential::{self, KeyFrom};
use crate::keytable::KeyRecord;
use crate::options::Bounds;
use crate::own;
use crate::request::{self, BodyFraming, Outgoing};
use crate::route::{Found, Place, ProductRoute};
use crate::upstream::body::Body;
use crate::upstream::exchange::Exchange;
use crate::upstream::forward::forward;
use crate::upstream::head::Head;
use crate::upstream::{Failure, Upstream};

/// Answers one request.
pub(crate) async fn serve(
    core: Rc<Core>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let at = core.now();
    let start = Start { id: core.next_id(at), at, peer: peer.ip().to_canonical() };
    let (mut parts, body) = request.into_parts();
    if parts.uri.path().is_empty() {
        parts.uri = with_root(&parts.uri);
    }
    let (product, rest, body) = match find(&core, &start, &parts, body).await {
        Ok(found) => found,
        Err(response) => {
            own::log(&core, &start, &parts, response.status().as_u16());
            return response;
        }
    };
    let framing = match body.size_hint().exact() {
        _ if body.is_end_stream() => BodyFraming::None,
        Some(length) => BodyFraming::Length(length),
        None => BodyFraming::Chunked,
    };
    let body = (framing != BodyFraming::None).then_some(body);
    let (core, start, parts) = (&core, &start, &parts);
    let call = Inbound { core, start, parts, product: &product, rest, framing };
    if product.is_keyless() { call.pass(body).await } else { call.sell(body).await }
}

/// The product that a request is for and the path below it, or the answer that needs no product.
async fn find<'p>(
    core: &Rc<Core>,
    start: &Start,
    parts: &'p Parts,
    body: Incoming,
) -> Result<(Arc<ProductRoute>, &'p str, Incoming), Response<Body>> {
    if let Err(refusal) = request::check(parts) {
        return Err(own::refuse(core, start, refusal));
    }
    if own::is_own(parts.uri.path()) {
        return Err(own::serve(core, start, parts, body).await);
    }
    let routes = core.shared.tables.routes.load();
    let Some((product, rest)) = routes.find(parts.uri.path()) else {
        return Err(own::refuse(core, start, Refusal::NoSuchProduct));
    };
    if rest == "/.keytoll" || rest.starts_with("/.keytoll/") {
        return Err(own::of_product(core, start, parts, product, rest));
    }
    if request::wants_upgrade(&parts.headers) {
        return Err(answer::not_implemented().answer(start.id));
    }
    Ok((product.clone(), rest, body))
}

/// `http://host?query` and `http://host` name the root.
fn with_root(uri: &Uri) -> Uri {
    let query = uri.query().map_or_else(|| "/".to_owned(), |query| format!("/?{query}"));
    query.parse().unwrap_or_default()
}

/// One request for a product.
struct Inbound<'r> {
    core: &'r Rc<Core>,
    start: &'r Start,
    parts: &'r Parts,
    product: &'r Arc<ProductRoute>,
    rest: &'r str,
    framing: BodyFraming,
}

impl Inbound<'_> {
    /// A product without keys: no decision, no limits, no ledger.
    async fn pass(&self, body: Option<Incoming>) -> Response<Body> {
        let Place::At(upstream) = &self.product.live else {
            return self.fail(Failure::Unreachable, None);
        };
        if self.is_too_large() {
            return self.refuse(None, Refusal::BodyTooLarge, None);
        }
        let query = self.parts.uri.query().map(Cow::Borrowed);
        let mut slot = None;
        let outgoing = self.outgoing(upstream, query, None);
        match forward(&self.core.pool, &outgoing, body, self.bounds(), &mut slot).await {
            Ok(head) => self.hand_over(slot, head, upstream, None),
            Err(failure) => self.fail(failure, None),
        }
    }

    async fn sell(&self, body: Option<Incoming>) -> Response<Body> {
        let (core, product) = (self.core, self.product);
        let shared = &core.shared;
        let query = self.parts.uri.query();
        let brand = shared.options.brand.as_str();
        let found = match product.key_from.find(&self.parts.headers, query) {
            Ok(found) => found,
            Err(refusal) => return self.refuse(None, refusal, None),
        };
        let known = admit::known_key(&shared.tables.keys, brand, &found.secret, self.start.at);
        let key = match known {
            Ok(key) => key,
            Err(refusal) => return self.refuse(None, refusal, None),
        };
        let place = product.find(self.parts.method.as_str(), self.rest);
        let asked = Asked {
            now: self.start.at,
            product: Some(product),
            found: Some(place),
            address: Some(shared.client_address(self.start.peer, &self.parts.headers)),
            proxied: true,
            units: None,
        };
        let allow = if let Found::WrongMethod(allow) = place { Some(allow) } else { None };
        if self.is_too_large() {
            let refusal = admit::judge(&key, &asked).err().unwrap_or(Refusal::BodyTooLarge);
            return self.refuse(Some(&key), refusal, allow);
        }
        if !core.writer.borrow().ready() {
            let refusal = admit::judge(&key, &asked).err().unwrap_or(Refusal::MeteringUnavailable);
            return self.refuse(Some(&key), refusal, allow);
        }
        let grant = match admit::grant(&key, &asked) {
            Ok(grant) => grant,
            Err(refusal) => return self.refuse(Some(&key), refusal, allow),
        };
        let mut call = Call::new(core.clone(), self.start, grant, product.bill);
        let Place::At(upstream) = product.place(key.environment) else {
            return self.fail_call(call, Failure::Unreachable);
        };
        let query = query.map(|query| found.strip_query(&product.key_from, brand, query));
        let outgoing = self.outgoing(upstream, query, Some((&found, &product.key_from, brand)));
        match forward(&core.pool, &outgoing, body, self.bounds(), &mut call.slot).await {
            Ok(head) => self.deliver(call, head, upstream),
            Err(failure) => self.fail_call(call, failure),
        }
    }

    /// Charges the call, then lets the answer go.
    fn deliver(&self, mut call: Call, mut head: Head, upstream: &Arc<Upstream>) -> Response<Body> {
        if call.charge(head.status.as_u16()).is_err() {
            return self.refuse(Some(&call.grant.key), Refusal::MeteringUnavailable, None);
        }
        let standings = call.grant.admitted.standings;
        answer::limit_headers(&mut head.headers, &standings, None, self.start.at);
        let slot = call.slot.take();
        self.hand_over(slot, head, upstream, Some(&call.grant))
    }

    fn hand_over(
        &self,
        exchange: Option<Exchange>,
        head: Head,
        upstream: &Arc<Upstream>,
        grant: Option<&Grant>,
    ) -> Response<Body> {
        let Some(exchange) = exchange else { return self.fail(Failure::Broken, None) };
        let status = head.status.as_u16();
        self.count(status, "");
        let finish = Finish {
            core: self.core.clone(),
            upstream: upstream.clone(),
            start: *self.start,
            charged: grant.is_some(),
            line: self.line(status, "", grant.map(|grant| grant.key.id)),
            bytes_in: 0,
            bytes_out: 0,
            aborted: true,
        };
        let body = Body::of(exchange, head.framing, head.keep_alive, finish);
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response.headers_mut().insert(answer::X_REQUEST_ID, answer::id_value(self.start.id));
        response
    }

    fn fail_call(&self, mut call: Call, failure: Failure) -> Response<Body> {
        let status = match failure {
            Failure::ClientBroke => STATUS_CLIENT_GONE,
            _ => answer::failure(failure).status,
        };
        if call.charge_failed(status).is_err() {
            return self.refuse(Some(&call.grant.key), Refusal::MeteringUnavailable, None);
        }
        self.fail(failure, Some(&call.grant))
    }

    fn fail(&self, failure: Failure, grant: Option<&Grant>) -> Response<Body> {
        let problem = answer::failure(failure);
        tracing::warn!(product = %self.product.id, code = problem.code, %failure, "call failed");
        self.count(problem.status, problem.code);
        self.log(problem.status, problem.code, grant.map(|grant| grant.key.id));
        let mut response = problem.answer(self.start.id);
        if let Some(grant) = grant {
            let standings = admit::standings(&grant.key, self.start.at);
            answer::limit_headers(response.headers_mut(), &standings, None, self.start.at);
        }
        response
    }

    fn refuse(
        &self,
        key: Option<&KeyRecord>,
        refusal: Refusal,
        allow: Option<&str>,
    ) -> Response<Body> {
        let upgrade_url = self.core.shared.options.upgrade_url.as_deref();
        let context = Context { texts: self.product.texts, allow, upgrade_url };
        self.count(refusal.status(), refusal.code());
        self.log(refusal.status(), refusal.code(), key.map(|key| key.id));
        self.core.refused(key.map(|key| key.id), self.start.at, refusal);
        let mut response = own::refusal_answer(self.core, self.start, refusal, &context);
        if let Some(key) = key {
            let standings = admit::standings(key, self.start.at);
            answer::limit_headers(
                response.headers_mut(),
                &standings,
                refusal.limited(),
                self.start.at,
            );
        }
        response
    }

    fn outgoing<'o>(
        &'o self,
        upstream: &'o Upstream,
        query: Option<Cow<'o, str>>,
        key: Option<(&'o credential::Found<'o>, &'o KeyFrom, &'o str)>,
    ) -> Outgoing<'o> {
        Outgoing {
            parts: self.parts,
            upstream,
            rest: self.rest,
            query,
            key,
            id: self.start.id,
            peer: self.start.peer,
            peer_trusted: self.core.shared.is_trusted(self.start.peer),
            framing: self.framing,
        }
    }

    fn bounds(&self) -> &Bounds {
        &self.core.shared.options.bounds
    }

    fn is_too_large(&self) -> bool {
        matches!(self.framing, BodyFraming::Length(length) if length > self.bounds().body_max_bytes)
    }

    fn count(&self, status: u16, code: &'static str) {
        self.core.metrics.count(
            &self.product.id,
            status,
            code,
            micros_since(self.start.at, self.core.now()),
        );
    }

    fn line(&self, status: u16, code: &'static str, key: Option<KeyId>) -> Option<Box<Line>> {
        own::line(self.core, self.start, self.parts, status, code, key)
    }

    fn log(&self, status: u16, code: &'static str, key: Option<KeyId>) {
        if let (Some(log), Some(mut line)) = (&self.core.shared.log, self.line(status, code, key)) {
            line.micros = micros_since(self.start.at, self.core.now());
            log.write(*line);
        }
    }
}
