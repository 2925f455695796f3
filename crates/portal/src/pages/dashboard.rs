//! The partner's first page and its usage page.

use keytoll_domain::time::Timestamp;
use maud::{Markup, html};

use super::invoices::{InvoiceRow, invoice_state};
use super::keys::{KeyRow, UsageSummary, chart_card, last_used, usage_stats};
use crate::ui::chart::DayBar;
use crate::ui::part::{empty, encode, environment, link_button, meter};
use crate::ui::shell::{head, primary};
use crate::ui::text::{count, counted, date};
use crate::ui::{Nav, Page};

/// How much of the allowance of the running month is used.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    pub limit: u64,
    /// Hard quotas refuse beyond the limit; otherwise more is billed.
    pub hard: bool,
}

/// `GET /` for members of a partner.
#[derive(Clone, Debug)]
pub struct Dashboard {
    pub now: Timestamp,
    pub partner: String,
    pub requests_today: u64,
    pub requests_month: u64,
    pub allowance: Option<Allowance>,
    /// Of the 30 days of the chart.
    pub avg_response_ms: Option<u64>,
    pub days: Vec<DayBar>,
    pub subscribed: bool,
    pub keys: Vec<KeyRow>,
    /// `None` for members who may not see money.
    pub invoices: Option<Vec<InvoiceRow>>,
}

impl Page for Dashboard {
    fn title(&self) -> String {
        "Dashboard".into()
    }
    fn nav(&self) -> Nav {
        Nav::Dashboard
    }
    fn body(&self) -> Markup {
        let started = self.days.iter().any(|day| day.successes + day.errors > 0);
        let actions = html! { @if self.subscribed { (link_button("/keys/new", "primary", "Create key")) } @else { (primary("/catalog", "Choose a plan")) } };
        html! {
            (head(&[], &self.partner, &html! { "Numbers update by themselves, within seconds of a call. Days and months are UTC." }, &actions))
            div class="stack" {
                @if !started { (self.first_steps()) }
                (self.cards())
                (chart_card("calls", &self.days))
                div class="two" { (self.recent_keys()) @if let Some(invoices) = &self.invoices { (recent_invoices(invoices)) } }
            }
        }
    }
}

impl Dashboard {
    fn cards(&self) -> Markup {
        html! {
            div class="three keep" id="cards" data-live {
                div class="card stat" {
                    h2 { "Requests today" }
                    p class="value" { span { (count(self.requests_today)) } " " small { (if self.requests_today == 1 { "request" } else { "requests" }) } }
                    p class="note" { "since 00:00 UTC" }
                }
                div class="card stat broad" { (self.month_card()) }
                div class="card stat" {
                    h2 { "Avg response time (ms)" }
                    p class="value" { span { @match self.avg_response_ms { Some(ms) => (count(ms)), None => "–" } } " " small { "ms" } }
                    p class="note" { @if self.avg_response_ms.is_some() { "to the first byte, 30 days" } @else { "no calls yet" } }
                }
            }
        }
    }

    fn month_card(&self) -> Markup {
        let Some(allowance) = self.allowance else {
            return html! {
                h2 { "Requests this month" }
                p class="value" { span { (count(self.requests_month)) } " " small { (if self.requests_month == 1 { "request" } else { "requests" }) } }
                p class="note" { @if self.subscribed { "no monthly limit" } @else { "no plan yet" } }
            };
        };
        let share =
            self.requests_month.saturating_mul(100).checked_div(allowance.limit).unwrap_or(100);
        html! {
            h2 { "Requests this month" }
            p class="value" { span { (count(self.requests_month)) } " " small { "of " (count(allowance.limit)) } }
            (meter(self.requests_month, allowance.limit))
            p class="note" {
                (count(share)) " % used. "
                @if allowance.hard { "Calls beyond are refused." } @else { "Calls beyond are billed." }
            }
        }
    }

