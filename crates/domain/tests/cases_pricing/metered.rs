//! Cases of metered prices, plans with overage, and the arithmetic below them.

use std::collections::BTreeMap;

use keytoll_domain::money::{Currency, Minor};
use keytoll_domain::period::{Anchor, Month, Period, period_at};
use keytoll_domain::rating::{
    AlreadyBilled, Credit, Line, Model, Overage, PlanPrice, Price, Rated, Rounding, UnitRange,
    Usage, billed_units, check_ranges, rate, rate_period, round_to, settle, tax, total, true_up,
    use_included,
};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use crate::members::{Members, Trouble, decimal, time};
use crate::results::{Found, Results, amount, cents, minor, put, put_amount};

pub(crate) fn currency(price: &mut Members) -> Result<Currency, Trouble> {
    let code = price.optional_text("currency")?;
    Ok(code.unwrap_or_else(|| "USD".to_owned()).parse()?)
}

/// A price that the domain reads as it is stored.
pub(crate) fn metered(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    let currency = currency(price)?;
    let tax_percent = price.optional_decimal("tax_percent")?;
    let price = stored_price(price)?;
    if given.has("usage") {
        return by_month(&price, currency, given);
    }
    let already = AlreadyBilled {
        quantity: given.optional_decimal("already_billed_quantity")?.unwrap_or_default(),
        amount: given.optional_amount("already_billed_amount")?.unwrap_or_default(),
    };
    let quantity = given.decimal("quantity")?;
    let events = given.optional_whole("events")?.unwrap_or_default();
    let rated = rate(&price, currency, &Usage { quantity, events, already })?;
    let mut results = rated_results(&rated, currency);
    if let Model::Package { free_units, .. } = &price.model {
        let paid = use_included(quantity, *free_units, Decimal::ZERO)?.billed;
        put(&mut results, "paid_units", Found::Number(paid));
    }
    settle_credits(&mut results, &rated.lines, currency, given)?;
    put_tax(&mut results, &rated.lines, currency, tax_percent)?;
    Ok(results)
}

/// A fee with included calls and overage: what invoices are made from.
pub(crate) fn plan(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    let rounding = price.optional_text("overage_rounding")?.unwrap_or_default();
    let overage = match rounding.as_str() {
        "" => Overage::ProRata,
        text if text.starts_with("pro rata") => Overage::ProRata,
        text if text.starts_with("per started") => Overage::Package,
        text => return Err(Trouble::Shape(format!("overage_rounding {text:?}"))),
    };
    let tax_percent = price.optional_decimal("tax_percent")?;
    let price = PlanPrice {
        currency: currency(price)?,
        price_monthly: price.amount("monthly")?,
        included_calls: price.optional_whole("included")?.unwrap_or_default(),
        overage_per_1000: price.optional_amount("overage_per_1000")?,
        overage,
    };
    let start = given.optional_time("start")?;
    let full = match given.optional_period("period")? {
        Some(full) => full,
        None => period_at(Anchor::Calendar, start.unwrap_or_default()),
    };
    let period = Period { start: start.unwrap_or(full.start), ..full };
    let lines = rate_period(&price, period, full, given.whole("quantity")?)?;
    let mut results = Results::new();
    put_lines(&mut results, &lines, price.currency)?;
    settle_credits(&mut results, &lines, price.currency, given)?;
    put_tax(&mut results, &lines, price.currency, tax_percent)?;
    Ok(results)
}

/// Several metrics on one invoice, or several amounts under one minimum spend.
pub(crate) fn several(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    if given.has("usage_cents") {
        minimum_over_amounts(price, given)
    } else {
        several_metrics(price, given)
    }
}

