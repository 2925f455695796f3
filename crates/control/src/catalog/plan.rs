//! A plan entry of the catalogue → [`PlanDraft`].

use rust_decimal::Decimal;

use keytoll_domain::catalog::{CONCURRENCY_MAX, PlanOperation, Quota, RATE_MAX, WindowLimits};
use keytoll_domain::ids::Slug;
use keytoll_domain::money::{self, Currency};
use keytoll_domain::rating::PlanPrice;

use super::raw::{Price, RawLimits, RawPlan, RawQuota};
use super::{Fault, Place, Reader};
use crate::plans::{PlanDraft, parse_spend_cap};
use crate::products::{check_grouping, limits};

pub(super) fn draft(
    raw: RawPlan,
    currency: Currency,
    place: &Place,
    faults: &mut Vec<Fault>,
) -> Option<PlanDraft> {
    let mut reader = Reader { place, faults };
    let slug = reader.slug("/id", &raw.id)?;
    let products = reader.slugs("/products", &raw.products);
    if raw.products.is_empty() {
        reader.fault("/products", "a plan names at least one product");
    }
    let operations = raw.operations.map(|list| operation_list(&mut reader, &list));
    let price_monthly = price(&mut reader, "/price_monthly", raw.price_monthly);
    let overage_per_1000 = price(&mut reader, "/overage_per_1000", raw.overage_per_1000);
    let unlimited = raw.included_calls.as_ref().is_some_and(|count| count.0 == "-1");
    if unlimited && overage_per_1000.is_some() {
        reader.fault(
            "/included_calls",
            "-1 leaves nothing that overage_per_1000 could be charged for",
        );
    }
    let price = PlanPrice {
        currency,
        price_monthly: price_monthly.unwrap_or(Decimal::ZERO),
        included_calls: reader.quota_count("/included_calls", raw.included_calls, 0).unwrap_or(0),
        overage_per_1000,
        overage: raw.overage,
    };
    if let Err(error) = price.validate() {
        reader.fault("", error);
    }
    let expiry =
        reader.count("/default_expiry_days", raw.default_expiry_days, 1, limits::EXPIRY_MAX_DAYS);
    if let Some(fault) = raw.key_grouping.and_then(check_grouping) {
        reader.fault(&fault.pointer, fault.message);
    }
    let concurrency = reader.count("/concurrency", raw.concurrency, 1, CONCURRENCY_MAX.into());
    let name = reader.text("/name", raw.name, limits::NAME_MAX_CHARS);
    let description = reader.text("/description", raw.description, limits::DESCRIPTION_MAX_CHARS);
    Some(PlanDraft {
        name: name.unwrap_or_else(|| title_of(&slug)),
        description: description.unwrap_or_default(),
        products,
        operations,
        limits: raw.limits.map(|raw| windows(&mut reader, raw)).unwrap_or_default(),
        quota: raw.quota.and_then(|raw| quota(&mut reader, raw)),
        concurrency: concurrency.and_then(|calls| u32::try_from(calls).ok()),
        spend_cap_minor: raw
            .spend_cap
            .and_then(|Price(text)| reader.take("/spend_cap", parse_spend_cap(&text, currency))),
        price,
        key_format: raw.key_format,
        key_grouping: raw.key_grouping,
        default_expiry_days: expiry.and_then(|days| u32::try_from(days).ok()),
        rotate_on_same_name: raw.rotate_on_same_name,
        slug,
        place: place.clone(),
    })
}

/// `shipment-tracking-free` → `Shipment tracking free`.
pub(super) fn title_of(slug: &Slug) -> String {
    let text = slug.as_str().replace('-', " ");
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

pub(super) fn price(reader: &mut Reader, below: &str, price: Option<Price>) -> Option<Decimal> {
    let Price(text) = price?;
    reader.take(below, money::parse_price(&text))
}

pub(super) fn windows(reader: &mut Reader, raw: RawLimits) -> WindowLimits {
    WindowLimits {
        second: reader.count("/limits/second", raw.second, 1, RATE_MAX),
        minute: reader.count("/limits/minute", raw.minute, 1, RATE_MAX),
        hour: reader.count("/limits/hour", raw.hour, 1, RATE_MAX),
        day: reader.count("/limits/day", raw.day, 1, RATE_MAX),
    }
}

fn quota(reader: &mut Reader, raw: RawQuota) -> Option<Quota> {
    let units = reader.quota_count("/quota/calls", Some(raw.calls), 1)?;
    Some(Quota { units, hard: raw.hard.unwrap_or(true) })
}

fn operation_list(reader: &mut Reader, list: &[String]) -> Vec<PlanOperation> {
    let mut operations = Vec::new();
    for (index, text) in list.iter().enumerate() {
        let below = format!("/operations/{index}");
        match operation(text) {
            Ok(operation) if operations.contains(&operation) => {
                reader.fault(&below, format!("{text} occurs twice"));
            }
            Ok(operation) => operations.push(operation),
            Err(message) => reader.fault(&below, message),
        }
    }
    operations
}

/// `METHOD /path`, or `PRODUCT METHOD /path`.
fn operation(text: &str) -> Result<PlanOperation, String> {
    let form = || format!("{text:?} is not of the form METHOD /path or PRODUCT METHOD /path");
    let (head, path) = text.split_once(" /").ok_or_else(form)?;
    let words: Vec<&str> = head.split_ascii_whitespace().collect();
    let (product, method) = match words[..] {
        [method] => (None, method),
        [product, method] => (Some(Slug::new(product).map_err(|error| error.to_string())?), method),
        _ => return Err(form()),
    };
    Ok(PlanOperation { product, method: method.to_ascii_uppercase(), path: format!("/{path}") })
}
