//! A product's `pricing` (R29) → its plans `<product>-free`, `-starter` and `-enterprise`.
//!
//! The free plan ends at its quota; the paid ones go on and bill what is above the included calls, which is also their
//! soft quota, so that partners are warned when overage begins.

use rust_decimal::Decimal;

use keytoll_domain::catalog::{Quota, RATE_MAX, WindowLimits};
use keytoll_domain::ids::Slug;
use keytoll_domain::money::Currency;
use keytoll_domain::rating::{Overage, PlanPrice};

use super::raw::{Count, RawFree, RawPaid, RawPricing};
use super::{Fault, Place, Reader, plan};
use crate::plans::PlanDraft;
use crate::products::ProductDraft;

pub(super) fn plans(
    raw: RawPricing,
    product: &ProductDraft,
    currency: Currency,
    place: &Place,
    faults: &mut Vec<Fault>,
) -> Vec<PlanDraft> {
    let mut plans = Vec::new();
    if let Some(raw) = raw.free {
        plans.extend(free(raw, product, currency, place, faults));
    }
    for (level, raw) in [("starter", raw.starter), ("enterprise", raw.enterprise)] {
        if let Some(raw) = raw {
            plans.extend(paid(raw, level, product, currency, place, faults));
        }
    }
    plans
}

fn free(
    raw: RawFree,
    product: &ProductDraft,
    currency: Currency,
    place: &Place,
    faults: &mut Vec<Fault>,
) -> Option<PlanDraft> {
    let place = below(place, "free");
    let mut reader = Reader { place: &place, faults };
    let slug = slug(&mut reader, product, "free")?;
    let quota = reader.quota_count("/monthlyQuota", Some(raw.monthly_quota), 1);
    let limits = rate(&mut reader, raw.rate_per_second);
    let price = PlanPrice {
        currency,
        price_monthly: Decimal::ZERO,
        included_calls: quota.unwrap_or(0),
        overage_per_1000: None,
        overage: Overage::ProRata,
    };
    let quota = quota.map(|units| Quota { units, hard: true });
    Some(draft(slug, product, limits, quota, price, place.clone()))
}

fn paid(
    raw: RawPaid,
    level: &str,
    product: &ProductDraft,
    currency: Currency,
    place: &Place,
    faults: &mut Vec<Fault>,
) -> Option<PlanDraft> {
    let place = below(place, level);
    let mut reader = Reader { place: &place, faults };
    let slug = slug(&mut reader, product, level)?;
    let price_monthly = plan::price(&mut reader, "/monthlyPrice", Some(raw.monthly_price));
    let included = match raw.included_calls {
        None => Some(0),
        count => reader.quota_count("/includedCalls", count, 0),
    };
    let overage_per_1000 = plan::price(&mut reader, "/overagePer1000", raw.overage_per_1000);
    let limits = rate(&mut reader, raw.rate_per_second);
    let price = PlanPrice {
        currency,
        price_monthly: price_monthly.unwrap_or(Decimal::ZERO),
        included_calls: included.unwrap_or(0),
        // Calls without a bound are all included: nothing is above them.
        overage_per_1000: included.and(overage_per_1000),
        overage: Overage::ProRata,
    };
    if let Err(error) = price.validate() {
        reader.fault("", error);
    }
    let quota = included.filter(|units| *units > 0).map(|units| Quota { units, hard: false });
    Some(draft(slug, product, limits, quota, price, place.clone()))
}

fn draft(
    slug: Slug,
    product: &ProductDraft,
    limits: WindowLimits,
    quota: Option<Quota>,
    price: PlanPrice,
    place: Place,
) -> PlanDraft {
    PlanDraft {
        name: plan::title_of(&slug),
        description: String::new(),
        products: vec![product.id.clone()],
        operations: None,
        limits,
        quota,
        concurrency: None,
        spend_cap_minor: None,
        price,
        key_format: None,
        key_grouping: None,
        default_expiry_days: None,
        rotate_on_same_name: None,
        slug,
        place,
    }
}

fn below(place: &Place, level: &str) -> Place {
    Place { pointer: format!("{}/pricing/{level}", place.pointer), line: place.line }
}

fn slug(reader: &mut Reader, product: &ProductDraft, level: &str) -> Option<Slug> {
    reader.slug("", &format!("{}-{level}", product.id))
}

fn rate(reader: &mut Reader, per_second: Option<Count>) -> WindowLimits {
    let second = reader.count("/ratePerSecond", per_second, 1, RATE_MAX);
    WindowLimits { second, ..WindowLimits::default() }
}
