//! Invoices. A draft is written again on every run; a finalised one is never touched.

use keytoll_domain::ids::{InvoiceId, PartnerId, PlanSlug, SubscriptionId};
use keytoll_domain::money::{Currency, Minor};
use keytoll_domain::rating::Line;
use keytoll_domain::time::Timestamp;

use crate::db::query::{Row, statements};
use crate::{Result, StoreError, Tx};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, number, partner_id, subscription_id, plan, plan_version, status, currency, period_start, ",
            "period_end, units, lines, total_minor, created_at, finalised_at FROM invoices ",
            $rest
        )
    };
}

statements! { "invoices";
    INSERT = "INSERT INTO invoices (id, number, partner_id, subscription_id, plan, plan_version, status, currency, \
        period_start, period_end, units, lines, total_minor, created_at, finalised_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    UPDATE_DRAFT = "UPDATE invoices SET number = $2, status = $3, period_end = $4, units = $5, lines = $6, \
        total_minor = $7, finalised_at = $8 WHERE id = $1 AND status = 'draft'";
    BY_ID = select!("WHERE id = $1");
    BY_PERIOD = select!("WHERE subscription_id = $1 AND period_start = $2");
    PAGE_ALL = select!("WHERE id < $1 ORDER BY id DESC LIMIT $2");
    PAGE_PARTNER = select!("WHERE id < $1 AND partner_id = $3 ORDER BY id DESC LIMIT $2");
    NUMBER_DRAW = "INSERT INTO invoice_numbers (year, last) VALUES ($1, 1) \
        ON CONFLICT (year) DO UPDATE SET last = invoice_numbers.last + 1 RETURNING last";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceStatus {
    Draft,
    Finalised,
}

impl InvoiceStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Finalised => "finalised",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Draft, Self::Finalised].into_iter().find(|status| status.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceRow {
    pub id: InvoiceId,
    /// Given when it is finalised.
    pub number: Option<String>,
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    pub plan: PlanSlug,
    pub plan_version: u32,
    pub status: InvoiceStatus,
    pub currency: Currency,
    pub period_start: Timestamp,
    pub period_end: Timestamp,
    pub units: u64,
    pub lines: Vec<Line>,
    pub total: Minor,
    pub created_at: Timestamp,
    pub finalised_at: Option<Timestamp>,
}

pub async fn invoice_insert(tx: &mut Tx, invoice: &InvoiceRow) -> Result<()> {
    let query = tx.query(INSERT).text(invoice.id).text_or_null(invoice.number.as_ref());
    let query = query.text(invoice.partner).text(invoice.subscription).text(&invoice.plan);
    query
        .count(invoice.plan_version.into())
        .text(invoice.status.as_str())
        .text(invoice.currency)
        .time(invoice.period_start)
        .time(invoice.period_end)
        .count(invoice.units)
        .json(&invoice.lines)?
        .big(invoice.total.0)
        .time(invoice.created_at)
        .time_or_null(invoice.finalised_at)
        .execute()
        .await?;
    Ok(())
}

/// Writes a draft again, perhaps finalised; false if it is no draft any more.
pub async fn invoice_update_draft(tx: &mut Tx, invoice: &InvoiceRow) -> Result<bool> {
    let query = tx.query(UPDATE_DRAFT).text(invoice.id).text_or_null(invoice.number.as_ref());
    let query = query.text(invoice.status.as_str()).time(invoice.period_end).count(invoice.units);
    let query = query.json(&invoice.lines)?.big(invoice.total.0);
    Ok(query.time_or_null(invoice.finalised_at).execute().await? > 0)
}

pub async fn invoice_by_id(tx: &mut Tx, id: InvoiceId) -> Result<Option<InvoiceRow>> {
    tx.query(BY_ID).text(id).one(invoice).await
}

/// The invoice of a subscription's period; the start is that of the billed part.
pub async fn invoice_by_period(
    tx: &mut Tx,
    subscription: SubscriptionId,
    period_start: Timestamp,
) -> Result<Option<InvoiceRow>> {
    tx.query(BY_PERIOD).text(subscription).time(period_start).one(invoice).await
}

/// Newest first; of one partner, or all.
pub async fn invoice_page(
    tx: &mut Tx,
    partner: Option<PartnerId>,
    before: Option<InvoiceId>,
    limit: u32,
) -> Result<Vec<InvoiceRow>> {
    let before = before.unwrap_or(InvoiceId::from_bytes([0xff; 16]));
    let statement = if partner.is_some() { PAGE_PARTNER } else { PAGE_ALL };
    let query = tx.query(statement).text(before).big(limit.into());
    match partner {
        Some(partner) => query.text(partner).all(invoice).await,
        None => query.all(invoice).await,
    }
}

/// The next number of a year, from 1, held until the transaction ends.
pub async fn invoice_number_draw(tx: &mut Tx, year: i16) -> Result<u64> {
    let drawn = tx.query(NUMBER_DRAW).big(year.into()).one(|row| row.count("last")).await?;
    drawn.ok_or_else(|| StoreError::Internal("no invoice number was drawn".into()))
}

fn invoice(row: &Row) -> Result<InvoiceRow> {
    let version = u32::try_from(row.big("plan_version")?);
    Ok(InvoiceRow {
        id: row.parse("id")?,
        number: row.text_or_null("number")?,
        partner: row.parse("partner_id")?,
        subscription: row.parse("subscription_id")?,
        plan: row.parse("plan")?,
        plan_version: version.map_err(|_| row.corrupt("plan_version"))?,
        status: row.word("status", InvoiceStatus::parse)?,
        currency: row.parse("currency")?,
        period_start: row.time("period_start")?,
        period_end: row.time("period_end")?,
        units: row.count("units")?,
        lines: row.json("lines")?,
        total: Minor(row.big("total_minor")?),
        created_at: row.time("created_at")?,
        finalised_at: row.time_or_null("finalised_at")?,
    })
}
