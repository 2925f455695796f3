//! The demo's labelled sample data. Every step finds out whether it was done before, so that a start that was
//! cut short is completed by the next.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use keytoll_control::catalog::{self, SpecReader};
use keytoll_control::keys::{self, NewKey, RateLimit, RollName, RollOptions};
use keytoll_control::page::PageRequest;
use keytoll_control::password::Password;
use keytoll_control::subscriptions::{NewAnchor, NewSubscription};
use keytoll_control::users::{LogIn, SignUp, SignUpError};
use keytoll_control::{Actor, Clock, Ctx, billing, ledger, staff, subscriptions, users};
use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{KeyId, PartnerId, Slug, SubscriptionId};
use keytoll_domain::key::{Environment, KeyStatus, PlainKey};
use keytoll_domain::ledger::{KeyTouch, PeriodRow, Seal, SealedBatch, UsageRow};
use keytoll_domain::period::{Anchor, Month, period_at};
use keytoll_domain::time::{Day, Timestamp};
use keytoll_domain::user::StaffRole;

pub const STAFF_EMAIL: &str = "staff@demo.example";
pub const STAFF_PASSWORD: &str = "demo-staff-pass";
pub const PARTNER_EMAIL: &str = "partner@demo.example";
pub const PARTNER_PASSWORD: &str = "demo-partner-pass";
const PARTNER_NAME: &str = "Demo Partner (sample data)";
const KEY_NAME: &str = "Demo key (sample)";
const TRAFFIC_KEY_NAME: &str = "Demo traffic (sample)";
const PLAN: &str = "shipment-tracking-starter";
const CATALOG: &str = include_str!("catalog.yaml");
const SUBSCRIPTIONS_LOOKED_AT: u32 = 1_000;
const SPEC: &[u8] = include_bytes!("shipment-tracking.yaml");
/// The sample calls' share by operation, as (method, path, percent).
const SHARES: [(&str, &str, u64); 4] = [
    ("GET", "/shipments/{number}", 55),
    ("GET", "/shipments", 25),
    ("GET", "/shipments/{number}/events", 15),
    ("GET", "/rates", 5),
];

/// The secrets of this run.
#[derive(Debug)]
pub struct Keys {
    pub shown: PlainKey,
    pub traffic: String,
}

pub async fn prepare(ctx: &Ctx, upstream: &str) -> Result<Keys> {
    let now = ctx.now();
    let this_month = period_at(Anchor::Calendar, now);
    let last_month = period_at(Anchor::Calendar, this_month.start.plus_micros(-1));
    let mut past = ctx.clone();
    past.clock = Arc::new(Fixed(last_month.start));

    apply_catalog(&past, upstream).await?;
    create_staff(ctx).await?;
    let partner = partner(&past).await?;
    let subscription = subscription(ctx, &past, partner).await?;
    let (id, shown) = key(ctx, &past, partner, subscription, KEY_NAME).await?;
    let (_, traffic) = key(ctx, &past, partner, subscription, TRAFFIC_KEY_NAME).await?;
    let yesterday = now.day().plus(-1);
    history(ctx, id, subscription, last_month.start.day(), yesterday).await?;
    billing::run_invoices(ctx, &Actor::system(), &Month::at(last_month.start).to_string()).await?;
    Ok(Keys { shown, traffic: traffic.expose().to_owned() })
}

/// Sample records are dated back by asking for them at an earlier time.
struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct Embedded;

impl SpecReader for Embedded {
    fn read(&self, _reference: &str) -> Result<Vec<u8>, String> {
        Ok(SPEC.to_vec())
    }

    fn read_beside(&self, _reference: &str, _relative: &str) -> Result<Vec<u8>, String> {
        Err("the demo's document is one file".into())
    }
}

/// The upstream's port is another at every start, so this runs every time.
async fn apply_catalog(ctx: &Ctx, upstream: &str) -> Result<()> {
    let text = CATALOG.replace("UPSTREAM", upstream);
    let catalogue = match catalog::parse(&text, &Embedded) {
        Ok(catalogue) => catalogue,
        Err(faults) => bail!("the demo's catalogue is not valid: {faults:?}"),
    };
    catalog::apply(ctx, &Actor::system(), &catalogue, false).await?;
    Ok(())
}

