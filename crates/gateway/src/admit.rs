//! From a key and what it asks for to a grant or a refusal. The proxy and every kind of verification pass here,
//! so that they cannot disagree.

use std::net::IpAddr;
use std::sync::Arc;

use keytoll_domain::catalog::OperationKey;
use keytoll_domain::decide::{CallFacts, KeyFacts, Route, authenticate, decide};
use keytoll_domain::key::{Environment, KeyHash, SECRET_MAX_LEN};
use keytoll_domain::key_format::may_be_a_key;
use keytoll_domain::limits::Standings;
use keytoll_domain::refusal::Refusal;
use keytoll_domain::time::Timestamp;

use crate::cells::{self, Admitted};
use crate::core::Shared;
use crate::fields::Fields;
use crate::journal::Charge;
use crate::keytable::{KeyRecord, KeyTable};
use crate::route::{Found, Place, ProductRoute};

/// Says in an upstream's answer what the call cost.
pub(crate) const UNITS_HEADER: &str = "x-keytoll-units";

/// What a call asks for. Facts that are absent are not checked.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub now: Timestamp,
    pub product: Option<&'a ProductRoute>,
    pub found: Option<Found<'a>>,
    pub address: Option<IpAddr>,
    /// Whether the product must have a place for the key's environment.
    pub proxied: bool,
    /// Instead of what the operation costs.
    pub units: Option<u32>,
}

/// A granted call: what the ledger and the limits know of it.
pub(crate) struct Grant {
    pub key: Arc<KeyRecord>,
    pub admission: Admission,
    pub running: Running,
}

/// What a call was admitted with.
pub(crate) struct Admission {
    at: Timestamp,
    operation: OperationKey,
    /// As many as are admitted.
    units: u32,
    /// Present where the upstream says what a call costs, at most [`Self::units`]: what it costs if it does not say.
    usual_units: Option<u32>,
    admitted: Admitted,
}

/// The place that a call takes among the running ones of its key, given back when this is dropped: at the end of
/// the answer's body, or wherever the call ends before. Most keys have no such limit, and their calls no place.
#[derive(Default)]
pub(crate) struct Running(Option<Arc<KeyRecord>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(key) = &self.0 {
            key.known_cell().release();
        }
    }
}

/// The key of a secret, past the 401 checks.
pub(crate) fn known_key(
    keys: &KeyTable,
    brand: &str,
    secret: &[u8],
    now: Timestamp,
) -> Result<Arc<KeyRecord>, Refusal> {
    if secret.is_empty() || secret.len() > SECRET_MAX_LEN || !may_be_a_key(brand, secret) {
        return Err(Refusal::KeyInvalid);
    }
    let key = keys.find(&KeyHash::of(secret)).ok_or(Refusal::KeyInvalid)?;
    authenticate(&facts(&key, now), now)?;
    Ok(key)
}

/// The same, also where only a slow check can tell whose secret it is.
pub(crate) async fn any_known_key(
    shared: &Shared,
    secret: &[u8],
    now: Timestamp,
) -> Result<Arc<KeyRecord>, Refusal> {
    match known_key(&shared.tables.keys, &shared.options.brand, secret, now) {
        Err(Refusal::KeyInvalid) => shared.tables.check_slow(secret, now).await,
        known => known,
    }
}

fn facts(key: &KeyRecord, now: Timestamp) -> KeyFacts<'_> {
    key.facts(&key.subscription.state.load(), now)
}

/// Decides without the limits. Consumes nothing.
pub(crate) fn judge(key: &KeyRecord, asked: &Asked<'_>) -> Result<(), Refusal> {
    let state = key.subscription.state.load();
    let mut call = CallFacts { address: asked.address, ..CallFacts::default() };
    if let Some(product) = asked.product {
        let absent = matches!(product.place(key.environment), Place::Absent);
        call.environment_served = asked.proxied.then_some(!absent);
        call.product_in_plan = Some(key.has_product(&state, product.index));
    }
    match asked.found {
        None => {}
        Some(Found::NoPath) => call.route = Some(Route::NoPath),
        Some(Found::WrongMethod(_)) => call.route = Some(Route::WrongMethod),
        Some(Found::Operation(operation)) => {
            call.route = Some(Route::Operation);
            call.operation_in_plan = Some(operation.plans.has(state.plan.index));
            call.scopes = &operation.scopes;
        }
    }
    decide(&key.facts(&state, asked.now), &call, asked.now)
}

/// Decides and takes the units from all limits, or from none.
pub(crate) fn grant(key: &Arc<KeyRecord>, asked: &Asked<'_>) -> Result<Grant, Refusal> {
    let admission = admit(key, asked)?;
    let running = Running(admission.admitted.holds_place.then(|| key.clone()));
    Ok(Grant { key: key.clone(), admission, running })
}

