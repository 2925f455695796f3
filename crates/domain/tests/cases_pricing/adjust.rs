//! Cases of fees around the edges of a period: parts, changes of plan, credit notes, commitments.

use keytoll_domain::money::{Currency, Minor};
use keytoll_domain::period::{Anchor, Period, period_at};
use keytoll_domain::rating::{
    Line, LineKind, Share, change_plan, credit_note, days_share, prorate, tax, true_up,
};
use keytoll_domain::time::Timestamp;
use rust_decimal::Decimal;

use crate::members::{Members, Trouble, calendar_period, decimal};
use crate::metered::{currency, put_tax, settle_credits};
use crate::results::{Found, Results, minor, put, put_amount};

/// A fee for a part of its period. Cases of this model come from systems that count started days.
pub(crate) fn fee(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    let currency = currency(price)?;
    let amount = price.amount("amount")?;
    let tax_percent = price.optional_decimal("tax_percent")?;
    if let Some(unused) = given.optional_days("unused_days")? {
        let note = credit_note(amount, unused, tax_percent.unwrap_or_default(), currency)?;
        return Ok(credit_results(note.net, note.tax, currency));
    }
    if let Some(item) = given.optional_amount("credit_item")? {
        let net = Minor::from_major(item, currency)?;
        let tax = tax(net, tax_percent.unwrap_or_default(), currency)?;
        return Ok(credit_results(net, tax, currency));
    }
    let mut results = Results::new();
    let share = fee_share(&mut results, price, given)?;
    let fee = prorate(amount, share, currency)?;
    let line = base_line(amount, fee);
    put_amount(&mut results, "amount", fee, currency);
    settle_credits(&mut results, std::slice::from_ref(&line), currency, given)?;
    put_tax(&mut results, &[line], currency, tax_percent)?;
    Ok(results)
}

/// `from` to `to`, both days included, as a part of `period`: by the second.
pub(crate) fn fee_by_the_second(
    price: &mut Members,
    given: &mut Members,
) -> Result<Results, Trouble> {
    let currency = currency(price)?;
    let rule = price.optional_text("proration")?.unwrap_or_default();
    if !rule.is_empty() && !rule.starts_with("by time") && !rule.starts_with("by the second") {
        return Err(price.shape("proration", "is a rule that is not known"));
    }
    let full = period(given)?;
    let start = given.optional_time("from")?.unwrap_or(full.start);
    let end = given.optional_time("to")?.map_or(full.end, |day| day.plus_days(1));
    let fee = prorate(price.amount("amount")?, Share::of(Period { start, end }, full)?, currency)?;
    let mut results = Results::new();
    put_amount(&mut results, "amount", fee, currency);
    Ok(results)
}

/// A change of plan within a period that is paid in advance. An old fee of an earlier day is on an
/// earlier invoice; the lines are those of the invoice that the change makes.
pub(crate) fn plan_change(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    let currency = currency(price)?;
    let full = period(given)?;
    let start = given.optional_time("start")?.unwrap_or(full.start);
    let at =
        given.optional_time("change_at")?.ok_or_else(|| given.shape("change_at", "is missing"))?;
    let (old, new) = (price.amount("old_monthly")?, price.amount("new_monthly")?);
    let change = change_plan(old, new, full, start, at, currency)?;
    let mut lines = vec![("refund", change.refund), ("new fee", change.new_fee)];
    if start.day() == at.day() {
        lines.insert(0, ("old fee", change.old_fee));
    }
    let sum = Minor::checked_sum(lines.iter().map(|(_, amount)| *amount))?;
    let pair = |(name, amount): (&str, Minor)| {
        Found::Pair(name.to_owned(), Box::new(minor(amount, currency)))
    };
    let mut results = Results::new();
    put(&mut results, "lines", Found::List(lines.into_iter().map(pair).collect()));
    put_amount(&mut results, "amount", sum, currency);
    Ok(results)
}