async fn create_staff(ctx: &Ctx) -> Result<()> {
    let password = Password::new(STAFF_PASSWORD.to_owned());
    let new = staff::NewStaff { email: STAFF_EMAIL.to_owned(), password, role: StaffRole::Owner };
    match staff::create(ctx, &Actor::system(), new).await {
        Ok(_) | Err(staff::StaffError::EmailTaken) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn partner(ctx: &Ctx) -> Result<PartnerId> {
    let password = || Password::new(PARTNER_PASSWORD.to_owned());
    let new = SignUp {
        email: PARTNER_EMAIL.to_owned(),
        password: password(),
        partner_name: PARTNER_NAME.to_owned(),
        address: None,
    };
    match users::sign_up(ctx, new).await {
        Ok(signed_in) => return signed_in.partner.context("a sign-up makes a partner"),
        Err(SignUpError::EmailTaken) => {}
        Err(error) => return Err(error.into()),
    }
    let request = LogIn { email: PARTNER_EMAIL.to_owned(), password: password(), address: None };
    let signed_in =
        users::log_in(ctx, request).await.context("the demo's partner cannot log in")?;
    let secret = signed_in.secret.expose();
    let session = users::session(ctx, secret).await?.context("a session that was just made")?;
    users::log_out(ctx, secret).await?;
    let (partner, _) = session.actor.partners.first().context("the demo's user has no partner")?;
    Ok(*partner)
}

/// The first one is dated back; when somebody has cancelled it in the portal, the next begins now.
async fn subscription(ctx: &Ctx, past: &Ctx, partner: PartnerId) -> Result<SubscriptionId> {
    let page = PageRequest { cursor: None, limit: SUBSCRIPTIONS_LOOKED_AT };
    let mut found = subscriptions::list(ctx, &Actor::system(), Some(partner), page).await?;
    found.retain(|subscription| subscription.plan.as_str() == PLAN);
    if let Some(running) = found.iter().find(|subscription| subscription.ended_at.is_none()) {
        return Ok(running.id);
    }
    let ctx = if found.is_empty() { past } else { ctx };
    let anchor = NewAnchor::Calendar;
    let new = NewSubscription { partner: Some(partner), plan: PLAN.to_owned(), anchor };
    Ok(subscriptions::create(ctx, &Actor::system(), &new).await?.id)
}

/// The key of this name: made at the first start, rolled at every later one.
async fn key(
    ctx: &Ctx,
    past: &Ctx,
    partner: PartnerId,
    subscription: SubscriptionId,
    name: &str,
) -> Result<(KeyId, PlainKey)> {
    let actor = Actor::system();
    let found = keys::list(ctx, &actor, Some(partner), PageRequest::default()).await?;
    let active = |key: &&keys::KeyView| {
        key.name == name && key.subscription == subscription && key.status == KeyStatus::Active
    };
    if let Some(key) = found.iter().find(active) {
        let options = RollOptions { name: RollName::Keep, grace_secs: 0 };
        let rolled = keys::roll(ctx, &actor, key.id, options).await?;
        return Ok((rolled.key.id, rolled.secret));
    }
    let new = NewKey {
        partner: Some(partner),
        subscription: Some(subscription),
        name: name.to_owned(),
        scopes: vec!["*".to_owned()],
        environment: Environment::Live,
        rate_limit: RateLimit::PlanOnly,
        ..NewKey::default()
    };
    let issued = keys::issue(past, &actor, new).await?;
    Ok((issued.key.id, issued.secret))
}

/// Sample calls of past days, as one batch of a node of their own. Taken once; later starts find it known.
async fn history(
    ctx: &Ctx,
    key: KeyId,
    subscription: SubscriptionId,
    first: Day,
    last: Day,
) -> Result<()> {
    let product = Slug::new("shipment-tracking")?;
    let mut usage = Vec::new();
    let mut periods: Vec<PeriodRow> = Vec::new();
    let mut total = 0;
    for day in first.0..=last.0 {
        let calls = sample_calls(day);
        let period_start = period_at(Anchor::Calendar, Day(day).start()).start;
        for (method, path, percent) in SHARES {
            let calls = calls * percent / 100;
            usage.push(UsageRow {
                key,
                day: Day(day),
                operation: OperationKey::of(&product, method, path),
                environment: Environment::Live,
                calls,
                successes: calls - calls / 40,
                units: calls,
                latency_micros: calls * (9_000 + u64::from(day.unsigned_abs() % 7) * 700),
            });
            total += calls;
            match periods.last_mut().filter(|row| row.period_start == period_start) {
                Some(row) => {
                    row.calls += calls;
                    row.units += calls;
                }
                None => periods.push(PeriodRow { subscription, period_start, calls, units: calls }),
            }
        }
    }
    let seal = Seal {
        node: "demo-history".into(),
        sequence: 1,
        segment: "sample".into(),
        first: 0,
        count: total,
        previous: "0".repeat(64),
        sha256: "0".repeat(64),
        sealed_at: last.start(),
    };
    let touches =
        vec![KeyTouch { key, last_used_at: last.plus(1).start().plus_micros(-1), calls: total }];
    ledger::take(
        ctx,
        &SealedBatch { seals: vec![seal], usage, periods, touches, refused: Vec::new() },
    )
    .await?;
    Ok(())
}

/// A working week's rhythm with some unevenness; 1970-01-01 was a Thursday.
fn sample_calls(day: i32) -> u64 {
    let weekday = (day + 3).rem_euclid(7);
    let base = if weekday < 5 { 260 } else { 90 };
    base + u64::from((day.unsigned_abs().wrapping_mul(2_654_435_761)) >> 26)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::wiring::FeedWake;

    /// Visitors of a demo try its buttons.
    #[tokio::test]
    async fn a_cancelled_subscription_does_not_keep_the_demo_from_starting() {
        let name = format!("keytoll-demo-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let config = Config {
            data_dir: folder.clone(),
            storage_url: format!("sqlite:{}", folder.join("keytoll.db").display()),
            ..crate::config::built_in().unwrap()
        };
        let ctx = crate::context::open(&config, Arc::new(FeedWake::default())).await.unwrap();
        let upstream = "http://127.0.0.1:9000";
        prepare(&ctx, upstream).await.unwrap();
        let page = PageRequest::default();
        let bought = subscriptions::list(&ctx, &Actor::system(), None, page).await.unwrap();
        subscriptions::cancel(&ctx, &Actor::system(), bought[0].id).await.unwrap();
        for _ in 0..2 {
            prepare(&ctx, upstream).await.unwrap();
        }
        let bought = subscriptions::list(&ctx, &Actor::system(), None, page).await.unwrap();
        assert_eq!(bought.len(), 2);
        ctx.store.close().await;
        std::fs::remove_dir_all(folder).unwrap();
    }
}