    fn first_steps(&self) -> Markup {
        let has_key = !self.keys.is_empty();
        html! {
            section class="card" aria-labelledby="steps-title" {
                header { h2 id="steps-title" { "Three steps to your first call" } }
                ol class="steps" {
                    li class=(if self.subscribed { "done" } else { "" }) { span { "Choose a plan" } @if !self.subscribed { (link_button("/catalog", "small", "Catalogue")) } }
                    li class=(if has_key { "done" } else { "" }) { span { "Create a key" } @if self.subscribed && !has_key { (link_button("/keys/new", "small", "Create key")) } }
                    li { span { "Make a call with it; a sample is on each API's page" } @if has_key { (link_button("/catalog", "small", "See samples")) } }
                }
            }
        }
    }

    fn recent_keys(&self) -> Markup {
        html! {
            section class="card" aria-labelledby="keys-title" {
                header { h2 id="keys-title" { "Keys" } a class="small" href="/keys" { "All keys" } }
                @if self.keys.is_empty() {
                    (empty("key", "No keys yet", "A key opens the APIs of your plan.",
                        &if self.subscribed { link_button("/keys/new", "", "Create key") } else { link_button("/catalog", "", "Choose a plan first") }))
                } @else {
                    ul class="list" { @for key in &self.keys { li {
                        div { a class="cut" href={ "/keys/" (encode(&key.id)) } { (key.name) } div class="row small" { code class="muted" { (key.prefix) "…" } (environment(key.test)) } }
                        span class="small muted nowrap" { (last_used(key.last_used_at, self.now)) }
                    } } }
                }
            }
        }
    }
}

fn recent_invoices(invoices: &[InvoiceRow]) -> Markup {
    html! {
        section class="card" aria-labelledby="invoices-title" {
            header { h2 id="invoices-title" { "Invoices" } a class="small" href="/invoices" { "All invoices" } }
            @if invoices.is_empty() {
                (empty("invoice", "No invoices yet", "The first one is written when your first billing period ends.", &html! {}))
            } @else {
                ul class="list" { @for invoice in invoices { li {
                    div { a href={ "/invoices/" (encode(&invoice.id)) } { (invoice.number) } div class="small muted" { (date(invoice.period_start)) " – " (date(invoice.period_last)) } }
                    span class="row" { (invoice_state(&invoice.status)) b class="number" { (invoice.total) } }
                } } }
            }
        }
    }
}

/// `GET /usage`
#[derive(Clone, Debug)]
pub struct Usage {
    pub days: Vec<DayBar>,
    pub summary: UsageSummary,
    /// Product id, name, successes, errors.
    pub products: Vec<(String, String, u64, u64)>,
}

impl Page for Usage {
    fn title(&self) -> String {
        "Usage".into()
    }
    fn nav(&self) -> Nav {
        Nav::Usage
    }
    fn body(&self) -> Markup {
        html! {
            (head(&[], "Usage", &html! { "Live calls of all keys. Test keys are left out; refused requests are no calls and cost nothing." }, &html! {}))
            div class="stack" {
                (usage_stats("usage-stats", self.summary))
                (chart_card("usage-chart", &self.days))
                section class="card" aria-labelledby="products-title" {
                    header { h2 id="products-title" { "By API" } span class="small muted" { "30 days" } }
                    @if self.products.is_empty() {
                        (empty("chart", "No calls yet", "Make one with a live key; it shows here within seconds.", &link_button("/keys", "", "Go to your keys")))
                    } @else {
                        div class="scroll" { table class="table fold" {
                            thead { tr { th scope="col" { "API" } th class="end" scope="col" { "Calls" } th class="end" scope="col" { "Successes" } th class="end" scope="col" { "Errors" } } }
                            tbody { @for (id, name, successes, errors) in &self.products { tr {
                                th scope="row" { a class="name" href={ "/catalog/" (encode(id)) } { (name) } }
                                td class="end" data-label="Calls" { span { (counted(successes.saturating_add(*errors), "call", "calls")) } }
                                td class="end" data-label="Successes" { span { (count(*successes)) } }
                                td class="end" data-label="Errors" { span { (count(*errors)) } }
                            } } }
                        } }
                    }
                }
            }
        }
    }
}
