//! The answers that are no: stable codes, statuses and the texts older clients match.

use crate::catalog::ErrorTexts;
use crate::limits::{LimitName, Limited};
use crate::scope::ScopeIndex;

/// Seconds after which a call is worth another try where only the end of another one makes room.
const CONCURRENCY_RETRY_SECS: u64 = 1;

/// Why a call was refused. `Copy`, without text: the place that answers turns it into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    RequestInvalid,
    /// The product enforces its document, and the request is against it.
    ValidationFailed,
    NoSuchProduct,
    NoSuchOperation,
    MethodNotAllowed,
    KeyMissing,
    /// Unknown, revoked or disabled: no difference is shown.
    KeyInvalid,
    KeyExpired,
    KeyInQuery,
    KeyAmbiguous,
    TokenInvalid,
    SubscriptionInactive,
    PaymentRequired,
    SpendCapReached,
    AddressDenied,
    ScopeMissing(ScopeIndex),
    OperationNotInPlan,
    ProductNotInPlan,
    EnvironmentMismatch,
    RequestTimeout,
    BodyTooLarge,
    HeaderTooLarge,
    RateLimited(Limited),
    QuotaExceeded(Limited),
    ConcurrencyLimited,
    MeteringUnavailable,
    CountersUnavailable,
    KeyCheckBusy,
    Maintenance,
}

impl Refusal {
    /// HTTP status of the refusal.
    pub fn status(self) -> u16 {
        match self {
            Self::RequestInvalid | Self::ValidationFailed => 400,
            Self::KeyMissing
            | Self::KeyInvalid
            | Self::KeyExpired
            | Self::KeyInQuery
            | Self::KeyAmbiguous
            | Self::TokenInvalid => 401,
            Self::SubscriptionInactive | Self::PaymentRequired | Self::SpendCapReached => 402,
            Self::AddressDenied
            | Self::ScopeMissing(_)
            | Self::OperationNotInPlan
            | Self::ProductNotInPlan
            | Self::EnvironmentMismatch => 403,
            Self::NoSuchProduct | Self::NoSuchOperation => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::BodyTooLarge => 413,
            Self::RateLimited(_) | Self::QuotaExceeded(_) | Self::ConcurrencyLimited => 429,
            Self::HeaderTooLarge => 431,
            Self::MeteringUnavailable
            | Self::CountersUnavailable
            | Self::KeyCheckBusy
            | Self::Maintenance => 503,
        }
    }

