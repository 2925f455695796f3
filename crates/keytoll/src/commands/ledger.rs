//! `usage export`, `ledger verify`: the calls themselves, and whether they are all there.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use keytoll_control::ledger;
use keytoll_control::page::PageRequest;
use keytoll_control::{Actor, Ctx, subscriptions};
use keytoll_domain::catalog::OperationKey;
use keytoll_domain::ids::{PartnerId, SubscriptionId};
use keytoll_domain::time::{Day, Timestamp};
use keytoll_gateway::journal::{self, Call};
use keytoll_store::product::OperationName;
use serde::Serialize;
use serde_json::json;

use crate::cli::ExportFormat;
use crate::config::Config;
use crate::output::{Output, table};

/// A call as exported: `units` is what is billed, 0 for test keys and calls no upstream answered.
#[derive(Serialize)]
struct Row<'a> {
    at: String,
    request_id: String,
    partner_id: Option<PartnerId>,
    subscription_id: String,
    key_id: String,
    environment: &'static str,
    product: &'a str,
    method: &'a str,
    path: &'a str,
    status: u16,
    calls: u8,
    units: u64,
    latency_ms: f64,
    verification: bool,
    bytes_in: Option<u64>,
    bytes_out: Option<u64>,
}

const HEADER: &str = "at,request_id,partner_id,subscription_id,key_id,environment,product,method,path,\
                      status,calls,units,latency_ms,verification,bytes_in,bytes_out";

/// Writes the calls that this node's journal keeps, those of `to` included.
///
/// A reader that went away, such as `head`, ends the export and is no error.
pub async fn export(
    ctx: &Ctx,
    config: &Config,
    from: &str,
    to: &str,
    format: ExportFormat,
    output: Output,
) -> Result<()> {
    let from: Day = from.parse().with_context(|| format!("--from `{from}`"))?;
    let to: Day = to.parse().with_context(|| format!("--to `{to}`"))?;
    if to < from {
        bail!("--to {to} is before --from {from}");
    }
    let names = ledger::operation_names(ctx).await?;
    let owners = owners(ctx).await?;
    let calls = calls(config, from.start(), to.plus(1).start())?;
    match write(calls, &names, &owners, format, output.json) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        done => done,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn write(
    calls: impl Iterator<Item = std::io::Result<Call>>,
    names: &HashMap<OperationKey, OperationName>,
    owners: &HashMap<SubscriptionId, PartnerId>,
    format: ExportFormat,
    array: bool,
) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let format = if array { ExportFormat::Jsonl } else { format };
    if format == ExportFormat::Csv {
        writeln!(out, "{HEADER}")?;
    } else if array {
        write!(out, "[")?;
    }
    for (index, call) in calls.enumerate() {
        let call = call.context("cannot read the journal")?;
        let name = names.get(&call.charge.operation);
        let texts = name.map(|name| (name.product.as_str(), &*name.method, &*name.path));
        let row = row(&call, texts.unwrap_or_default(), owners);
        match (format, array) {
            (ExportFormat::Csv, _) => writeln!(out, "{}", csv(&row))?,
            (ExportFormat::Jsonl, false) => writeln!(out, "{}", serde_json::to_string(&row)?)?,
            (ExportFormat::Jsonl, true) => {
                let comma = if index == 0 { "" } else { ",\n" };
                write!(out, "{comma}{}", serde_json::to_string(&row)?)?;
            }
        }
    }
    if array {
        writeln!(out, "]")?;
    }
    Ok(out.flush()?)
}

