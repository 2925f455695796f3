//! Deciding and charging without proxying: the answer to "may this key make this call?" is itself a call.

mod asker;
mod form;
mod json;

use std::net::IpAddr;
use std::sync::Arc;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, PartnerId, SubscriptionId};
use keytoll_domain::key::{Environment, KeyHash};
use keytoll_domain::limits::Standings;
use keytoll_domain::refusal::Refusal;
use keytoll_domain::time::Timestamp;

use crate::admit::{self, Asked};
use crate::answer::Answer;
use crate::call::{Start, micros_since};
use crate::core::{Core, RequestId, Shared};
use crate::fields::{Fields, Name};
use crate::journal::Writer;
use crate::keytable::KeyRecord;
use crate::metrics::Outcome;
use crate::own::{self, AskedAbout};
use crate::request::Request;
use crate::route::{Found, ProductRoute};
use crate::server::source::Source;

pub(crate) use asker::LastAsker;
use form::Form;

/// Largest body of a question.
const BODY_MAX_BYTES: usize = 64 * 1024;
/// Carries the caller's management token where `Authorization` is the client's.
pub(crate) const TOKEN_HEADER: &str = "x-keytoll-auth";

/// Whose call it is.
#[derive(Clone, Copy)]
pub enum KeyRef<'a> {
    Secret(&'a [u8]),
    /// For callers that have established who asks, such as the portal's console.
    Id(KeyId),
}

/// A call to be decided. What is absent is not checked, but an allowlist without an address denies.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub key: KeyRef<'a>,
    pub product: Option<&'a str>,
    /// `METHOD /path`, or an operation's id in the document.
    pub operation: Option<&'a str>,
    pub scope: Option<&'a str>,
    pub address: Option<IpAddr>,
    /// Instead of what the operation costs.
    pub units: Option<u32>,
}

/// What came of it. `key` is absent where a 401 is the answer.
pub struct Verdict {
    pub refusal: Option<Refusal>,
    pub(crate) key: Option<Arc<KeyRecord>>,
    pub standings: Standings,
    /// A scope asked for by name that no record knows.
    missing_scope: Option<String>,
    /// Which product it counts for, where that is known.
    product: Option<Arc<ProductRoute>>,
}

/// `POST /v1/keys/verify`
pub(crate) async fn serve(
    core: &Core,
    start: &Start,
    request: &Request,
    source: &mut dyn Source,
) -> (Answer, AskedAbout) {
    match answer_of(core, start, request, source).await {
        Ok(answered) => answered,
        Err(refusal) => {
            let asked = AskedAbout { code: refusal.code(), ..AskedAbout::default() };
            (own::refuse(core, start, refusal), asked)
        }
    }
}

async fn answer_of(
    core: &Core,
    start: &Start,
    request: &Request,
    source: &mut dyn Source,
) -> Result<(Answer, AskedAbout), Refusal> {
    if !may_ask(core, &request.fields) {
        return Err(Refusal::TokenInvalid);
    }
    let body = own::body(core, source, BODY_MAX_BYTES).await?;
    let form = Form::parse(&body).ok_or(Refusal::RequestInvalid)?;
    let question = form.question();
    let now = core.now();
    let shared = &core.shared;
    let known = admit::any_known_key(shared, form.secret(), now).await;
    let verdict = decide(shared, &mut core.writer.borrow_mut(), start.id, now, known, &question);
    let micros = micros_since(start.at, core.now());
    let asked = AskedAbout {
        key: verdict.key_id(),
        code: verdict.refusal.map_or("", Refusal::code),
        micros: Some(micros),
    };
    match &verdict.product {
        Some(product) => {
            let status = verdict.refusal.map_or(200, Refusal::status);
            let outcome = Outcome { operation: OperationKey::NONE, status, code: asked.code };
            core.metrics.count((product.index, &product.id), outcome, "", micros);
        }
        None => core.metrics.count_own(200, asked.code),
    }
    if let Some(refusal) = verdict.refusal {
        core.refused(asked.key, now, refusal);
    }
    Ok((Answer::json(start.id, verdict.json(shared)), asked))
}

/// A management token that may verify, in its own header or as the bearer.
pub(crate) fn may_ask(core: &Core, fields: &Fields) -> bool {
    let bearer = fields.first(Name::Authorization);
    let bearer = bearer.and_then(|value| value.get(..7).zip(value.get(7..)));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
    is_token(core, fields) || bearer.is_some_and(|(_, token)| is_verifier(core, token))
}

/// The same where `Authorization` belongs to the client.
pub(crate) fn is_token(core: &Core, fields: &Fields) -> bool {
    let mut tokens = fields.named(TOKEN_HEADER);
    tokens.next().is_some_and(|token| is_verifier(core, token))
}

fn is_verifier(core: &Core, token: &[u8]) -> bool {
    let (keys, token) = (&core.shared.tables.keys, token.trim_ascii());
    // Read before the tokens: a change that comes between is found by the next who asks.
    let version = keys.verifiers_version();
    if core.asker.is(token, version) {
        return true;
    }
    let allowed = keys.is_verifier(&KeyHash::of(token));
    if allowed {
        core.asker.set(token, version);
    }
    allowed
}

