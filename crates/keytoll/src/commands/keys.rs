//! `key`, `keys import`: print what the management API answers.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Cursor, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use keytoll_control::keys::{
    self, ImportError, Imported, IssueError, KeyError, KeyView, NewKey, ROLL_WARNING, RateLimit,
    RollError, RollName, RollOptions, WARNING,
};
use keytoll_control::page::PageRequest;
use keytoll_control::receipts::Receipt;
use keytoll_control::{Actor, Ctx, Denied};
use keytoll_domain::catalog::WindowLimits;
use keytoll_domain::ids::{KeyId, PartnerId};
use keytoll_domain::key::{Environment, KeyWindows};
use keytoll_domain::time::Timestamp;
use keytoll_portal::api::keys::{KeyCreated, KeyRevoked, KeyRolled};
use serde_json::{Value, json};

use super::faults;
use super::subscriptions::windows;
use crate::cli::KeyCommand;
use crate::output::{Output, table};

/// A long import says how far it is this often.
const PROGRESS_SECS: i64 = 2;
/// Most that is read from a pipe, which is held in memory.
const PIPE_MAX_BYTES: u64 = 64 << 20;

pub async fn key(ctx: &Ctx, command: KeyCommand, output: Output) -> Result<()> {
    match command {
        KeyCommand::Create { subscription, name, scopes, environment, limits } => {
            let limits = windows(&limits)?;
            let rate_limit = limits.minute.map_or(RateLimit::PlanOnly, |units| {
                RateLimit::PerMinute(i64::try_from(units).unwrap_or(i64::MAX))
            });
            let WindowLimits { second, minute: _, hour, day } = limits;
            let new = NewKey {
                name,
                scopes: if scopes.is_empty() { vec!["*".to_owned()] } else { scopes },
                rate_limit,
                windows: KeyWindows { second, hour, day },
                ..NewKey::default()
            };
            create(ctx, &subscription, new, &environment, output).await
        }
        KeyCommand::List { partner } => list(ctx, partner.as_deref(), output).await,
        KeyCommand::Revoke { id } => revoke(ctx, &id, output).await,
        KeyCommand::Roll { id, grace } => roll(ctx, &id, grace, output).await,
    }
}

async fn create(
    ctx: &Ctx,
    subscription: &str,
    new: NewKey,
    environment: &str,
    output: Output,
) -> Result<()> {
    let subscription =
        subscription.parse().with_context(|| format!("--subscription `{subscription}`"))?;
    let Some(environment) = Environment::parse(environment) else {
        bail!("--environment: `{environment}` is neither live nor test");
    };
    let partner = keytoll_control::subscriptions::show(ctx, &Actor::cli(), subscription)
        .await
        .with_context(|| format!("--subscription `{subscription}`"))?
        .partner;
    let new =
        NewKey { partner: Some(partner), subscription: Some(subscription), environment, ..new };
    let issued = match keys::issue(ctx, &Actor::cli(), new).await {
        Ok(issued) => issued,
        Err(IssueError::Invalid(list)) => return Err(faults("the key was not created:", &list)),
        Err(error) => return Err(anyhow::Error::new(error).context("the key was not created")),
    };
    let mut document = serde_json::to_value(KeyCreated::from(&issued))?;
    document["receipt"] = json!(issued.receipt);
    output.print(&document, || format!("{}\n\n{WARNING}", issued.secret.expose()))
}

async fn list(ctx: &Ctx, partner: Option<&str>, output: Output) -> Result<()> {
    let partner: Option<PartnerId> = match partner {
        Some(text) => Some(text.parse().with_context(|| format!("--partner `{text}`"))?),
        None => None,
    };
    let mut found: Vec<KeyView> = Vec::new();
    let mut page = PageRequest::default();
    loop {
        let rows = keys::list(ctx, &Actor::cli(), partner, page).await?;
        let Some(last) = rows.last() else { break };
        page.cursor = Some(last.id);
        found.extend(rows);
    }
    output.print(&json!({ "keys": found, "next_cursor": null }), || {
        let rows: Vec<_> = found.iter().map(row).collect();
        table(&["ID", "PREFIX", "STATUS", "CALLS", "LAST USED", "NAME"], &rows)
    })
}

fn row(key: &KeyView) -> Vec<String> {
    let status = serde_json::to_value(key.status).ok();
    vec![
        key.id.to_string(),
        key.key_prefix.clone(),
        status.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(),
        key.total_requests.to_string(),
        key.last_used_at.map_or_else(|| "Never used".to_owned(), Timestamp::rfc3339),
        key.name.clone(),
    ]
}

