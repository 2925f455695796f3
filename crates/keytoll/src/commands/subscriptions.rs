//! `subscription`: what was bought, and the terms agreed beside the plan.

use anyhow::{Context as _, Result, bail};
use keytoll_control::page::PageRequest;
use keytoll_control::subscriptions::{self, SetTermsError, SubscriptionView, TermsPatch};
use keytoll_control::{Actor, Ctx, receipts};
use keytoll_domain::catalog::{Quota, WindowLimits};
use keytoll_domain::ids::{PartnerId, SubscriptionId};
use serde_json::json;

use super::faults;
use crate::cli::{SetSubscription, SubscriptionCommand};
use crate::output::{Output, table};

/// Written where the plan's own terms shall hold again.
const NONE: &str = "none";

pub async fn subscription(ctx: &Ctx, command: SubscriptionCommand, output: Output) -> Result<()> {
    match command {
        SubscriptionCommand::List { partner } => list(ctx, partner.as_deref(), output).await,
        SubscriptionCommand::Show { id } => {
            let found = subscriptions::show(ctx, &Actor::cli(), parse(&id)?).await;
            let found = found.with_context(|| format!("subscription `{id}`"))?;
            output.print(&found, || describe(&found))
        }
        SubscriptionCommand::Set(arguments) => set(ctx, &arguments, output).await,
    }
}