/// The key of a question, without waiting for a slow check.
pub(crate) fn key_of(
    shared: &Shared,
    key: KeyRef<'_>,
    now: Timestamp,
) -> Result<Arc<KeyRecord>, Refusal> {
    let keys = &shared.tables.keys;
    match key {
        KeyRef::Secret(secret) => admit::known_key(keys, &shared.options.brand, secret, now),
        KeyRef::Id(id) => keys.find_id(id).ok_or(Refusal::KeyInvalid),
    }
}

/// Decides for a key, and charges a valid answer as one call.
pub(crate) fn decide(
    shared: &Shared,
    writer: &mut Writer,
    id: RequestId,
    now: Timestamp,
    known: Result<Arc<KeyRecord>, Refusal>,
    question: &Question<'_>,
) -> Verdict {
    let key = match known {
        Ok(key) => key,
        Err(refusal) => return Verdict::of_unknown(refusal),
    };
    let routes = shared.tables.routes.load();
    let product = match question.product {
        Some(name) => match routes.products.get(name).filter(|product| !product.is_keyless()) {
            Some(product) => Some(product),
            None => return Verdict::of(key, Some(Refusal::NoSuchProduct), now),
        },
        None => only_product(&key, routes.products.values()),
    };
    let found = match (question.operation, product) {
        (None, _) => None,
        (Some(_), None) => Some(Found::NoPath),
        (Some(name), Some(product)) => Some(routes.named(product, name)),
    };
    let asked = Asked {
        now,
        product: product.map(|product| &**product),
        found,
        address: question.address,
        proxied: false,
        units: question.units,
    };
    if let Some(scope) = question.scope
        && !shared.tables.holds_scope(&key.scopes, scope)
    {
        let refusal = admit::judge(&key, &asked).err();
        let scope_index = keytoll_domain::scope::ScopeIndex(u32::MAX);
        let mut verdict =
            Verdict::of(key, refusal.or(Some(Refusal::ScopeMissing(scope_index))), now);
        verdict.missing_scope = refusal.is_none().then(|| scope.to_owned());
        verdict.product = product.cloned();
        return verdict;
    }
    Verdict { product: product.cloned(), ..charge(writer, id, key, &asked) }
}

/// Grants, and writes the call into the ledger.
pub(crate) fn charge(
    writer: &mut Writer,
    id: RequestId,
    key: Arc<KeyRecord>,
    asked: &Asked<'_>,
) -> Verdict {
    if !writer.ready() {
        return Verdict::of(key, Some(Refusal::MeteringUnavailable), asked.now);
    }
    let admission = match admit::grant_elsewhere(&key, asked) {
        Ok(admission) => admission,
        Err(refusal) => return Verdict::of(key, Some(refusal), asked.now),
    };
    if writer.charge(&admission.verification(&key, id.0)).is_err() {
        admission.settle(&key, 0);
        return Verdict::of(key, Some(Refusal::MeteringUnavailable), asked.now);
    }
    Verdict {
        refusal: None,
        key: Some(key),
        standings: admission.into_standings(),
        missing_scope: None,
        product: None,
    }
}

fn only_product<'r>(
    key: &KeyRecord,
    products: impl Iterator<Item = &'r Arc<ProductRoute>>,
) -> Option<&'r Arc<ProductRoute>> {
    let state = key.subscription.state.load();
    let has = |product: &&Arc<ProductRoute>| {
        !product.is_keyless() && key.has_product(&state, product.index)
    };
    let mut of_key = products.filter(has);
    let first = of_key.next()?;
    if of_key.next().is_some() { None } else { Some(first) }
}

impl Verdict {
    pub(crate) fn of_unknown(refusal: Refusal) -> Self {
        let standings = Standings::default();
        Self { refusal: Some(refusal), key: None, standings, missing_scope: None, product: None }
    }

    pub(crate) fn of(key: Arc<KeyRecord>, refusal: Option<Refusal>, now: Timestamp) -> Self {
        if refusal.is_some_and(|refusal| refusal.status() == 401) {
            return Self {
                refusal,
                key: None,
                standings: Standings::default(),
                missing_scope: None,
                product: None,
            };
        }
        let standings = admit::standings(&key, now);
        Self { refusal, key: Some(key), standings, missing_scope: None, product: None }
    }

    pub fn key_id(&self) -> Option<KeyId> {
        self.key.as_ref().map(|key| key.id)
    }

    pub fn partner(&self) -> Option<PartnerId> {
        self.key.as_ref().map(|key| key.partner())
    }

    pub fn subscription(&self) -> Option<SubscriptionId> {
        self.key.as_ref().map(|key| key.subscription.id)
    }

    pub fn environment(&self) -> Option<Environment> {
        self.key.as_ref().map(|key| key.environment)
    }
}
