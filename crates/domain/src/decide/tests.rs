use super::*;
use crate::key::parse_allowed_ip;

const NOW: Timestamp = Timestamp(1_000_000_000);

struct Case {
    dead: bool,
    expires_at: Option<Timestamp>,
    subscription: SubscriptionStatus,
    allowed: Vec<IpNet>,
    scopes: ScopeSet,
}

impl Case {
    fn good() -> Self {
        Self {
            dead: false,
            expires_at: None,
            subscription: SubscriptionStatus::Active,
            allowed: Vec::new(),
            scopes: ScopeSet::only(vec![ScopeIndex(1)]),
        }
    }

    fn decide(&self, call: &CallFacts<'_>) -> Result<(), Refusal> {
        let key = KeyFacts {
            dead: self.dead,
            expires_at: self.expires_at,
            subscription: self.subscription,
            allowed_ips: &self.allowed,
            scopes: &self.scopes,
        };
        decide(&key, call, NOW)
    }
}

#[test]
fn each_refusal_hides_all_later_ones() {
    let needs: Vec<Box<[ScopeIndex]>> = vec![Box::new([ScopeIndex(2)])];
    let mut key = Case {
        dead: true,
        expires_at: Some(NOW),
        subscription: SubscriptionStatus::PastDue,
        allowed: vec![parse_allowed_ip("10.0.0.1").unwrap()],
        scopes: ScopeSet::only(vec![]),
    };
    let mut call = CallFacts {
        environment_served: Some(false),
        address: Some("10.0.0.2".parse().unwrap()),
        product_in_plan: Some(false),
        route: Some(Route::NoPath),
        operation_in_plan: Some(false),
        scopes: &needs,
    };
    assert_eq!(key.decide(&call), Err(Refusal::KeyInvalid));
    key.dead = false;
    assert_eq!(key.decide(&call), Err(Refusal::KeyExpired));
    key.expires_at = Some(NOW.plus_micros(1));
    assert_eq!(key.decide(&call), Err(Refusal::PaymentRequired));
    key.subscription = SubscriptionStatus::Cancelled;
    assert_eq!(key.decide(&call), Err(Refusal::SubscriptionInactive));
    key.subscription = SubscriptionStatus::Active;
    assert_eq!(key.decide(&call), Err(Refusal::EnvironmentMismatch));
    call.environment_served = Some(true);
    assert_eq!(key.decide(&call), Err(Refusal::AddressDenied));
    call.address = Some("10.0.0.1".parse().unwrap());
    assert_eq!(key.decide(&call), Err(Refusal::ProductNotInPlan));
    call.product_in_plan = Some(true);
    assert_eq!(key.decide(&call), Err(Refusal::NoSuchOperation));
    call.route = Some(Route::WrongMethod);
    assert_eq!(key.decide(&call), Err(Refusal::MethodNotAllowed));
    call.route = Some(Route::Operation);
    assert_eq!(key.decide(&call), Err(Refusal::OperationNotInPlan));
    call.operation_in_plan = Some(true);
    assert_eq!(key.decide(&call), Err(Refusal::ScopeMissing(ScopeIndex(2))));
    key.scopes = ScopeSet::All;
    assert_eq!(key.decide(&call), Ok(()));
}

#[test]
fn unknown_facts_are_left_out_but_an_allowlist_needs_an_address() {
    let mut key = Case::good();
    assert_eq!(key.decide(&CallFacts::default()), Ok(()));
    key.allowed = vec![parse_allowed_ip("0.0.0.0/0").unwrap()];
    assert_eq!(key.decide(&CallFacts::default()), Err(Refusal::AddressDenied));
}

#[test]
fn addresses_match_networks_of_their_own_family() {
    let mut key = Case::good();
    let mut from = |nets: &[&str], address: &str| {
        key.allowed = nets.iter().map(|net| parse_allowed_ip(net).unwrap()).collect();
        let address = Some(address.parse().unwrap());
        key.decide(&CallFacts { address, ..CallFacts::default() }).is_ok()
    };
    assert!(from(&["127.0.0.0/24", "113.74.26.106"], "113.74.26.106"));
    assert!(from(&["127.0.0.0/24"], "::ffff:127.0.0.9"));
    assert!(!from(&["127.0.0.0/24"], "2001:db8::2"));
    assert!(from(&["2001:db8::/32"], "2001:db8::2"));
    assert!(!from(&["127.0.0.2"], "127.0.0.1"));
}
