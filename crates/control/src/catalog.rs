//! The catalogue: products and plans as one YAML text, read strictly and applied as a whole.
//!
//! [`parse`] turns the text into drafts whose every number, name and address has been checked, or into [`Fault`]s that
//! name their place. What needs the store (an operation that a plan names, a product that was imported before) is
//! checked by [`apply`], in the transaction that writes: a catalogue takes effect whole or not at all.

use std::collections::BTreeSet;

use keytoll_domain::catalog::QUOTA_MAX;
use keytoll_domain::ids::{ProductId, Slug};
use keytoll_domain::money::Currency;

use crate::fault::{Fault, Place};
use crate::plans::PlanDraft;
use crate::products::ProductDraft;

mod apply;
mod plan;
mod policy;
mod pricing;
mod product;
mod raw;
mod sources;

pub(crate) use apply::finish;
pub use apply::{Action, ApplyError, Change, Kind, apply};
pub use sources::{FileSpecs, SpecReader};

/// Longest catalogue, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 500_000;
const MAX_ALIASES: usize = 1_000;
/// Most products or plans in one catalogue.
const MAX_ENTRIES: usize = 1_000;
/// Mistakes reported at once.
const MAX_FAULTS: usize = 100;

/// A catalogue that has been read and checked as far as its text goes.
#[derive(Debug)]
pub struct Catalogue {
    pub products: Vec<ProductDraft>,
    pub plans: Vec<PlanDraft>,
}

/// Reads a catalogue. `specs` reads the OpenAPI documents that it names.
pub fn parse(text: &str, specs: &dyn SpecReader) -> Result<Catalogue, Vec<Fault>> {
    let raw = read(text).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let currency = currency(raw.currency.as_deref(), &mut faults);
    for (name, count) in [("products", raw.products.len()), ("plans", raw.plans.len())] {
        if count > MAX_ENTRIES {
            faults.push(Fault::new(format!("/{name}"), format!("more than {MAX_ENTRIES} entries")));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut catalogue = Catalogue { products: Vec::new(), plans: Vec::new() };
    for (index, entry) in raw.products.into_iter().enumerate() {
        let place = place_of("products", index, &entry.referenced);
        let mut raw = entry.value;
        let pricing = raw.pricing.take();
        let Some(draft) = product::draft(raw, &place, specs, &mut faults) else { continue };
        if let Some(pricing) = pricing {
            let plans = pricing::plans(pricing, &draft, currency, &place, &mut faults);
            catalogue.plans.extend(plans);
        }
        catalogue.products.push(draft);
    }
    for (index, entry) in raw.plans.into_iter().enumerate() {
        let place = place_of("plans", index, &entry.referenced);
        catalogue.plans.extend(plan::draft(entry.value, currency, &place, &mut faults));
    }
    find_doubles(&catalogue, &mut faults);
    faults.truncate(MAX_FAULTS);
    if faults.is_empty() { Ok(catalogue) } else { Err(faults) }
}

fn read(text: &str) -> Result<raw::RawCatalogue, Fault> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new("", format!("the catalogue has more than {MAX_BYTES} bytes")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map(|at| at.line());
        let message = error.to_string();
        let message: String =
            message.lines().next().unwrap_or_default().chars().take(300).collect();
        Fault { pointer: String::new(), line, message }
    })
}

fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 2,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_recorded_anchor_events: MAX_NODES,
            max_total_scalar_bytes: MAX_BYTES,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn place_of(list: &str, index: usize, at: &serde_saphyr::Location) -> Place {
    Place { pointer: format!("/{list}/{index}"), line: Some(at.line()) }
}

fn currency(text: Option<&str>, faults: &mut Vec<Fault>) -> Currency {
    let Some(text) = text else { return Currency::USD };
    text.parse().unwrap_or_else(|error| {
        faults.push(Fault::new("/currency", error));
        Currency::USD
    })
}

fn find_doubles(catalogue: &Catalogue, faults: &mut Vec<Fault>) {
    let mut seen = BTreeSet::new();
    for product in &catalogue.products {
        if !seen.insert(&product.id) {
            faults.push(product.place.fault("/id", format!("product {} occurs twice", product.id)));
        }
    }
    let mut seen = BTreeSet::new();
    for plan in &catalogue.plans {
        if !seen.insert(&plan.slug) {
            faults.push(plan.place.fault("/id", format!("plan {} occurs twice", plan.slug)));
        }
    }
}

/// Reads members of one entry and gathers what is wrong with them.
struct Reader<'a> {
    place: &'a Place,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, below: &str, message: impl std::fmt::Display) {
        self.faults.push(self.place.fault(below, message));
    }

    fn take<T, E: std::fmt::Display>(&mut self, below: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.fault(below, error)).ok()
    }

    fn slug(&mut self, below: &str, text: &str) -> Option<Slug> {
        self.take(below, Slug::new(text))
    }

    fn slugs(&mut self, below: &str, texts: &[String]) -> Vec<ProductId> {
        let mut slugs = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let below = format!("{below}/{index}");
            let Some(slug) = self.slug(&below, text) else { continue };
            if slugs.contains(&slug) {
                self.fault(&below, format!("{slug} occurs twice"));
            }
            slugs.push(slug);
        }
        slugs
    }

    /// A whole number of the range, absent for -1.
    fn count(&mut self, below: &str, count: Option<raw::Count>, min: u64, max: u64) -> Option<u64> {
        let raw::Count(text) = count?;
        if text == "-1" {
            return None;
        }
        self.number(below, Some(raw::Count(text)), min, max)
    }

    /// A whole number of the range, as the range's own type.
    fn number<T>(&mut self, below: &str, count: Option<raw::Count>, min: T, max: T) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd + Copy + std::fmt::Display,
    {
        let raw::Count(text) = count?;
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<T>().ok());
        let number = number.flatten().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.fault(below, format!("{text} is no whole number from {min} to {max}"));
        }
        number
    }

    fn quota_count(&mut self, below: &str, count: Option<raw::Count>, min: u64) -> Option<u64> {
        self.count(below, count, min, QUOTA_MAX)
    }

    fn text(&mut self, below: &str, text: Option<String>, max_chars: usize) -> Option<String> {
        let text = text?;
        if text.chars().count() > max_chars {
            self.fault(below, format!("longer than {max_chars} characters"));
        }
        if text.contains('\0') {
            self.fault(below, "a NUL character is no text");
        }
        Some(text)
    }
}

#[cfg(test)]
pub(crate) mod tests;