async fn revoke(ctx: &Ctx, id: &str, output: Output) -> Result<()> {
    let id = parse(id)?;
    let changed = match keys::revoke(ctx, &Actor::cli(), id).await {
        Ok(changed) => changed,
        Err(KeyError::Denied(Denied::NotFound)) => bail!("Key not found or already revoked"),
        Err(error) => return Err(error.into()),
    };
    let receipt = changed.receipt.clone();
    let document = serde_json::to_value(KeyRevoked::from(changed))?;
    output.print(&document, || format!("Revoked {id}. {}", describe(&receipt)))
}

async fn roll(ctx: &Ctx, id: &str, grace_secs: u32, output: Output) -> Result<()> {
    let options = RollOptions { name: RollName::Keep, grace_secs };
    let rolled = match keys::roll(ctx, &Actor::cli(), parse(id)?, options).await {
        Ok(rolled) => rolled,
        Err(RollError::Denied(Denied::NotFound)) => bail!("Key not found"),
        Err(error) => return Err(error.into()),
    };
    let warning = if grace_secs == 0 {
        ROLL_WARNING.to_owned()
    } else {
        format!(
            "The old key ends in {grace_secs} seconds. Update your integration with the new key."
        )
    };
    let (secret, receipt) = (rolled.secret.clone(), rolled.receipt.clone());
    let mut document = serde_json::to_value(KeyRolled::from(rolled))?;
    document["warning"] = json!(warning);
    output.print(&document, || {
        format!("{}\n\n{WARNING}\n{warning} {}", secret.expose(), describe(&receipt))
    })
}

fn parse(id: &str) -> Result<KeyId> {
    id.parse().with_context(|| format!("`{id}`"))
}

/// The receipt in a sentence.
fn describe(receipt: &Receipt) -> String {
    if receipt.nodes.is_empty() && receipt.missing.is_empty() {
        return "No gateway is running.".into();
    }
    let applied = receipt.nodes.iter().map(|node| format!("{} after {} ms", node.node, node.ms));
    let mut text = format!("Applied by: {}.", applied.collect::<Vec<_>>().join(", "));
    if !receipt.missing.is_empty() {
        let _ = write!(text, " Not confirmed by: {}.", receipt.missing.join(", "));
    }
    text
}

pub async fn import(ctx: &Ctx, subscription: &str, file: &Path, output: Output) -> Result<()> {
    let subscription =
        subscription.parse().with_context(|| format!("--subscription `{subscription}`"))?;
    let unreadable = || format!("cannot read {}", file.display());
    let mut opened = File::open(file).with_context(unreadable)?;
    let mut told = ctx.now();
    let mut progress = |lines: usize| {
        if ctx.now() >= told.plus_secs(PROGRESS_SECS) {
            told = ctx.now();
            eprintln!("{lines} lines …");
        }
    };
    let outcome = if opened.metadata().with_context(unreadable)?.is_file() {
        let mut file = BufReader::with_capacity(1 << 16, opened);
        keys::import(ctx, &Actor::cli(), subscription, &mut file, &mut progress).await
    } else {
        // A pipe cannot be read twice.
        let mut bytes = Vec::new();
        (&mut opened).take(PIPE_MAX_BYTES + 1).read_to_end(&mut bytes).with_context(unreadable)?;
        if bytes.len() as u64 > PIPE_MAX_BYTES {
            bail!("more than {PIPE_MAX_BYTES} bytes from a pipe: import a file");
        }
        let mut bytes = Cursor::new(bytes);
        keys::import(ctx, &Actor::cli(), subscription, &mut bytes, &mut progress).await
    };
    let imported = match outcome {
        Ok(imported) => imported,
        Err(ImportError::Lines(list)) => {
            let lines: Vec<_> = list
                .iter()
                .map(|fault| format!("  {}:{}: {}", file.display(), fault.line, fault.message))
                .collect();
            bail!("nothing was imported:\n{}", lines.join("\n"));
        }
        Err(error) => return Err(error.into()),
    };
    let Imported { keys, duplicates, receipt } = imported;
    let document = json!({ "imported": keys, "duplicates": duplicates, "receipt": receipt });
    output.print(&document, || {
        format!(
            "Imported {keys} keys, {} lines were duplicates. {}",
            duplicates.len(),
            describe(&receipt)
        )
    })
}
