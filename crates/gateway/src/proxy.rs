//! One API call from its head to its answer's head, in the order of the contract.
//!
//! A granted call is charged before its answer leaves, whatever happens: [`Call`] charges when it is dropped
//! without an answer.

mod kept;
mod told;
mod traced;

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use keytoll_domain::ledger::STATUS_CLIENT_GONE;
use keytoll_domain::refusal::Refusal;

use crate::admit::{self, Asked, Grant};
use crate::answer::{self, Answer, AnswerBody, Context};
use crate::call::{Call, Finish, Start, micros_since};
use crate::client::Client;
use crate::core::{Core, Product};
use crate::credential::{self, KeyFrom};
use crate::fields::Name;
use crate::keytable::KeyRecord;
use crate::locate::{Located, Whose};
use crate::options::Bounds;
use crate::outgoing::Outgoing;
use crate::own;
use crate::request::{BodyFraming, Request};
use crate::route::{Found, OperationRoute, Place};
use crate::server::http1::COPY_MAX_BYTES;
use crate::server::source::Source;
use crate::server::tunnel::Tunnel;
use crate::upstream::Failure;
use crate::upstream::exchange::Exchange;
use crate::upstream::forward::forward;
use crate::upstream::head::{Framing, Head};
use crate::upstream::relay::Relay;
use crate::validation::{Checked, Checks, Gathered, Replay, VIOLATES};
use kept::{Course, Way};
use told::Told;
use traced::Traced;

/// Answers one request; `None` = its client has gone.
pub(crate) async fn serve(
    core: &Rc<Core>,
    client: &Client,
    request: &Request,
    source: &mut dyn Source,
) -> Option<Answer> {
    let at = core.now();
    let start = Start { id: core.next_id(at), at };
    let located = match core.with_routes(|routes| routes.whose(request)) {
        Whose::Ours => return Some(own::serve(core, &start, client, request, source).await),
        Whose::Nobodys => {
            let refusal = Refusal::NoSuchProduct;
            return Some(own::refuse_logged(core, &start, client, request, refusal));
        }
        Whose::Products(located) => located,
    };
    let Located { product, rest, unknown_version } = located;
    let policies = product.policies.as_deref();
    let mut preflight = Vec::new();
    if let Some(policies) = policies
        && policies.preflight(request.method(), &request.fields, &mut preflight)
    {
        return Some(own::preflight(core, &start, client, request, &product, &preflight));
    }
    let call = Inbound {
        core,
        start: &start,
        client,
        request,
        product: &product,
        rest,
        unknown_version,
        framing: source.framing(),
        websocket: request.wants_websocket() && source.can_switch(),
        trace: Cell::new(traced::begin(core, request, source)),
    };
    let mut answer = call.serve(source).await?;
    if let Some(policies) = policies {
        policies.put_cors(&request.fields, &mut answer.head);
    }
    Some(answer)
}

/// One request for a product.
struct Inbound<'r> {
    core: &'r Rc<Core>,
    start: &'r Start,
    client: &'r Client,
    request: &'r Request,
    product: &'r Product,
    rest: &'r str,
    /// There is no version of the name that the request says.
    unknown_version: bool,
    framing: BodyFraming,
    websocket: bool,
    /// Present while the call is recorded and its span not yet made.
    trace: Cell<Option<Traced>>,
}