    /// The stable code, part of the contract.
    pub fn code(self) -> &'static str {
        match self {
            Self::RequestInvalid => "request_invalid",
            Self::ValidationFailed => "validation_failed",
            Self::NoSuchProduct => "no_such_product",
            Self::NoSuchOperation => "no_such_operation",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::KeyMissing => "key_missing",
            Self::KeyInvalid => "key_invalid",
            Self::KeyExpired => "key_expired",
            Self::KeyInQuery => "key_in_query",
            Self::KeyAmbiguous => "key_ambiguous",
            Self::TokenInvalid => "token_invalid",
            Self::SubscriptionInactive => "subscription_inactive",
            Self::PaymentRequired => "payment_required",
            Self::SpendCapReached => "spend_cap_reached",
            Self::AddressDenied => "address_denied",
            Self::ScopeMissing(_) => "scope_missing",
            Self::OperationNotInPlan => "operation_not_in_plan",
            Self::ProductNotInPlan => "product_not_in_plan",
            Self::EnvironmentMismatch => "environment_mismatch",
            Self::RequestTimeout => "request_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::HeaderTooLarge => "header_too_large",
            Self::RateLimited(_) => "rate_limited",
            Self::QuotaExceeded(_) => "quota_exceeded",
            Self::ConcurrencyLimited => "concurrency_limited",
            Self::MeteringUnavailable => "metering_unavailable",
            Self::CountersUnavailable => "counters_unavailable",
            Self::KeyCheckBusy => "key_check_busy",
            Self::Maintenance => "maintenance",
        }
    }

    /// The `error` text. A missing scope's name is appended by the caller that knows it.
    pub fn error(self, texts: ErrorTexts) -> &'static str {
        match (self, texts) {
            (Self::KeyInvalid | Self::KeyExpired, ErrorTexts::DocumentB) => {
                "Invalid or expired API key"
            }
            (Self::KeyExpired, ErrorTexts::DocumentA) => "Invalid API key",
            (Self::ScopeMissing(_), ErrorTexts::DocumentB) => "Insufficient scope",
            _ => self.standard_error(),
        }
    }

    fn standard_error(self) -> &'static str {
        match self {
            Self::RequestInvalid => "Invalid request",
            Self::ValidationFailed => "Request validation failed",
            Self::NoSuchProduct => "API product not found",
            Self::NoSuchOperation => "No such operation",
            Self::MethodNotAllowed => "Method not allowed",
            Self::KeyMissing => "API key required",
            Self::KeyInvalid => "Invalid API key",
            Self::KeyExpired => "API key expired",
            Self::KeyInQuery => "API key not accepted in the query",
            Self::KeyAmbiguous => "More than one API key",
            Self::TokenInvalid => "Invalid management token",
            Self::SubscriptionInactive => "Subscription is not active",
            Self::PaymentRequired => "Payment required",
            Self::SpendCapReached => "Spend cap reached",
            Self::AddressDenied => "IP not in allowlist",
            Self::ScopeMissing(_) => "Missing scope",
            Self::OperationNotInPlan => "Operation not in plan",
            Self::ProductNotInPlan => "Product not in plan",
            Self::EnvironmentMismatch => "Key is for another environment",
            Self::RequestTimeout => "Request timed out",
            Self::BodyTooLarge => "Body too large",
            Self::HeaderTooLarge => "Header too large",
            Self::RateLimited(_) => "Rate limit exceeded",
            Self::QuotaExceeded(_) => "Monthly quota exceeded",
            Self::ConcurrencyLimited => "Too many calls at once",
            Self::MeteringUnavailable => "Metering unavailable",
            Self::CountersUnavailable => "Counters unavailable",
            Self::KeyCheckBusy => "Key check busy",
            Self::Maintenance => "Maintenance",
        }
    }

    /// One sentence that says what to do about it.
    pub fn detail(self) -> &'static str {
        match self {
            Self::RequestInvalid => {
                "The request is malformed or ambiguous; send it again in one plain form."
            }
            Self::ValidationFailed => {
                "The request is not as the API's documentation says; see violations."
            }
            Self::NoSuchProduct => "No API of this name is served here; see the catalogue.",
            Self::NoSuchOperation => "The API has no such path; see its documentation.",
            Self::MethodNotAllowed => "The path exists with other methods; see the Allow header.",
            Self::KeyMissing => "Send your API key, for example as `Authorization: Bearer KEY`.",
            Self::KeyInvalid => "The key is unknown or no longer valid; create one in the portal.",
            Self::KeyExpired => "The key has expired; roll it or create a new one in the portal.",
            Self::KeyInQuery => "Keys in URLs end up in logs; send the key in a header.",
            Self::KeyAmbiguous => "Send exactly one API key.",
            Self::TokenInvalid => {
                "Send a valid management token with the owner, admin or verifier role."
            }
            Self::SubscriptionInactive => {
                "The subscription of this key is not active; see the portal."
            }
            Self::PaymentRequired => "An invoice is unpaid; pay it in the portal to go on.",
            Self::SpendCapReached => {
                "The spend cap of this subscription is reached; raise it in the portal."
            }
            Self::AddressDenied => {
                "This key may not be used from your address; change its allowlist in the portal."
            }
            Self::ScopeMissing(_) => {
                "The key lacks a scope this operation needs; create one that has it."
            }
            Self::OperationNotInPlan => {
                "Your plan does not contain this operation; choose another plan in the portal."
            }
            Self::ProductNotInPlan => {
                "Your plan or key does not contain this API; choose another plan in the portal."
            }
            Self::EnvironmentMismatch => "This API has no place for keys of this environment.",
            Self::RequestTimeout => "The request did not arrive in time; send it again.",
            Self::BodyTooLarge => "The request body is larger than this API takes.",
            Self::HeaderTooLarge => "The request's headers are larger than this gateway takes.",
            Self::RateLimited(_) => {
                "Too many calls in the window; wait as long as Retry-After says."
            }
            Self::QuotaExceeded(_) => {
                "The allowance of this period is used up; wait for the next or choose a larger plan."
            }
            Self::ConcurrencyLimited => {
                "Too many calls of this key are running; wait for one to end."
            }
            Self::MeteringUnavailable => {
                "Calls cannot be recorded at the moment; try again shortly."
            }
            Self::CountersUnavailable => {
                "Limits cannot be checked at the moment; try again shortly."
            }
            Self::KeyCheckBusy => "Imported keys are being checked; try again shortly.",
            Self::Maintenance => "This API is under maintenance; try again later.",
        }
    }

    /// The limit that refused, where one did.
    pub fn limited(self) -> Option<Limited> {
        match self {
            Self::RateLimited(limited) | Self::QuotaExceeded(limited) => Some(limited),
            _ => None,
        }
    }

    /// What `Retry-After` says, in seconds.
    pub fn retry_after_secs(self) -> Option<u64> {
        match self {
            Self::ConcurrencyLimited => Some(CONCURRENCY_RETRY_SECS),
            _ => self.limited().map(|limited| limited.retry_after_secs()),
        }
    }
}

impl From<Limited> for Refusal {
    fn from(limited: Limited) -> Self {
        match limited.name {
            LimitName::Quota => Self::QuotaExceeded(limited),
            LimitName::SpendCap => Self::SpendCapReached,
            LimitName::Concurrency => Self::ConcurrencyLimited,
            LimitName::Second
            | LimitName::Minute
            | LimitName::Hour
            | LimitName::Day
            | LimitName::KeySecond
            | LimitName::KeyMinute
            | LimitName::KeyHour
            | LimitName::KeyDay
            | LimitName::ProductSecond
            | LimitName::ProductMinute
            | LimitName::ProductHour
            | LimitName::ProductDay => Self::RateLimited(limited),
        }
    }
}