/// Cases of a single step: tier ranges, rounding, conversion, included units.
pub(crate) fn without_model(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    if let Some(rules) = price.take("rules") {
        return ranges(&rules);
    }
    let mut results = Results::new();
    if let Some(function) = price.optional_text("function")? {
        let precision = price.optional_decimal("precision")?.unwrap_or_default();
        let places = i32::try_from(precision.mantissa());
        let places = places.map_err(|_| price.shape("precision", "is too large"))?;
        let rounded = round_to(given.decimal("value")?, rounding(&function)?, places)?;
        put(&mut results, "value", Found::Number(rounded));
    } else if price.has("divide_by") {
        let round = price.optional_text("round")?;
        let round = rounding(&round.unwrap_or_else(|| "none".to_owned()))?;
        let units = billed_units(given.decimal("quantity")?, price.decimal("divide_by")?, round)?;
        put(&mut results, "billed_units", Found::Number(units));
    } else if price.has("included") {
        let used = given.optional_decimal("already_used")?.unwrap_or_default();
        let split = use_included(given.decimal("quantity")?, price.decimal("included")?, used)?;
        put(&mut results, "billed_quantity", Found::Number(split.billed));
        put(&mut results, "discounted_quantity", Found::Number(split.covered));
    } else {
        return Err(Trouble::Shape("price has neither model nor a known step".to_owned()));
    }
    Ok(results)
}

fn several_metrics(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    let currency = currency(price)?;
    let mut quantities =
        Members::of("given.quantities", &given.take("quantities").unwrap_or_default())?;
    let (mut lines, mut found) = (Vec::new(), Vec::new());
    for item in price.list("prices")? {
        let mut item = Members::of("price.prices", &item)?;
        let metric = item.text("metric")?;
        let model = item.optional_text("model")?;
        item.set_model(model.as_deref().unwrap_or("per_unit"));
        let usage = Usage { quantity: quantities.decimal(&metric)?, ..Usage::default() };
        let rated = rate(&stored_price(&mut item)?, currency, &usage)?;
        for (mut shown, line) in line_results(&rated, currency).into_iter().zip(rated.lines) {
            put(&mut shown, "metric", Found::Text(metric.clone()));
            found.push(Found::Members(shown));
            lines.push(line);
        }
    }
    quantities.finish()?;
    let mut results = Results::new();
    put_amount(&mut results, "amount", total(&lines)?, currency);
    put(&mut results, "lines", Found::List(found));
    Ok(results)
}

fn minimum_over_amounts(price: &mut Members, given: &mut Members) -> Result<Results, Trouble> {
    let currency = currency(price)?;
    let percent = price.optional_decimal("tax_percent")?.unwrap_or_default();
    let minimum = price.amount("minimum")?;
    let share = given.optional_days("days")?.unwrap_or(keytoll_domain::rating::Share::WHOLE);
    let mut fees = Vec::new();
    for usage in given.list("usage_cents")? {
        fees.push(Minor::from_major(decimal(&usage)? * Decimal::new(1, 2), currency)?);
    }
    let missing = true_up(minimum, share, Minor::checked_sum(fees.iter().copied())?, currency)?;
    fees.push(missing);
    let taxes: Result<Vec<Minor>, _> =
        fees.iter().map(|fee| tax(*fee, percent, currency)).collect();
    let (fees, taxes) = (Minor::checked_sum(fees)?, Minor::checked_sum(taxes?)?);
    let mut results = Results::new();
    put_amount(&mut results, "true_up", missing, currency);
    put_amount(&mut results, "true_up_tax", tax(missing, percent, currency)?, currency);
    put_amount(&mut results, "fees", fees, currency);
    put_amount(&mut results, "amount", fees, currency);
    put_amount(&mut results, "tax", taxes, currency);
    put_amount(&mut results, "total", fees.checked_add(taxes)?, currency);
    Ok(results)
}