impl Inbound<'_> {
    async fn serve(&self, source: &mut dyn Source) -> Option<Answer> {
        let (core, start, request) = (self.core, self.start, self.request);
        if self.rest == "/.keytoll" || self.rest.starts_with("/.keytoll/") {
            self.trace.take();
            let answer =
                own::of_product(core, start, self.client, request, self.product, self.rest);
            return Some(answer.await);
        }
        if self.product.is_keyless() { self.pass(source).await } else { self.sell(source).await }
    }

    /// A product without keys: no decision, no limits, no ledger. Its document counts only where requests are
    /// compared with it.
    async fn pass(&self, source: &mut dyn Source) -> Option<Answer> {
        let mut told = Told::new(Found::NoPath, None);
        if self.unknown_version {
            return Some(self.refuse(None, Refusal::NoSuchOperation, told, None));
        }
        if self.product.maintenance().is_some() {
            return Some(self.refuse(None, Refusal::Maintenance, told, None));
        }
        let Place::At(cluster) = &self.product.live else {
            return Some(self.fail(Failure::Unreachable, told, None));
        };
        if self.is_too_large() {
            return Some(self.refuse(None, Refusal::BodyTooLarge, told, None));
        }
        let mut gathered = None;
        if let Some(checks) = &self.product.checks {
            gathered = match self.compare_keyless(checks, &mut told, source).await {
                Ok(gathered) => gathered,
                Err(answer) => return answer,
            };
        }
        let mut replay = None;
        let source = Replay::or(source, gathered, &mut replay);
        let query = self.request.query().map(Cow::Borrowed);
        let mut slot = None;
        let outgoing = self.outgoing(query, None, None);
        let way = match self.course(&outgoing, None) {
            Course::Upstream(way) => way,
            Course::Kept(hit) => {
                return Some(self.hand_over_kept(&hit, told, self.elapsed_micros(), None));
            }
            Course::NotCached => return Some(self.fail(Failure::NotCached, told, None)),
        };
        match forward(&self.core.pool, cluster, &outgoing, source, self.bounds(), &mut slot).await {
            Ok(()) => {
                self.answered(&outgoing, None, slot.as_ref());
                Some(self.hand_over(slot, told, self.elapsed_micros(), None, way))
            }
            Err(Failure::ClientGone) => None,
            Err(failure) => Some(self.fail(failure, told, None)),
        }
    }

    async fn sell(&self, source: &mut dyn Source) -> Option<Answer> {
        let (core, product) = (self.core, self.product);
        let shared = &core.shared;
        let query = self.request.query();
        let brand = shared.options.brand.as_str();
        let unknown = Told::new(Found::NoPath, None);
        let found = match product.key_from.find(&self.request.fields, query) {
            Ok(found) => found,
            Err(refusal) => return Some(self.refuse(None, refusal, unknown, None)),
        };
        let mut key = match admit::any_known_key(shared, &found.secret, self.start.at).await {
            Ok(key) => key,
            Err(refusal) => return Some(self.refuse(None, refusal, unknown, None)),
        };
        let place = if self.unknown_version {
            Found::NoPath
        } else {
            product.find(self.request.method(), self.rest)
        };
        let address = shared.client_address(self.client, &self.request.fields);
        let mut told = Told { address: Some(address), ..Told::new(place, Some(key.id)) };
        let mut asked = Asked {
            now: self.start.at,
            product: Some(product),
            found: Some(place),
            address: Some(address),
            proxied: true,
            units: None,
        };
        let mut gathered = None;
        if let (Some(checks), Found::Operation(operation)) = (&product.checks, place) {
            let closed = product.maintenance().is_some();
            let open = if closed { Err(Refusal::Maintenance) } else { Ok(()) };
            if let Err(refusal) = admit::judge(&key, &asked).and(open) {
                return Some(self.refuse(Some(&key), refusal, told, None));
            }
            let compared = self.compare(checks, operation, &mut told, Some(&key), source).await;
            gathered = match compared {
                Ok(gathered) => gathered,
                Err(answer) => return answer,
            };
            if gathered.is_some() {
                // Reading took as long as the client liked: what is decided now must hold now.
                asked.now = core.now();
                key = match admit::any_known_key(shared, &found.secret, asked.now).await {
                    Ok(key) => key,
                    Err(refusal) => return Some(self.refuse(None, refusal, unknown, None)),
                };
            }
        }
        let mut replay = None;
        let source = Replay::or(source, gathered, &mut replay);
        let granted = self.may_proceed(&key, &asked).and_then(|()| admit::grant(&key, &asked));
        let grant = match granted {
            Ok(grant) => grant,
            Err(refusal) => {
                let allow = if let Found::WrongMethod(allow) = place { Some(allow) } else { None };
                return Some(self.refuse(Some(&key), refusal, told, allow));
            }
        };
        let mut call = Call::new(core.clone(), self.start, grant, product.bill);
        let Place::At(cluster) = product.place(key.environment) else {
            return Some(self.fail_call(call, Failure::Unreachable, told));
        };
        let query = query.map(|query| found.strip_query(&product.key_from, brand, query));
        let key_found = Some((&found, &product.key_from, brand));
        let outgoing = self.outgoing(query, key_found, Some(&key));
        let way = match self.course(&outgoing, Some(&key)) {
            Course::Upstream(way) => way,
            Course::Kept(hit) => return Some(self.deliver_kept(call, &hit, told)),
            Course::NotCached => return Some(self.fail_call(call, Failure::NotCached, told)),
        };
        match forward(&core.pool, cluster, &outgoing, source, self.bounds(), &mut call.slot).await {
            Ok(()) => {
                self.answered(&outgoing, Some(&key), call.slot.as_ref());
                Some(self.deliver(call, told, way))
            }
            Err(Failure::ClientGone) => None,
            Err(failure) => Some(self.fail_call(call, failure, told)),
        }
    }

    /// The same for a product without keys. What its document does not have is against it.
    async fn compare_keyless(
        &self,
        checks: &Checks,
        told: &mut Told<'_>,
        source: &mut dyn Source,
    ) -> Result<Option<Gathered>, Option<Answer>> {
        let (refusal, allow) = match self.product.find(self.request.method(), self.rest) {
            Found::Operation(operation) => {
                let mut known = Told { operation: operation.key, name: &operation.name, ..*told };
                let compared = self.compare(checks, operation, &mut known, None, source).await;
                told.note = known.note;
                return compared;
            }
            Found::WrongMethod(allow) => (Refusal::MethodNotAllowed, Some(allow)),
            Found::NoPath => (Refusal::NoSuchOperation, None),
        };
        if checks.enforce {
            return Err(Some(self.refuse(None, refusal, *told, allow)));
        }
        self.core.metrics.violation(&self.product.id, told.name);
        told.note = VIOLATES;
        Ok(None)
    }

    /// Compares the request with its operation. Gives what was read of its body, or the answer if it goes no further.
    async fn compare(
        &self,
        checks: &Checks,
        operation: &OperationRoute,
        told: &mut Told<'_>,
        key: Option<&KeyRecord>,
        source: &mut dyn Source,
    ) -> Result<Option<Gathered>, Option<Answer>> {
        if self.is_too_large() {
            return Err(Some(self.refuse(key, Refusal::BodyTooLarge, *told, None)));
        }
        let call = (operation.index, self.rest);
        let refuse = |refusal| Err(Some(self.refuse(key, refusal, *told, None)));
        match checks.check(call, self.request, source, self.bounds()).await {
            Ok((Checked::Right, gathered)) => Ok(gathered),
            Ok((Checked::TooLarge, _)) | Err(Failure::BodyTooLarge) => {
                refuse(Refusal::BodyTooLarge)
            }
            Ok((Checked::Wrong(violations), gathered)) => {
                self.core.metrics.violation(&self.product.id, told.name);
                if !checks.enforce {
                    told.note = VIOLATES;
                    return Ok(gathered);
                }
                let mut answer = self.refuse(key, Refusal::ValidationFailed, *told, None);
                answer.add_member("violations", &serde_json::json!(violations));
                Err(Some(answer))
            }
            Err(Failure::ClientGone) => Err(None),
            Err(Failure::ClientSlow) => refuse(Refusal::RequestTimeout),
            Err(_) => refuse(Refusal::RequestInvalid),
        }
    }

    /// What must hold before limits are asked; the other refusals come first.
    fn may_proceed(&self, key: &KeyRecord, asked: &Asked<'_>) -> Result<(), Refusal> {
        let refusal = if self.is_too_large() {
            Refusal::BodyTooLarge
        } else if !self.core.writer.borrow().ready() {
            Refusal::MeteringUnavailable
        } else {
            return Ok(());
        };
        admit::judge(key, asked)?;
        Err(refusal)
    }

    /// Charges the call, then lets the answer go.
    fn deliver(&self, mut call: Call, told: Told<'_>, way: Way) -> Answer {
        let status = call.slot.as_ref().map_or(502, |exchange| exchange.head().status);
        let Ok(micros) = call.charge(status) else {
            return self.refuse(Some(&call.grant.key), Refusal::MeteringUnavailable, told, None);
        };
        let slot = call.slot.take();
        self.hand_over(slot, told, micros, Some(&mut call.grant), way)
    }

    fn hand_over(
        &self,
        exchange: Option<Exchange>,
        told: Told<'_>,
        micros: u32,
        grant: Option<&mut Grant>,
        way: Way,
    ) -> Answer {
        let Some(exchange) = exchange else { return self.fail(Failure::Broken, told, None) };
        let upstream_head = exchange.head();
        let status = upstream_head.status;
        let mut head = self.head(upstream_head, told, grant.as_deref());
        let taking = self.take(way, &exchange, micros, &mut head);
        let switches = upstream_head.framing == Framing::Switched;
        let length =
            if upstream_head.framing == Framing::None { upstream_head.length } else { None };
        self.count(status, "", told, micros);
        let finish = self.finish(status, told, grant);
        if switches {
            let body = AnswerBody::Tunnel(Box::new(Tunnel::of(exchange, finish)));
            return Answer { status, head, body };
        }
        let relay = Box::new(Relay::of(exchange, finish, taking));
        Answer { status, head, body: AnswerBody::Relay { relay, length } }
    }

    /// The head that the client gets, but for what belongs to browsers and to its connection.
    fn head(&self, from: &Head, told: Told<'_>, grant: Option<&Grant>) -> Vec<u8> {
        // Room for a small body too, which leaves in one write with its head.
        let body = match from.framing {
            Framing::Length(length) => usize::try_from(length).unwrap_or(0).min(COPY_MAX_BYTES),
            _ => 0,
        };
        let mut head = Vec::with_capacity(from.fields.bytes.len() + 640 + body);
        answer::put_status(&mut head, from.status);
        let fields_at = head.len();
        let mut dated = false;
        for field in from.passing() {
            dated |= field.id == Name::Date;
            answer::put(&mut head, &[field.name, b": ", field.value, b"\r\n"]);
        }
        if !dated {
            self.core.with_time(self.start.at, |time| {
                answer::put(&mut head, &[b"date: ", time.http.as_bytes(), b"\r\n"]);
            });
        }
        if let Some(policies) = &self.product.policies {
            policies.change_answer(&mut head, fields_at, told.ends);
            policies.put_deprecation(told.ends, &mut head);
        }
        if let Some(grant) = grant {
            self.core.put_limits(&mut head, grant.standings(), None, self.start.at);
        }
        answer::put_request_id(&mut head, self.start.id);
        head
    }

    fn finish(&self, status: u16, told: Told<'_>, grant: Option<&mut Grant>) -> Finish {
        let span = self.span(status, "", told, grant.as_deref().map(|grant| &*grant.key));
        Finish {
            core: self.core.clone(),
            start: *self.start,
            charged: grant.is_some(),
            span,
            running: grant.map(|grant| std::mem::take(&mut grant.running)).unwrap_or_default(),
            line: self.sampled_line(status, told),
            bytes_in: 0,
            bytes_out: 0,
            aborted: false,
        }
    }

    fn fail_call(&self, mut call: Call, failure: Failure, told: Told<'_>) -> Answer {
        let status = match failure {
            Failure::ClientBroke => STATUS_CLIENT_GONE,
            _ => answer::failure(failure).status,
        };
        if call.charge_failed(status).is_err() {
            return self.refuse(Some(&call.grant.key), Refusal::MeteringUnavailable, told, None);
        }
        self.fail(failure, told, Some(&call.grant))
    }

    fn fail(&self, failure: Failure, told: Told<'_>, grant: Option<&Grant>) -> Answer {
        let problem = answer::failure(failure);
        if failure != Failure::NotCached {
            tracing::warn!(product = %self.product.id, code = problem.code, %failure, "call failed");
        }
        self.count(problem.status, problem.code, told, self.elapsed_micros());
        self.log(problem.status, problem.code, told);
        let key = grant.map(|grant| &*grant.key);
        self.end_span(problem.status, problem.code, told, key);
        let mut answer = problem.answer(self.start.id);
        self.put_deprecation(told, &mut answer);
        if let Some(grant) = grant {
            let standings = admit::standings(&grant.key, self.start.at);
            self.core.put_limits(&mut answer.head, &standings, None, self.start.at);
        }
        answer
    }

    fn refuse(
        &self,
        key: Option<&KeyRecord>,
        refusal: Refusal,
        told: Told<'_>,
        allow: Option<&str>,
    ) -> Answer {
        let upgrade_url = self.core.shared.options.upgrade_url.as_deref();
        let closed = self.product.closed(self.start.at);
        let context = Context { texts: self.product.texts, allow, upgrade_url, closed };
        self.count(refusal.status(), refusal.code(), told, self.elapsed_micros());
        self.log(refusal.status(), refusal.code(), told);
        self.end_span(refusal.status(), refusal.code(), told, key);
        self.core.refused(key.map(|key| key.id), self.start.at, refusal);
        let mut answer = own::refusal_answer(self.core, self.start, refusal, &context);
        self.put_deprecation(told, &mut answer);
        if let Some(key) = key {
            let standings = admit::standings(key, self.start.at);
            let limited = refusal.limited();
            self.core.put_limits(&mut answer.head, &standings, limited, self.start.at);
        }
        answer
    }

    fn outgoing<'o>(
        &'o self,
        query: Option<Cow<'o, str>>,
        key: Option<(&'o credential::Found<'o>, &'o KeyFrom, &'o str)>,
        caller: Option<&'o KeyRecord>,
    ) -> Outgoing<'o> {
        Outgoing {
            request: self.request,
            client: self.client,
            rest: self.rest,
            query,
            key,
            version: self.product.version_field.as_deref(),
            identity: caller.filter(|_| self.product.identity_headers),
            signing: self.product.signer.as_deref().map(|signer| (signer, self.start.at)),
            rules: self.product.policies.as_ref().and_then(|policies| policies.request.as_ref()),
            id: self.start.id,
            trace: self.trace.get().map(|traced| traced.context),
            framing: self.framing,
            websocket: self.websocket,
        }
    }

    fn bounds(&self) -> &Bounds {
        &self.core.shared.options.bounds
    }

    fn is_too_large(&self) -> bool {
        matches!(self.framing, BodyFraming::Length(length) if length > self.bounds().body_max_bytes)
    }

    fn elapsed_micros(&self) -> u32 {
        micros_since(self.start.at, self.core.now())
    }

    fn put_deprecation(&self, told: Told<'_>, answer: &mut Answer) {
        if let Some(policies) = &self.product.policies {
            policies.put_deprecation(told.ends, &mut answer.head);
        }
    }
}
