//! `invoice run`: makes the invoices of a month.

use anyhow::Result;
use keytoll_control::billing::{self, Invoice};
use keytoll_control::{Actor, Ctx};
use keytoll_domain::money::Minor;
use serde_json::json;

use crate::output::{Output, table};

pub async fn run(ctx: &Ctx, period: &str, output: Output) -> Result<()> {
    let invoices = billing::run_invoices(ctx, &Actor::cli(), period).await?;
    output.print(&json!({ "invoices": invoices }), || {
        if invoices.is_empty() {
            return format!("No period ends in {period}.");
        }
        let rows: Vec<_> = invoices.iter().map(row).collect();
        table(&["INVOICE", "STATUS", "PARTNER", "UNITS", "TOTAL"], &rows)
    })
}

fn row(invoice: &Invoice) -> Vec<String> {
    let name = invoice.number.clone().unwrap_or_else(|| invoice.id.to_string());
    let total = Minor(invoice.total_minor).major_text(invoice.currency);
    vec![
        name,
        invoice.status.to_owned(),
        invoice.partner.to_string(),
        invoice.units.to_string(),
        format!("{total} {}", invoice.currency.code()),
    ]
}
