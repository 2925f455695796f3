//! What a call of a product with a cache has to do with it: it is answered from there, or its upstream's answer goes
//! there, or what is there has to go. A call of any other product sees one `Option`.

use keytoll_domain::key::Environment;
use keytoll_domain::refusal::Refusal;

use super::{Inbound, Told};
use crate::admit::Grant;
use crate::answer::{self, Answer, AnswerBody, put_number};
use crate::cache::{self, Hit, Lookup, Playback, RequestView, Taking, Ticket};
use crate::call::Call;
use crate::keytable::KeyRecord;
use crate::metrics::Cached;
use crate::outgoing::Outgoing;
use crate::request::BodyFraming;
use crate::upstream::exchange::Exchange;
use crate::upstream::relay::Relay;

/// Where a granted call gets its answer.
pub(super) enum Course {
    Kept(Hit),
    /// There is none in the cache, and the client wants no other.
    NotCached,
    Upstream(Way),
}

/// What of the cache a call remembers on its way upstream.
pub(super) enum Way {
    /// The product keeps nothing.
    Plain,
    Bypass,
    /// A ticket is missing where the answer cannot be kept in any case.
    Miss(Option<Box<Ticket>>),
}

impl Inbound<'_> {
    /// Looks for an answer that is kept.
    pub(super) fn course(&self, outgoing: &Outgoing<'_>, key: Option<&KeyRecord>) -> Course {
        let Some(spaces) = &self.product.cache else { return Course::Upstream(Way::Plain) };
        let has_body = self.framing != BodyFraming::None;
        let lookup = if has_body || self.websocket || !self.request.is_read() {
            Lookup::Bypass
        } else {
            let mut fields = Vec::with_capacity(self.request.fields.bytes.len() + 512);
            outgoing.write_fields(&mut fields);
            self.core.shared.cache.lookup(&RequestView {
                space: spaces.of_environment(environment(key)),
                method: self.request.method(),
                path: self.rest,
                query: outgoing.query(),
                fields: &fields,
                identified: key.is_some(),
                now_secs: cache::secs(self.start.at),
            })
        };
        let (result, course) = match lookup {
            Lookup::Hit(hit) => (Cached::Hit, Course::Kept(hit)),
            Lookup::Miss(ticket) => (Cached::Miss, Course::Upstream(Way::Miss(ticket))),
            Lookup::Refused => (Cached::Miss, Course::NotCached),
            Lookup::Bypass => (Cached::Bypass, Course::Upstream(Way::Bypass)),
        };
        self.core.metrics.cached(&self.product.id, result);
        course
    }

    /// The upstream has answered: if it may have changed something, what is kept of that goes.
    pub(super) fn answered(
        &self,
        outgoing: &Outgoing<'_>,
        key: Option<&KeyRecord>,
        exchange: Option<&Exchange>,
    ) {
        let (Some(spaces), Some(exchange)) = (&self.product.cache, exchange) else { return };
        let (space, method) = (spaces.of_environment(environment(key)), self.request.method());
        let target = (self.rest, outgoing.query());
        self.core.shared.cache.answered(space, method, target, exchange.head().status);
    }

    /// Says in the answer's head how the call went, and takes the answer if it may be kept.
    pub(super) fn take(
        &self,
        way: Way,
        exchange: &Exchange,
        micros: u32,
        head: &mut Vec<u8>,
    ) -> Option<Box<Taking>> {
        let ticket = match way {
            Way::Plain => return None,
            Way::Bypass => {
                put_result(head, Cached::Bypass);
                return None;
            }
            Way::Miss(ticket) => ticket,
        };
        put_result(head, Cached::Miss);
        let ticket = ticket.filter(|_| exchange.ends_surely())?;
        let from = exchange.head();
        ticket.offer(from, from.length, self.start.at.plus_micros(micros.into())).map(Box::new)
    }

    /// Charges the call as the upstream's answer would have been, then lets the kept one go.
    pub(super) fn deliver_kept(&self, mut call: Call, hit: &Hit, told: Told<'_>) -> Answer {
        let Ok(micros) = call.charge_kept(status(hit), &hit.entry.head.fields) else {
            return self.refuse(Some(&call.grant.key), Refusal::MeteringUnavailable, told, None);
        };
        self.hand_over_kept(hit, told, micros, Some(&mut call.grant))
    }

    pub(super) fn hand_over_kept(
        &self,
        hit: &Hit,
        told: Told<'_>,
        micros: u32,
        grant: Option<&mut Grant>,
    ) -> Answer {
        let (entry, status) = (&hit.entry, status(hit));
        let mut head = if hit.not_modified {
            self.head(&entry.not_modified(), told, grant.as_deref())
        } else {
            self.head(&entry.head, told, grant.as_deref())
        };
        head.extend_from_slice(b"age: ");
        put_number(&mut head, hit.age_secs);
        head.extend_from_slice(b"\r\n");
        put_result(&mut head, Cached::Hit);
        self.count(status, "", told, micros);
        let bodiless = hit.not_modified || self.request.is_head();
        let playback = if bodiless { None } else { Playback::of(entry) };
        let length = if hit.not_modified { None } else { entry.head.length };
        let relay = Box::new(Relay::kept(playback, self.finish(status, told, grant)));
        Answer { status, head, body: AnswerBody::Relay { relay, length } }
    }
}

fn status(hit: &Hit) -> u16 {
    if hit.not_modified { 304 } else { hit.entry.head.status }
}

/// Products without keys have one environment.
fn environment(key: Option<&KeyRecord>) -> Environment {
    key.map_or(Environment::Live, |key| key.environment)
}

fn put_result(head: &mut Vec<u8>, result: Cached) {
    answer::put(head, &[b"x-keytoll-cache: ", result.as_str().as_bytes(), b"\r\n"]);
}