/// A minimum for fee and usage together.
pub(crate) fn commitment(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    let currency = currency(price)?;
    let mut results = Results::new();
    let share = fee_share(&mut results, price, given)?;
    let fee = prorate(price.optional_amount("subscription")?.unwrap_or_default(), share, currency)?;
    let usage = match given.take("usage_cents") {
        Some(serde_json::Value::Array(items)) => {
            items.iter().map(decimal).sum::<Result<Decimal, Trouble>>()?
        }
        Some(single) => decimal(&single)?,
        None => Decimal::ZERO,
    };
    let usage = Minor::from_major(usage * Decimal::new(1, 2), currency)?;
    let billed = fee.checked_add(usage)?;
    let missing = true_up(price.amount("minimum")?, share, billed, currency)?;
    put_amount(&mut results, "true_up", missing, currency);
    put_amount(&mut results, "fees", billed.checked_add(missing)?, currency);
    put_amount(&mut results, "amount", billed.checked_add(missing)?, currency);
    Ok(results)
}

/// The share of the fee: `days` of `period_days`, or the started days from the start (after the
/// trial) to the end of the period or the termination.
fn fee_share(
    results: &mut Results,
    price: &mut Members,
    given: &mut Members,
) -> Result<Share, Trouble> {
    let interval = price.optional_text("interval")?;
    let anchor = price.optional_text("anchor")?;
    // When the fee is invoiced does not change what it comes to.
    let due = price.optional_text("in")?;
    if !matches!(due.as_deref(), None | Some("advance" | "arrears")) {
        return Err(price.shape("in", "is neither advance nor arrears"));
    }
    let trial_days = price.optional_whole("trial_days")?.unwrap_or_default();
    if let Some(share) = given.optional_days("days")? {
        return Ok(share);
    }
    let Some(subscribed) = given.optional_time("start")? else { return Ok(Share::WHOLE) };
    let trial_days = i64::try_from(trial_days);
    let start =
        subscribed.plus_days(trial_days.map_err(|_| price.shape("trial_days", "is too large"))?);
    put(results, "billed_at", Found::Text(start.rfc3339()));
    let full = match given.optional_period("period")? {
        Some(full) => full,
        None => period_of(interval.as_deref(), anchor.as_deref(), subscribed, start)?,
    };
    share_by_days(full, start, given.optional_time("terminate")?)
}

/// The share of a period that a case tells by its days or by its moments, days counted when they
/// start.
fn share_by_days(full: Period, start: Timestamp, end: Option<Timestamp>) -> Result<Share, Trouble> {
    let part = full.cut(start, end).ok_or_else(|| Trouble::Shape("an empty part".to_owned()))?;
    Ok(days_share(part, full)?)
}

fn period_of(
    interval: Option<&str>,
    anchor: Option<&str>,
    subscribed: Timestamp,
    at: Timestamp,
) -> Result<Period, Trouble> {
    let months = match interval {
        None | Some("month") => 1,
        Some("quarter") => 3,
        Some("semiannual" | "half_year") => 6,
        Some("year") => 12,
        Some(other) => return Err(Trouble::Shape(format!("interval {other:?}"))),
    };
    match anchor {
        None | Some("calendar") => Ok(calendar_period(months, at)),
        Some("anniversary") if months == 1 => Ok(period_at(Anchor::Anniversary(subscribed), at)),
        Some(other) => Err(Trouble::Shape(format!("anchor {other:?} with {months} months"))),
    }
}

fn period(given: &mut Members) -> Result<Period, Trouble> {
    given.optional_period("period")?.ok_or_else(|| given.shape("period", "is missing"))
}

fn base_line(unit_price: Decimal, fee: Minor) -> Line {
    Line {
        kind: LineKind::Base,
        description: "Fee".to_owned(),
        quantity: Decimal::ONE,
        unit_price,
        amount_minor: fee.0,
    }
}

fn credit_results(net: Minor, tax: Minor, currency: Currency) -> Results {
    let mut results = Results::new();
    put_amount(&mut results, "credit_excl_tax", net, currency);
    put_amount(&mut results, "tax", tax, currency);
    let total = net.checked_add(tax).expect("two amounts of one case fit together");
    put_amount(&mut results, "total", total, currency);
    results
}
