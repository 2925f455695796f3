//! A new key: what may be asked for (R47), the cap (R58), the format of its plan.

use ipnet::IpNet;
use keytoll_domain::catalog::{KEY_RATE_MAX, Plan, Product, WindowLimits};
use keytoll_domain::ids::{KeyId, PartnerId, ProductId, SubscriptionId};
use keytoll_domain::key::{
    ALLOWED_IPS_MAX, DEFAULT_RATE_LIMIT_PER_MINUTE, Environment, Key, KeyWindows,
    PARTNER_RATE_LIMIT_MAX, PlainKey, parse_allowed_ip,
};
use keytoll_domain::key_format::{NewSecret, generate};
use keytoll_domain::scope::{self, is_scope};
use keytoll_domain::subscription::{Subscription, SubscriptionStatus};
use keytoll_domain::time::Timestamp;
use keytoll_store::key::{key_count_active, key_insert, key_revoke, key_same_name};
use keytoll_store::partner::partner_lock;
use keytoll_store::plan::plan_by_version;
use keytoll_store::product::product_by_id;
use keytoll_store::subscription::{subscription_by_id, subscription_page};
use keytoll_store::{StoreError, Tx};

use super::record;
use crate::actor::{Actor, Denied, Right};
use crate::ctx::Ctx;
use crate::fault::Fault;
use crate::receipts::{self, Receipt};
use crate::subscriptions::check_windows;
use crate::text::plain_name;

/// Stands beside the secret in the one answer that shows it (R58).
pub const WARNING: &str = "Store this key securely — it won't be shown again.";
const SCOPES_MAX: usize = 100;
/// Subscriptions looked at to find the only active one.
const SUBSCRIPTIONS_LOOKED_AT: u32 = 1_000;

/// What is asked for, as it was written; control decides what of it is acceptable.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// The actor's only partner when absent.
    pub partner: Option<PartnerId>,
    /// The partner's only active one when absent.
    pub subscription: Option<SubscriptionId>,
    pub name: String,
    pub scopes: Vec<String>,
    pub environment: Environment,
    /// Absent = all products of the plan.
    pub products: Option<Vec<String>>,
    pub rate_limit: RateLimit,
    /// Further windows of the key's own.
    pub windows: KeyWindows,
    /// Addresses and networks in CIDR form; none = from anywhere.
    pub allowed_ips: Vec<String>,
    pub expires_at: Option<Timestamp>,
}

/// `rateLimitPerMinute`: absent, `null`, or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateLimit {
    #[default]
    Default,
    /// Only the plan's windows.
    PlanOnly,
    PerMinute(i64),
}

/// A new key with its secret, which is shown now or never.
#[derive(Clone, Debug)]
pub struct Issued {
    pub key: Key,
    pub secret: PlainKey,
    /// Keys of the same name that this one replaced.
    pub rotated: Vec<KeyId>,
    pub receipt: Receipt,
}