/// `usage` as pairs of day and quantity: one invoice for each calendar month.
fn by_month(price: &Price, currency: Currency, given: &mut Members) -> Result<Results, Trouble> {
    let mut months: BTreeMap<Month, Decimal> = BTreeMap::new();
    for pair in given.list("usage")? {
        let day = time(pair[0].as_str().unwrap_or_default())?;
        *months.entry(Month::at(day)).or_default() += decimal(&pair[1])?;
    }
    let (mut invoices, mut sum) = (Results::new(), Minor::ZERO);
    for (month, quantity) in months {
        let rated = rate(price, currency, &Usage { quantity, ..Usage::default() })?;
        sum = sum.checked_add(rated.total)?;
        put(&mut invoices, &month.to_string(), amount(rated.net(), rated.total, currency));
    }
    let mut results = Results::new();
    put_amount(&mut results, "amount", sum, currency);
    put(&mut results, "invoices", Found::Members(invoices));
    Ok(results)
}

fn ranges(rules: &Value) -> Result<Results, Trouble> {
    let mut rules = Members::of("price.rules", rules)?;
    let mut all = rules.list("existing")?;
    all.push(rules.take("new").unwrap_or_default());
    rules.finish()?;
    let mut checked = Vec::new();
    for rule in all {
        let whole = |value: &Value| -> Result<u64, Trouble> {
            let number = decimal(value)?;
            let count = u64::try_from(number.normalize().mantissa()).ok();
            let count = count.filter(|_| number.normalize().scale() == 0);
            count.ok_or_else(|| Trouble::Refused(format!("{value} is no unit number")))
        };
        let last = if rule[1].is_null() { None } else { Some(whole(&rule[1])?) };
        checked.push(UnitRange { first: whole(&rule[0])?, last });
    }
    check_ranges(&checked)?;
    Ok(Results::from([("valid".to_owned(), Found::Text("true".to_owned()))]))
}

fn rounding(name: &str) -> Result<Rounding, Trouble> {
    match name {
        "none" => Ok(Rounding::None),
        "up" | "ceil" => Ok(Rounding::Up),
        "down" | "floor" => Ok(Rounding::Down),
        "half_up" | "round" => Ok(Rounding::HalfUp),
        other => Err(Trouble::Shape(format!("rounding {other:?}"))),
    }
}

/// Reads all that is left of `price` as the domain's stored form, whose decimals are texts.
fn stored_price(price: &mut Members) -> Result<Price, Trouble> {
    let model = price.model().to_owned();
    let mut stored = Value::Object(price.take_rest());
    numbers_to_texts(&mut stored)?;
    stored["model"] = Value::String(model);
    serde_json::from_value(stored).map_err(|error| Trouble::Shape(format!("price: {error}")))
}

fn numbers_to_texts(value: &mut Value) -> Result<(), Trouble> {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Array(items) => items.iter_mut().try_for_each(numbers_to_texts)?,
        Value::Object(members) => check_texts(members)?,
        _ => {}
    }
    Ok(())
}

/// Texts that are no numbers are refused as the domain refuses them, not as an unknown shape.
fn check_texts(members: &mut Map<String, Value>) -> Result<(), Trouble> {
    for (name, member) in members {
        numbers_to_texts(member)?;
        if name != "round" && member.is_string() {
            decimal(member)?;
        }
    }
    Ok(())
}

fn rated_results(rated: &Rated, currency: Currency) -> Results {
    let mut results = Results::new();
    let lines = line_results(rated, currency).into_iter().map(Found::Members).collect();
    put(&mut results, "lines", Found::List(lines));
    put(&mut results, "amount", amount(rated.net(), rated.total, currency));
    put(&mut results, "amount_cents", cents(rated.total));
    put(&mut results, "before_discount", Found::Number(rated.gross()));
    put(&mut results, "discount", Found::Number(rated.discount()));
    let is_usage = |line: &&Line| line.kind == keytoll_domain::rating::LineKind::Usage;
    let units: Decimal = rated.lines.iter().filter(is_usage).map(|line| line.quantity).sum();
    put(&mut results, "billed_units", Found::Number(units));
    put(&mut results, "packages", Found::Number(units));
    results
}

