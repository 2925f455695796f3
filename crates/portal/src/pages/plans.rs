//! Plans as offers, the confirmation before buying one, and what has been bought.

use keytoll_domain::time::Timestamp;
use maud::{Markup, html};

use crate::ui::form::Problems;
use crate::ui::icon::icon;
use crate::ui::part::{Tone, empty, encode, link_button, meter, notice, pager, state};
use crate::ui::shell::{head, plain_head, primary};
use crate::ui::text::{count, counted, date};
use crate::ui::{Nav, Page};

/// A plan as a buyer reads it.
#[derive(Clone, Debug)]
pub struct PlanTerms {
    pub slug: String,
    pub name: String,
    pub description: String,
    /// `$49.00`
    pub price: String,
    /// Whole sentences: included calls, overage, quota, limits, products.
    pub terms: Vec<String>,
    pub current: bool,
}

impl PlanTerms {
    pub(crate) fn card(&self) -> Markup {
        html! {
            div class="row apart" {
                h3 class="cut" { (self.name) }
                @if self.current { (state(Tone::Good, "subscribed")) }
            }
            div class="price" { b { (self.price) } span class="muted" { "a month" } }
            @if !self.description.is_empty() { p class="muted cut" { (self.description) } }
            (ticks(&self.terms))
            @if self.current { a class="button full" href="/keys/new" { "Create key" } }
            @else { a class="button primary full" href={ "/plans/" (encode(&self.slug)) "/subscribe" } { "Choose " (self.name) } }
        }
    }
}

fn ticks(terms: &[String]) -> Markup {
    html! { ul class="ticks" { @for term in terms { li { (icon("check")) span class="cut" { (term) } } } } }
}

/// `GET /plans/{plan}/subscribe`
#[derive(Clone, Debug)]
pub struct Subscribe {
    pub plan: PlanTerms,
    pub partner: String,
    /// `1 Dec 2026`: when the first invoice is written.
    pub first_invoice: String,
    pub problems: Problems,
}