/// The same for a call that runs elsewhere: its end is not seen here, so that it takes no place among the running ones.
pub(crate) fn grant_elsewhere(key: &KeyRecord, asked: &Asked<'_>) -> Result<Admission, Refusal> {
    let admission = admit(key, asked)?;
    if admission.admitted.holds_place {
        key.known_cell().release();
    }
    Ok(admission)
}

fn admit(key: &KeyRecord, asked: &Asked<'_>) -> Result<Admission, Refusal> {
    judge(key, asked)?;
    if asked.product.is_some_and(|product| product.maintenance().is_some()) {
        return Err(Refusal::Maintenance);
    }
    let (operation, units, max_units) = match (asked.found, asked.product) {
        (Some(Found::Operation(operation)), _) => {
            (operation.key, operation.units, operation.max_units.filter(|_| asked.proxied))
        }
        (_, Some(product)) => (product.no_operation, 1, None),
        (_, None) => (OperationKey::NONE, 1, None),
    };
    let usual_units = max_units.map(|_| units);
    let units = asked.units.or(max_units).unwrap_or(units);
    let mut terms = key.terms(&key.subscription.state.load());
    let limits = asked.product.and_then(|product| product.limits.as_ref());
    let product = limits.map(|limits| {
        terms.product = limits.policy;
        limits.cells.of(key.environment)
    });
    let subscription = key.subscription_cell();
    let cell = key.cell(&terms.key);
    let admitted = cells::admit(product, subscription, &cell, &terms, u64::from(units), asked.now)?;
    Ok(Admission { at: asked.now, operation, units, usual_units, admitted })
}

/// Where all limits of a key stand. Consumes nothing.
pub(crate) fn standings(key: &KeyRecord, now: Timestamp) -> Standings {
    let terms = key.terms(&key.subscription.state.load());
    cells::standings(key.subscription_cell(), &key.cell(&terms.key), &terms, now)
}

impl Grant {
    /// What the call costs if it is billed, by the upstream's answer if that is there and has a say.
    pub(crate) fn cost(&self, answer: Option<&Fields>) -> u32 {
        let Admission { units, usual_units, .. } = self.admission;
        let Some(usual) = usual_units else { return units };
        answer.and_then(units_said).map_or(usual, |said| said.min(units))
    }

    /// Where the limits stand with this call.
    pub(crate) fn standings(&self) -> &Standings {
        &self.admission.admitted.standings
    }

    /// The ledger's entry.
    pub(crate) fn charge(
        &self,
        status: u16,
        units: u32,
        latency_micros: u32,
        request: u128,
    ) -> Charge {
        let charge = self.admission.charge(&self.key, units, request);
        Charge { status, latency_micros, ..charge }
    }

    /// Gives what was admitted and is not charged back to quota and spend; the places in the windows stay
    /// used. The standings are those after it.
    pub(crate) fn settle(&mut self, charged_units: u32) {
        if charged_units < self.admission.units {
            self.admission.settle(&self.key, charged_units);
            self.admission.admitted.standings = standings(&self.key, self.admission.at);
        }
    }
}

impl Admission {
    /// The ledger's entry of a verification.
    pub(crate) fn verification(&self, key: &KeyRecord, request: u128) -> Charge {
        Charge { verification: true, ..self.charge(key, self.units, request) }
    }

    pub(crate) fn into_standings(self) -> Standings {
        self.admitted.standings
    }

    /// Gives what is not charged back to quota and spend.
    pub(crate) fn settle(&self, key: &KeyRecord, charged_units: u32) {
        let (admitted, charged) = (u64::from(self.units), u64::from(charged_units));
        self.admitted.settle(key.subscription_cell(), admitted, charged);
    }

    /// The ledger's entry of a call that went well. Test calls are in it with no units charged.
    fn charge(&self, key: &KeyRecord, units: u32, request: u128) -> Charge {
        let live = key.environment == Environment::Live;
        Charge {
            at: self.at,
            key: key.id,
            subscription: key.subscription.id,
            period_start: self.admitted.period_start,
            operation: self.operation,
            environment: key.environment,
            status: 200,
            units_admitted: self.units,
            units_charged: if live { units } else { 0 },
            latency_micros: 0,
            request,
            verification: false,
        }
    }
}

/// The number in the only `X-Keytoll-Units` of an answer; what is no number is not there.
fn units_said(answer: &Fields) -> Option<u32> {
    let mut said = answer.named(UNITS_HEADER);
    let text = said.next().filter(|_| said.next().is_none())?;
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let add = |sum: u32, digit: &u8| sum.saturating_mul(10).saturating_add((digit - b'0').into());
    digits.then(|| text.iter().fold(0, add))
}