async fn list(ctx: &Ctx, partner: Option<&str>, output: Output) -> Result<()> {
    let partner: Option<PartnerId> = match partner {
        Some(text) => Some(text.parse().with_context(|| format!("--partner `{text}`"))?),
        None => None,
    };
    let mut found: Vec<SubscriptionView> = Vec::new();
    let mut page = PageRequest::default();
    loop {
        let rows = subscriptions::list(ctx, &Actor::cli(), partner, page).await?;
        let Some(last) = rows.last() else { break };
        page.cursor = Some(last.id);
        found.extend(rows);
    }
    output.print(&json!({ "subscriptions": found, "next_cursor": null }), || {
        let row = |one: &SubscriptionView| {
            let plan = format!("{} v{}", one.plan, one.plan_version);
            let status = one.status.as_str().to_owned();
            vec![one.id.to_string(), one.partner.to_string(), plan, status, terms(one)]
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        table(&["ID", "PARTNER", "PLAN", "STATUS", "BESIDE THE PLAN"], &rows)
    })
}

async fn set(ctx: &Ctx, arguments: &SetSubscription, output: Output) -> Result<()> {
    let patch = read(arguments)?;
    if patch == TermsPatch::default() {
        bail!("nothing to change: give --spend-cap, --limit, --quota or --concurrency");
    }
    let id = parse(&arguments.id)?;
    let set = match subscriptions::set_terms(ctx, &Actor::cli(), id, &patch).await {
        Ok(set) => set,
        Err(SetTermsError::Invalid(list)) => return Err(faults("nothing was changed:", &list)),
        Err(error) => return Err(anyhow::Error::new(error).context("nothing was changed")),
    };
    receipts::settle(ctx).await?;
    output.print(&set, || describe(&set))
}

fn parse(id: &str) -> Result<SubscriptionId> {
    id.parse().with_context(|| format!("subscription `{id}`"))
}

fn read(arguments: &SetSubscription) -> Result<TermsPatch> {
    let limits = match arguments.limits.as_slice() {
        [] => None,
        [none] if none == NONE => Some(None),
        given => Some(Some(windows(given)?)),
    };
    let quota = match arguments.quota.as_deref() {
        None => None,
        Some(NONE) => Some(None),
        Some(text) => Some(Some(quota(text)?)),
    };
    let concurrency = match arguments.concurrency.as_deref() {
        None => None,
        Some(NONE) => Some(None),
        Some(text) => Some(Some(text.parse().with_context(|| format!("--concurrency `{text}`"))?)),
    };
    let spend_cap = arguments.spend_cap.as_ref();
    let spend_cap = spend_cap.map(|text| (text != NONE).then(|| text.clone()));
    Ok(TermsPatch { limits, quota, concurrency, spend_cap })
}

/// `second=20`, `day=100000`: each window once.
pub fn windows(given: &[String]) -> Result<WindowLimits> {
    let mut limits = WindowLimits::default();
    for text in given {
        let form = || format!("--limit `{text}`: write it like second=20");
        let (name, units) = text.split_once('=').with_context(form)?;
        let window = match name {
            "second" => &mut limits.second,
            "minute" => &mut limits.minute,
            "hour" => &mut limits.hour,
            "day" => &mut limits.day,
            _ => bail!("--limit `{text}`: the windows are second, minute, hour and day"),
        };
        if window.replace(units.parse().with_context(form)?).is_some() {
            bail!("--limit: {name} is given twice");
        }
    }
    Ok(limits)
}

fn quota(text: &str) -> Result<Quota> {
    let form = || format!("--quota `{text}`: write it like 1000:hard or 1000:soft");
    let (units, kind) = text.split_once(':').with_context(form)?;
    let units = units.parse().with_context(form)?;
    match kind {
        "hard" => Ok(Quota { units, hard: true }),
        "soft" => Ok(Quota { units, hard: false }),
        _ => bail!(form()),
    }
}

fn describe(one: &SubscriptionView) -> String {
    format!(
        "{} of {} to {} version {}, {}; beside the plan: {}.",
        one.id,
        one.partner,
        one.plan,
        one.plan_version,
        one.status.as_str(),
        terms(one)
    )
}

/// What holds beside the plan, in short.
fn terms(one: &SubscriptionView) -> String {
    let mut terms = Vec::new();
    if let Some(WindowLimits { second, minute, hour, day }) = one.limits {
        let named = [("second", second), ("minute", minute), ("hour", hour), ("day", day)];
        let windows = named.into_iter().filter_map(|(name, units)| Some((name, units?)));
        terms.extend(windows.map(|(name, units)| format!("{units} a {name}")));
        if terms.is_empty() {
            terms.push("no windows".to_owned());
        }
    }
    if let Some(quota) = one.quota {
        terms.push(format!("quota {} {}", quota.units, if quota.hard { "hard" } else { "soft" }));
    }
    terms.extend(one.concurrency.map(|calls| format!("{calls} in flight per key")));
    terms.extend(one.spend_cap.as_ref().map(|cap| format!("spend cap {cap}")));
    if terms.is_empty() { "nothing".to_owned() } else { terms.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(limits: &[&str], quota: Option<&str>) -> SetSubscription {
        SetSubscription {
            id: "x".into(),
            spend_cap: Some("none".into()),
            limits: limits.iter().map(|text| (*text).to_owned()).collect(),
            quota: quota.map(str::to_owned),
            concurrency: Some("8".into()),
        }
    }

    #[test]
    fn flags_are_read() {
        let patch = read(&arguments(&["second=20", "day=9"], Some("1000:soft"))).unwrap();
        let limits = WindowLimits { second: Some(20), day: Some(9), ..WindowLimits::default() };
        assert_eq!(patch.limits, Some(Some(limits)));
        assert_eq!(patch.quota, Some(Some(Quota { units: 1_000, hard: false })));
        assert_eq!((patch.concurrency, patch.spend_cap), (Some(Some(8)), Some(None)));
        let patch = read(&arguments(&["none"], Some("none"))).unwrap();
        assert_eq!((patch.limits, patch.quota), (Some(None), Some(None)));
        let patch = read(&arguments(&[], None)).unwrap();
        assert_eq!((patch.limits, patch.quota), (None, None));
    }

    #[test]
    fn wrong_flags_are_named() {
        for limits in
            [&["second"][..], &["week=3"], &["day=x"], &["day=1", "day=2"], &["none", "day=1"]]
        {
            let error = read(&arguments(limits, None)).unwrap_err().to_string();
            assert!(error.starts_with("--limit"), "{limits:?}: {error}");
        }
        for quota in ["1000", "x:hard", "10:firm"] {
            assert!(read(&arguments(&[], Some(quota))).is_err(), "{quota}");
        }
    }
}
