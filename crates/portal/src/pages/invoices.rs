//! Invoices: the list, and one with its lines.

use keytoll_domain::time::Timestamp;
use maud::{Markup, html};

use crate::ui::part::{Tone, empty, encode, link_button, notice, pager, state};
use crate::ui::shell::{head, plain_head};
use crate::ui::text::{counted, date};
use crate::ui::{Nav, Page};

#[derive(Clone, Debug)]
pub struct InvoiceRow {
    pub id: String,
    pub number: String,
    pub status: String,
    pub period_start: Timestamp,
    /// The period's last instant, so that a month reads 1 – 30.
    pub period_last: Timestamp,
    /// `$79.00`
    pub total: String,
}

/// `GET /invoices`
#[derive(Clone, Debug, Default)]
pub struct Invoices {
    pub rows: Vec<InvoiceRow>,
    pub next_cursor: Option<String>,
}

#[derive(Clone, Debug)]
pub struct InvoiceLine {
    pub description: String,
    pub quantity: String,
    pub unit_price: String,
    pub amount: String,
}

/// `GET /invoices/{id}`
#[derive(Clone, Debug)]
pub struct InvoicePage {
    pub row: InvoiceRow,
    pub partner: String,
    pub plan: String,
    pub currency: String,
    pub units: u64,
    pub lines: Vec<InvoiceLine>,
}

pub(crate) fn invoice_state(status: &str) -> Markup {
    let tone = match status {
        "paid" => Tone::Good,
        "finalised" | "open" => Tone::Info,
        "overdue" | "failed" => Tone::Bad,
        _ => Tone::Plain,
    };
    state(tone, status)
}

impl Page for Invoices {
    fn title(&self) -> String {
        "Invoices".into()
    }
    fn nav(&self) -> Nav {
        Nav::Invoices
    }
    fn body(&self) -> Markup {
        html! {
            (plain_head("Invoices", "One for each billing period of each subscription, fee and overage together, after the period has ended."))
            div class="card" {
                @if self.rows.is_empty() {
                    (empty("invoice", "No invoices yet", "The first one is written when your first billing period ends. Until then, usage shows what it will hold.", &link_button("/usage", "", "See usage")))
                } @else {
                    div class="scroll" { table class="table fold" {
                        thead { tr { th scope="col" { "Number" } th scope="col" { "Period" } th scope="col" { "Status" } th class="end" scope="col" { "Total" } } }
                        tbody { @for row in &self.rows { tr {
                            th scope="row" { a class="name" href={ "/invoices/" (encode(&row.id)) } { (row.number) } }
                            td data-label="Period" { span { (date(row.period_start)) " – " (date(row.period_last)) } }
                            td data-label="Status" { (invoice_state(&row.status)) }
                            td class="end" data-label="Total" { b { (row.total) } }
                        } } }
                    } }
                    (pager(self.rows.len(), "invoices", "/invoices?", self.next_cursor.as_deref()))
                }
            }
        }
    }
}

impl Page for InvoicePage {
    fn title(&self) -> String {
        format!("Invoice {}", self.row.number)
    }
    fn nav(&self) -> Nav {
        Nav::Invoices
    }
    fn body(&self) -> Markup {
        html! {
            (head(&[("/invoices", "Invoices")], &self.title(), &html! { span class="row" { (invoice_state(&self.row.status)) span { (self.partner) } } }, &html! {}))
            div class="stack" {
                @if self.row.status == "draft" {
                    (notice(Tone::Info, &html! { b { "This is a draft." } span { "Its period is still running; the numbers grow until it ends." } }))
                }
                div class="card" {
                    div class="inside" { dl class="facts" {
                        dt { "Period" } dd { (date(self.row.period_start)) " – " (date(self.row.period_last)) " (UTC)" }
                        dt { "Plan" } dd { (self.plan) }
                        dt { "Metered" } dd { (counted(self.units, "unit", "units")) }
                        dt { "Currency" } dd { (self.currency) }
                    } }
                }
                div class="card" {
                    div class="scroll" { table class="table fold" {
                        thead { tr { th scope="col" { "Description" } th class="end" scope="col" { "Quantity" } th class="end" scope="col" { "Unit price" } th class="end" scope="col" { "Amount" } } }
                        tbody { @for line in &self.lines { tr {
                            th scope="row" { span class="cut" { (line.description) } }
                            td class="end" data-label="Quantity" { span { (line.quantity) } }
                            td class="end" data-label="Unit price" { span { (line.unit_price) } }
                            td class="end" data-label="Amount" { span { (line.amount) } }
                        } } }
                        tfoot { tr { th scope="row" colspan="3" { "Total" } td class="end" data-label=(self.currency) { span { (self.row.total) } } } }
                    } }
                }
            }
        }
    }
}