impl Page for Subscribe {
    fn title(&self) -> String {
        format!("Subscribe to {}", self.plan.name)
    }
    fn nav(&self) -> Nav {
        Nav::Catalog
    }
    fn body(&self) -> Markup {
        html! {
            (head(&[("/catalog", "API catalogue")], &self.title(), &html! { "Read what you agree to, then confirm." }, &html! {}))
            div class="stack narrow" {
                (self.problems.summary())
                div class="card" {
                    div class="plan" {
                        div class="price" { b { (self.plan.price) } span class="muted" { "a month, for " (self.partner) } }
                        (ticks(&self.plan.terms))
                    }
                    footer {
                        "The subscription starts now and renews every month until you cancel it. The first month is charged by the second for what is left of it; "
                        "the first invoice is written on " (self.first_invoice) "."
                    }
                }
                form class="buttons" method="post" action={ "/plans/" (encode(&self.plan.slug)) "/subscribe" } {
                    button class="button primary" type="submit" { "Subscribe for " (self.plan.price) " a month" }
                    a class="button plain" href="/catalog" { "Not now" }
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
pub struct SubscriptionRow {
    pub id: String,
    pub plan: String,
    pub status: &'static str,
    /// Absent when the plan's terms have changed since.
    pub price: Option<String>,
    pub period_start: Timestamp,
    pub period_end: Timestamp,
    pub units: u64,
    /// The quota, else the included calls.
    pub allowance: Option<u64>,
    pub cancellable: bool,
}

/// `GET /subscriptions`
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    pub rows: Vec<SubscriptionRow>,
    pub next_cursor: Option<String>,
    /// Set right after a purchase: the plan's name.
    pub bought: Option<String>,
}

impl Page for Subscriptions {
    fn title(&self) -> String {
        "Subscriptions".into()
    }
    fn nav(&self) -> Nav {
        Nav::Subscriptions
    }
    fn body(&self) -> Markup {
        html! {
            (head(&[], "Subscriptions", &html! { "What you have bought, and how much of this period is used." }, &primary("/catalog", "Add a plan")))
            div class="stack" {
                @if let Some(plan) = &self.bought {
                    (notice(Tone::Good, &html! { b { "You are subscribed to " (plan) "." } span { a href="/keys/new" { "Create a key" } " to make the first call." } }))
                }
                div class="card" {
                    @if self.rows.is_empty() {
                        (empty("layers", "No subscription yet", "A plan decides what your keys may call and what it costs.", &primary("/catalog", "Browse the catalogue")))
                    } @else {
                        div class="scroll" { table class="table fold" {
                            thead { tr {
                                th scope="col" { "Plan" } th scope="col" { "Status" } th scope="col" { "Used this period" }
                                th scope="col" { "Period ends" } th class="end" scope="col" { "Price" } th { span class="hush" { "Actions" } }
                            } }
                            tbody { @for row in &self.rows { (row.show()) } }
                        } }
                        (pager(self.rows.len(), "subscriptions", "/subscriptions?", self.next_cursor.as_deref()))
                    }
                }
            }
        }
    }
}

impl SubscriptionRow {
    fn show(&self) -> Markup {
        html! {
            tr {
                th scope="row" { span class="name" { (self.plan) } }
                td data-label="Status" { (subscription_state(self.status)) }
                td data-label="Used this period" {
                    div class="number" {
                        @if let Some(allowance) = self.allowance {
                            (count(self.units)) " of " (counted(allowance, "unit", "units"))
                            (meter(self.units, allowance))
                        } @else { (counted(self.units, "unit", "units")) }
                    }
                }
                td data-label="Period ends" { (date(self.period_end)) }
                td class="end" data-label="Price" { span { @match &self.price { Some(price) => { (price) " a month" } None => span class="muted" { "as bought" } } } }
                td class="end doing" {
                    @if self.cancellable {
                        a class="button plain small" href={ "/subscriptions/" (self.id) "/spend-cap" } { "Spend cap" }
                        a class="button plain small red" href={ "/subscriptions/" (self.id) "/cancel" } data-dialog { "Cancel" }
                    }
                }
            }
        }
    }
}

fn subscription_state(status: &str) -> Markup {
    match status {
        "active" => state(Tone::Good, "active"),
        "past_due" => state(Tone::Bad, "payment due"),
        "paused" => state(Tone::Warn, "paused"),
        other => state(Tone::Plain, other),
    }
}

/// `GET /subscriptions/{id}/cancel`
#[derive(Clone, Debug)]
pub struct CancelSubscription {
    pub id: String,
    pub plan: String,
    pub active_keys: Option<u64>,
}

impl Page for CancelSubscription {
    fn title(&self) -> String {
        format!("Cancel {}", self.plan)
    }
    fn nav(&self) -> Nav {
        Nav::Subscriptions
    }
    fn body(&self) -> Markup {
        html! {
            div class="stack narrow" id="ask" {
                h1 { "Cancel " (self.plan) "?" }
                p {
                    @match self.active_keys {
                        Some(0) => "It has no active keys. ",
                        Some(keys) => { "Its " b { (counted(keys, "active key", "active keys")) } " will be refused with 402 from the next call on. " }
                        None => "All of its keys will be refused with 402 from the next call on. ",
                    }
                    "What was used until now is still invoiced. This cannot be undone; you can subscribe again at any time."
                }
                form class="buttons" method="post" action={ "/subscriptions/" (self.id) "/cancel" } {
                    button class="button danger" type="submit" { "Cancel subscription" }
                    a class="button" href="/subscriptions" data-close { "Keep it" }
                }
            }
        }
    }
}

/// `GET /plans`: everything for sale.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    pub plans: Vec<PlanTerms>,
}

impl Page for Plans {
    fn title(&self) -> String {
        "Plans".into()
    }
    fn nav(&self) -> Nav {
        Nav::Catalog
    }
    fn body(&self) -> Markup {
        html! {
            (plain_head("Plans", "Everything for sale. Prices are before tax."))
            @if self.plans.is_empty() {
                div class="card" { (empty("layers", "No plan is for sale yet", "The provider has not published one.", &link_button("/catalog", "", "Back to the catalogue"))) }
            } @else {
                ul class="cards" { @for plan in &self.plans { li class="card plan" { (plan.card()) } } }
            }
        }
    }
}