/// A node that never served has no journal: no calls.
fn calls(
    config: &Config,
    from: Timestamp,
    to: Timestamp,
) -> Result<Box<dyn Iterator<Item = std::io::Result<Call>>>> {
    let dir = config.data_dir.join("journal");
    match journal::read(&dir, from, to) {
        Ok(calls) => Ok(Box::new(calls)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Box::new(std::iter::empty()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", dir.display())),
    }
}

async fn owners(ctx: &Ctx) -> Result<HashMap<SubscriptionId, PartnerId>> {
    let mut owners = HashMap::new();
    let mut page = PageRequest::default();
    loop {
        let rows = subscriptions::list(ctx, &Actor::cli(), None, page).await?;
        let Some(last) = rows.last() else { return Ok(owners) };
        page.cursor = Some(last.id);
        owners.extend(rows.iter().map(|row| (row.id, row.partner)));
    }
}

fn row<'a>(
    call: &Call,
    (product, method, path): (&'a str, &'a str, &'a str),
    owners: &HashMap<SubscriptionId, PartnerId>,
) -> Row<'a> {
    let charge = &call.charge;
    let live = charge.environment == keytoll_domain::key::Environment::Live;
    Row {
        at: charge.at.rfc3339(),
        request_id: charge.request_id(),
        partner_id: owners.get(&charge.subscription).copied(),
        subscription_id: charge.subscription.to_string(),
        key_id: charge.key.to_string(),
        environment: charge.environment.as_str(),
        product,
        method,
        path,
        status: charge.status,
        calls: 1,
        units: if live { charge.units_charged.into() } else { 0 },
        latency_ms: f64::from(charge.latency_micros) / 1000.0,
        verification: charge.verification,
        bytes_in: call.end.map(|end| end.bytes_in),
        bytes_out: call.end.map(|end| end.bytes_out),
    }
}

fn csv(row: &Row<'_>) -> String {
    let optional = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    [
        row.at.clone(),
        row.request_id.clone(),
        row.partner_id.map_or_else(String::new, |id| id.to_string()),
        row.subscription_id.clone(),
        row.key_id.clone(),
        row.environment.to_owned(),
        row.product.to_owned(),
        row.method.to_owned(),
        quoted(row.path),
        row.status.to_string(),
        row.calls.to_string(),
        row.units.to_string(),
        row.latency_ms.to_string(),
        row.verification.to_string(),
        optional(row.bytes_in),
        optional(row.bytes_out),
    ]
    .join(",")
}

/// RFC 4180; a text that a spreadsheet would take for a formula is not one any more.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

/// Exit status 1 when something is wrong.
pub async fn verify(ctx: &Ctx, config: &Config, output: Output) -> Result<ExitCode> {
    let stored = ledger::stored(ctx).await?;
    let mut problems: Vec<String> = Vec::new();
    if stored.by_day != stored.by_period {
        problems.push(format!(
            "the sums by day ({} calls, {} units) differ from those by period ({} calls, {} units)",
            stored.by_day.0, stored.by_day.1, stored.by_period.0, stored.by_period.1
        ));
    }
    for chain in ledger::verify_chain(ctx, &Actor::cli()).await? {
        problems.extend(chain.breaks.iter().map(|text| format!("node {}: {text}", chain.node)));
    }
    let dir = config.data_dir.join("journal");
    let mut document = json!({
        "stored_seals": stored.seals.len(),
        "calls": stored.by_period.0,
        "units": stored.by_period.1,
        "journal": null,
    });
    match journal::verify(&dir, stored.seals) {
        Ok(report) => {
            problems.extend(report.problems.iter().map(ToString::to_string));
            document["journal"] = json!({
                "node": report.node,
                "seals": report.seals,
                "checked": report.checked,
                "gone": report.gone,
                "stored": report.stored,
                "waiting": report.waiting,
                "bad_slots": report.bad_slots,
            });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", dir.display())),
    }
    let ok = problems.is_empty();
    document["ok"] = json!(ok);
    document["problems"] = json!(problems);
    output.print(&document, || describe(&document, &problems))?;
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn describe(document: &serde_json::Value, problems: &[String]) -> String {
    let mut rows = Vec::new();
    for member in ["stored_seals", "calls", "units"] {
        rows.push(vec![member.replace('_', " "), document[member].to_string()]);
    }
    if let Some(journal) = document["journal"].as_object() {
        for (member, value) in journal {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            rows.push(vec![format!("journal {}", member.replace('_', " ")), value]);
        }
    }
    let mut text = table(&["WHAT", "VALUE"], &rows);
    if problems.is_empty() {
        text.push_str("The ledger is whole.");
    }
    for problem in problems {
        let _ = writeln!(text, "PROBLEM: {problem}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_csv_cell_is_quoted_and_never_a_formula() {
        assert_eq!(quoted("/a/{id}"), "/a/{id}");
        assert_eq!(quoted("/a,\"b\""), "\"/a,\"\"b\"\"\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
    }
}
