//! The answer to a question as JSON, written as it is read: one text behind the other. A tree of values would cost
//! many times the decision.

use keytoll_domain::catalog::ErrorTexts;
use keytoll_domain::limits::Standings;
use keytoll_domain::refusal::Refusal;

use super::Verdict;
use crate::answer::{self, Context, ceil_secs, put, put_integer, put_number};
use crate::core::Shared;
use crate::identity::put_id;
use crate::keytable::{KeyRecord, SubscriptionState};
use crate::route::Routes;

/// Room for most answers.
const ANSWER_BYTES: usize = 768;

impl Verdict {
    /// The answer of `POST /v1/keys/verify`.
    pub(crate) fn json(&self, shared: &Shared) -> Vec<u8> {
        let mut out = Vec::with_capacity(ANSWER_BYTES);
        match self.refusal {
            None => {
                out.extend_from_slice(b"{\"valid\":true,\"code\":\"valid\",\"error\":null");
            }
            Some(refusal) => {
                put(
                    &mut out,
                    &[b"{\"valid\":false,\"code\":\"", refusal.code().as_bytes(), b"\",\"error\":"],
                );
                self.put_error(&mut out, shared, refusal);
            }
        }
        if let Some(key) = &self.key {
            put_key(&mut out, shared, key);
            out.extend_from_slice(b",\"ratelimits\":");
            put_limits(&mut out, &self.standings);
        }
        out.push(b'}');
        out
    }

    fn put_error(&self, out: &mut Vec<u8>, shared: &Shared, refusal: Refusal) {
        if let Some(scope) = &self.missing_scope {
            // The scope is as the question had it.
            put_text(out, &format!("{}: {scope}", refusal.error(ErrorTexts::Standard)));
            return;
        }
        answer::with_problem(refusal, &Context::default(), &shared.tables, |problem| match problem
            .subject
        {
            None => put_text(out, problem.error),
            Some(subject) => put_text(out, &format!("{}: {subject}", problem.error)),
        });
    }
}

/// Whose key it is and what it is for. Ids and slugs need no escaping.
fn put_key(out: &mut Vec<u8>, shared: &Shared, key: &KeyRecord) {
    let state = key.subscription.state.load();
    let partner = key.partner().to_bytes();
    put_id(out, b",\"keyId\":\"key_", key.id.to_bytes());
    put_id(out, b"\",\"accountId\":\"ptn_", partner);
    put_id(out, b"\",\"partnerId\":\"ptn_", partner);
    out.extend_from_slice(b"\",\"apiProductIds\":");
    put_products(out, &shared.tables.routes.load(), key, &state);
    put(out, &[b",\"environment\":\"", key.environment.as_str().as_bytes()]);
    match &state.plan.slug {
        Some(slug) => put(out, &[b"\",\"rateLimitTier\":\"", slug.as_str().as_bytes(), b"\""]),
        None => out.extend_from_slice(b"\",\"rateLimitTier\":null"),
    }
}

/// The products in the order of their ids. Most keys are for all that their plan has, which is one text for all.
fn put_products(out: &mut Vec<u8>, routes: &Routes, key: &KeyRecord, state: &SubscriptionState) {
    if key.has_all_products()
        && let Some(text) = routes.products_of(&state.plan)
    {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let text = routes.products_json(|product| key.has_product(state, product));
    out.extend_from_slice(text.as_bytes());
}

/// Where limits stand, by their names.
fn put_limits(out: &mut Vec<u8>, standings: &Standings) {
    let mut before: &[u8] = b"[{\"name\":\"";
    for one in standings.iter() {
        put(out, &[before, one.name.as_str().as_bytes(), b"\",\"limit\":"]);
        put_number(out, one.limit);
        out.extend_from_slice(b",\"remaining\":");
        put_number(out, one.remaining);
        out.extend_from_slice(b",\"reset\":");
        put_integer(out, ceil_secs(one.reset.0));
        before = b"},{\"name\":\"";
    }
    out.extend_from_slice(if standings.is_empty() { b"[]" } else { b"}]" });
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests;