#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the request is not acceptable")]
    Invalid(Vec<Fault>),
    /// `pointer` names the place in the request.
    #[error("scope `{scope}` is not one of the plan's")]
    ScopeUnknown { scope: String, pointer: String },
    /// The partner has no active subscription or several, and none was named.
    #[error("say which subscription")]
    SubscriptionRequired,
    #[error("the subscription is not active")]
    SubscriptionInactive,
    #[error("Maximum {limit} active keys per account")]
    TooMany { limit: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the key is issued under.
pub(super) struct Terms {
    pub(super) subscription: Subscription,
    pub(super) plan: Plan,
    pub(super) products: Vec<Product>,
}

/// Makes a key. A plan that rotates on the same name ends the old key of that name in the same transaction.
pub async fn issue(ctx: &Ctx, actor: &Actor, new: NewKey) -> Result<Issued, IssueError> {
    let now = ctx.now();
    let mut tx = ctx.store.write().await?;
    let terms = terms(&mut tx, actor, &new, now).await?;
    let partner = terms.subscription.partner;
    let checked = check(&new, &terms, actor, now)?;
    let NewSecret { key: secret, prefix } = draw(ctx, &terms, new.environment);
    let key = Key {
        id: KeyId::new(now, ctx.random()),
        partner,
        subscription: terms.subscription.id,
        name: checked.name,
        hash: secret.hash(),
        prefix,
        environment: new.environment,
        scopes: checked.scopes,
        products: checked.products,
        rate_limit_per_minute: checked.rate_limit_per_minute,
        windows: new.windows,
        allowed_ips: checked.allowed_ips,
        expires_at: new.expires_at.or(terms.default_expiry(now)),
        disabled_at: None,
        revoked_at: None,
        created_at: now,
        imported: false,
    };

    // The lock comes before the count: of two requests that see the last free place, one waits here.
    partner_lock(&mut tx, partner).await?;
    let rotated =
        if terms.rotates() { rotate(ctx, actor, &mut tx, &key).await? } else { Vec::new() };
    let limit = ctx.settings.active_keys_per_partner;
    if key_count_active(&mut tx, partner).await? >= u64::from(limit) {
        return Err(IssueError::TooMany { limit });
    }
    key_insert(&mut tx, &key).await?;
    let sequence = record(ctx, actor, &mut tx, "key.create", &key).await?;
    ctx.publish(tx).await?;
    let receipt = receipts::wait(ctx, sequence).await;
    Ok(Issued { key, secret, rotated, receipt })
}

/// Draws a secret in the format of the plan.
pub(super) fn draw(ctx: &Ctx, terms: &Terms, environment: Environment) -> NewSecret {
    let settings = terms.products.first().map(|product| &product.settings);
    let format = terms.plan.key_format.or(settings.and_then(|own| own.key_format));
    let grouping = terms.plan.key_grouping.or(settings.and_then(|own| own.key_grouping));
    generate(
        format.unwrap_or_default(),
        grouping.unwrap_or_default(),
        &ctx.settings.brand,
        environment,
        &mut |buffer| ctx.entropy.fill(buffer),
    )
}

/// Plan and products of a subscription.
pub(super) async fn terms_of(tx: &mut Tx, subscription: Subscription) -> Result<Terms, StoreError> {
    let missing =
        |table, column| StoreError::Corrupt { table, column, id: subscription.id.to_string() };
    let plan = plan_by_version(tx, &subscription.plan, subscription.plan_version).await?;
    let plan = plan.ok_or_else(|| missing("subscriptions", "plan_version"))?;
    let mut products = Vec::with_capacity(plan.products.len());
    for id in &plan.products {
        let found = product_by_id(tx, id).await?;
        products.push(found.ok_or_else(|| missing("plans", "terms"))?.product);
    }
    Ok(Terms { subscription, plan, products })
}

/// Finds the subscription and says whether keys may be made under it. One that the actor may not touch does
/// not exist.
async fn terms(
    tx: &mut Tx,
    actor: &Actor,
    new: &NewKey,
    now: Timestamp,
) -> Result<Terms, IssueError> {
    let subscription = match new.subscription {
        Some(id) => {
            let found = subscription_by_id(tx, id).await?.ok_or(Denied::NotFound)?;
            actor.require(found.partner, Right::Keys)?;
            if new.partner.is_some_and(|named| named != found.partner) {
                return Err(Denied::NotFound.into());
            }
            found
        }
        None => only_active(tx, actor.subject(new.partner, Right::Keys)?, now).await?,
    };
    if !is_active(&subscription, now) {
        return Err(IssueError::SubscriptionInactive);
    }
    Ok(terms_of(tx, subscription).await?)
}

async fn only_active(
    tx: &mut Tx,
    partner: PartnerId,
    now: Timestamp,
) -> Result<Subscription, IssueError> {
    let mut all = subscription_page(tx, Some(partner), None, SUBSCRIPTIONS_LOOKED_AT).await?;
    all.retain(|subscription| is_active(subscription, now));
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(IssueError::SubscriptionRequired),
    }
}

pub(super) fn is_active(subscription: &Subscription, now: Timestamp) -> bool {
    subscription.status == SubscriptionStatus::Active
        && subscription.ended_at.is_none_or(|end| end > now)
}

async fn rotate(
    ctx: &Ctx,
    actor: &Actor,
    tx: &mut Tx,
    new: &Key,
) -> Result<Vec<KeyId>, StoreError> {
    let mut rotated = Vec::new();
    for mut old in key_same_name(tx, new).await? {
        key_revoke(tx, old.id, new.created_at).await?;
        old.revoked_at = Some(new.created_at);
        record(ctx, actor, tx, "key.rotate", &old).await?;
        rotated.push(old.id);
    }
    Ok(rotated)
}

impl Terms {
    fn default_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let of_product = self.products.iter().find_map(|own| own.settings.default_expiry_days);
        let days = self.plan.default_expiry_days.or(of_product)?;
        Some(now.plus_days(days.into()))
    }

    fn rotates(&self) -> bool {
        let of_product = || self.products.iter().any(|own| own.settings.rotate_on_same_name);
        self.plan.rotate_on_same_name.unwrap_or_else(of_product)
    }

    /// Whether a key of this plan can hold the scope.
    pub(super) fn offers(&self, scope: &str) -> bool {
        scope == scope::ALL
            || self.products.iter().any(|product| product.scopes().iter().any(|own| own == scope))
    }
}

