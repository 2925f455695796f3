//! The decision on one call before its limits: grant, or the first refusal in the order of the contract.
//!
//! The caller gathers facts; what it does not know it leaves out, and that check is skipped. Only an
//! allowlist insists: without an address it denies.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::refusal::Refusal;
use crate::scope::{ScopeIndex, ScopeSet};
use crate::subscription::SubscriptionStatus;
use crate::time::Timestamp;

/// What is known of the key. Borrowed from the caller's record.
#[derive(Clone, Copy, Debug)]
pub struct KeyFacts<'a> {
    /// Revoked or disabled keys are dead.
    pub dead: bool,
    pub expires_at: Option<Timestamp>,
    pub subscription: SubscriptionStatus,
    pub allowed_ips: &'a [IpNet],
    pub scopes: &'a ScopeSet,
}

/// Where the method and path lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Operation,
    NoPath,
    WrongMethod,
}

/// What is known of the call. `None` leaves the check out.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFacts<'a> {
    /// Whether the product has a place (upstream, sandbox) for the key's environment.
    pub environment_served: Option<bool>,
    pub address: Option<IpAddr>,
    /// Whether plan and key contain the product.
    pub product_in_plan: Option<bool>,
    pub route: Option<Route>,
    pub operation_in_plan: Option<bool>,
    /// Alternatives of which one must be held whole; empty = none needed.
    pub scopes: &'a [Box<[ScopeIndex]>],
}

/// The 401 checks alone: they come before anything about the path is confirmed.
pub fn authenticate(key: &KeyFacts<'_>, now: Timestamp) -> Result<(), Refusal> {
    if key.dead {
        return Err(Refusal::KeyInvalid);
    }
    if key.expires_at.is_some_and(|end| end <= now) {
        return Err(Refusal::KeyExpired);
    }
    Ok(())
}

/// All checks but the limits, in the order of DESIGN §2: state, expiry, subscription, environment, address,
/// product, path and method, plan operation, scope.
pub fn decide(key: &KeyFacts<'_>, call: &CallFacts<'_>, now: Timestamp) -> Result<(), Refusal> {
    authenticate(key, now)?;
    match key.subscription {
        SubscriptionStatus::Active => {}
        SubscriptionStatus::PastDue => return Err(Refusal::PaymentRequired),
        SubscriptionStatus::Paused | SubscriptionStatus::Cancelled => {
            return Err(Refusal::SubscriptionInactive);
        }
    }
    if call.environment_served == Some(false) {
        return Err(Refusal::EnvironmentMismatch);
    }
    if !address_allowed(key.allowed_ips, call.address) {
        return Err(Refusal::AddressDenied);
    }
    if call.product_in_plan == Some(false) {
        return Err(Refusal::ProductNotInPlan);
    }
    match call.route {
        Some(Route::NoPath) => return Err(Refusal::NoSuchOperation),
        Some(Route::WrongMethod) => return Err(Refusal::MethodNotAllowed),
        Some(Route::Operation) | None => {}
    }
    if call.operation_in_plan == Some(false) {
        return Err(Refusal::OperationNotInPlan);
    }
    key.scopes.satisfies(call.scopes).map_err(Refusal::ScopeMissing)
}

/// An empty list restricts nothing. An IPv4 address that arrives mapped into IPv6 counts as IPv4.
fn address_allowed(allowed: &[IpNet], address: Option<IpAddr>) -> bool {
    if allowed.is_empty() {
        return true;
    }
    let Some(address) = address else { return false };
    let address = address.to_canonical();
    allowed.iter().any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests;