fn line_results(rated: &Rated, currency: Currency) -> Vec<Results> {
    let mut found = Vec::new();
    for (line, exact) in rated.lines.iter().zip(&rated.exact) {
        let mut shown = line_result(line, currency);
        put(&mut shown, "amount", amount(exact.net(), Minor(line.amount_minor), currency));
        put(&mut shown, "discount", Found::Number(exact.discount));
        found.push(shown);
    }
    found
}

fn line_result(line: &Line, currency: Currency) -> Results {
    let kind = serde_json::to_value(line.kind).expect("a kind is a text");
    let mut shown = Results::new();
    put(&mut shown, "kind", Found::Text(kind.as_str().unwrap_or_default().to_owned()));
    put(&mut shown, "quantity", Found::Number(line.quantity));
    put(&mut shown, "unit_price", Found::Number(line.unit_price));
    put_amount(&mut shown, "amount", Minor(line.amount_minor), currency);
    shown
}

fn put_lines(results: &mut Results, lines: &[Line], currency: Currency) -> Result<(), Trouble> {
    let found = lines.iter().map(|line| Found::Members(line_result(line, currency))).collect();
    put(results, "lines", Found::List(found));
    put_amount(results, "amount", total(lines)?, currency);
    Ok(())
}

/// With `credits` given, `amount` is what is left to pay and each line shows its credit.
pub(crate) fn settle_credits(
    results: &mut Results,
    lines: &[Line],
    currency: Currency,
    given: &mut Members,
) -> Result<(), Trouble> {
    if !given.has("credits") {
        return Ok(());
    }
    let at = given.optional_time("at")?.unwrap_or_default();
    let credits: Result<Vec<Credit>, Trouble> =
        given.list("credits")?.iter().map(|credit| read_credit(credit, currency)).collect();
    let amounts: Vec<Minor> = lines.iter().map(|line| Minor(line.amount_minor)).collect();
    let settled = settle(&amounts, &credits?, at)?;
    if let Some(Found::List(shown)) = results.get_mut("lines") {
        for ((shown, paid), owed) in shown.iter_mut().zip(&settled.line_credits).zip(&amounts) {
            let Found::Members(shown) = shown else { continue };
            put(shown, "credit", minor(*paid, currency));
            put(shown, "due", minor(owed.checked_sub(*paid)?, currency));
        }
    }
    let used = settled.used.iter().map(|used| minor(*used, currency)).collect();
    put(results, "credits_used", Found::List(used));
    put_amount(results, "amount", settled.due, currency);
    Ok(())
}

fn read_credit(credit: &Value, currency: Currency) -> Result<Credit, Trouble> {
    if !credit.is_object() {
        let remaining = Minor::from_major(decimal(credit)?, currency)?;
        return Ok(Credit { remaining, priority: 0, expires_at: None });
    }
    let mut credit = Members::of("given.credits", credit)?;
    let priority = credit.optional_whole("priority")?.unwrap_or_default();
    let read = Credit {
        remaining: Minor::from_major(credit.amount("amount")?, currency)?,
        priority: u32::try_from(priority).map_err(|_| credit.shape("priority", "is too large"))?,
        expires_at: credit.optional_time("expires_at")?,
    };
    credit.finish()?;
    Ok(read)
}

pub(crate) fn put_tax(
    results: &mut Results,
    lines: &[Line],
    currency: Currency,
    percent: Option<Decimal>,
) -> Result<(), Trouble> {
    let percent = percent.unwrap_or_default();
    let mut taxes = Minor::ZERO;
    for line in lines {
        taxes = taxes.checked_add(tax(Minor(line.amount_minor), percent, currency)?)?;
    }
    put_amount(results, "tax", taxes, currency);
    put_amount(results, "total", total(lines)?.checked_add(taxes)?, currency);
    Ok(())
}