struct Checked {
    name: String,
    scopes: Vec<String>,
    products: Option<Vec<ProductId>>,
    rate_limit_per_minute: Option<u64>,
    allowed_ips: Vec<IpNet>,
}

/// Gathers every fault of the request, so that a form can show them all at once.
fn check(
    new: &NewKey,
    terms: &Terms,
    actor: &Actor,
    now: Timestamp,
) -> Result<Checked, IssueError> {
    let mut faults = Vec::new();
    let name = plain_name(&new.name).unwrap_or_else(|rule| {
        faults.push(Fault::new("/name", rule));
        String::new()
    });
    let scopes = scopes(&new.scopes, &mut faults);
    let products = new.products.as_deref().map(|named| products(named, terms, &mut faults));
    let rate_max = if actor.is_staff() { KEY_RATE_MAX } else { PARTNER_RATE_LIMIT_MAX };
    let rate_limit_per_minute = rate_limit(new.rate_limit, rate_max, &mut faults);
    let KeyWindows { second, hour, day } = new.windows;
    check_windows(WindowLimits { second, minute: None, hour, day }, rate_max, &mut faults);
    let allowed_ips = allowed_ips(&new.allowed_ips, &mut faults);
    if new.expires_at.is_some_and(|at| at <= now) {
        faults.push(Fault::new("/expiresAt", "lies in the past"));
    }
    if !faults.is_empty() {
        return Err(IssueError::Invalid(faults));
    }
    if let Some(at) = new.scopes.iter().position(|scope| !terms.offers(scope)) {
        let scope = new.scopes[at].clone();
        return Err(IssueError::ScopeUnknown { scope, pointer: format!("/scopes/{at}") });
    }
    Ok(Checked { name, scopes, products, rate_limit_per_minute, allowed_ips })
}

fn scopes(asked: &[String], faults: &mut Vec<Fault>) -> Vec<String> {
    if asked.is_empty() || asked.len() > SCOPES_MAX {
        faults.push(Fault::new("/scopes", format!("1 to {SCOPES_MAX} scopes")));
        return Vec::new();
    }
    let mut scopes: Vec<String> = Vec::with_capacity(asked.len());
    for (at, scope) in asked.iter().enumerate() {
        if !is_scope(scope) {
            faults.push(Fault::new(format!("/scopes/{at}"), "not a scope"));
        } else if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    scopes
}

fn products(asked: &[String], terms: &Terms, faults: &mut Vec<Fault>) -> Vec<ProductId> {
    if asked.is_empty() {
        faults.push(Fault::new("/apiProductIds", "at least one product, or leave it out for all"));
    }
    let mut products = Vec::new();
    for (at, text) in asked.iter().enumerate() {
        match terms.plan.products.iter().find(|own| own.as_str() == text) {
            Some(own) if products.contains(own) => {}
            Some(own) => products.push(own.clone()),
            None => {
                let message = "not a product of the plan";
                faults.push(Fault::new(format!("/apiProductIds/{at}"), message));
                break;
            }
        }
    }
    products
}

fn rate_limit(asked: RateLimit, max: u64, faults: &mut Vec<Fault>) -> Option<u64> {
    let asked = match asked {
        RateLimit::Default => return Some(DEFAULT_RATE_LIMIT_PER_MINUTE),
        RateLimit::PlanOnly => return None,
        RateLimit::PerMinute(asked) => u64::try_from(asked).unwrap_or(0),
    };
    if !(1..=max).contains(&asked) {
        faults.push(Fault::new("/rateLimitPerMinute", format!("1 to {max}, or null")));
    }
    Some(asked)
}

fn allowed_ips(asked: &[String], faults: &mut Vec<Fault>) -> Vec<IpNet> {
    if asked.len() > ALLOWED_IPS_MAX {
        faults.push(Fault::new("/allowedIPs", format!("at most {ALLOWED_IPS_MAX} entries")));
        return Vec::new();
    }
    let mut nets = Vec::with_capacity(asked.len());
    for (at, text) in asked.iter().enumerate() {
        let Some(net) = parse_allowed_ip(text) else {
            let message = "not an IP address, nor a network in CIDR form";
            faults.push(Fault::new(format!("/allowedIPs/{at}"), message));
            continue;
        };
        nets.push(net);
    }
    nets
}
