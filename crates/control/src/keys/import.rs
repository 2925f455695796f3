//! Keys that partners hold already, from another gateway's database.
//!
//! A file of lines, each a key, a SHA-256 of one, or a JSON object. All of them are imported in one
//! transaction, or none. What is wrong is told by line number; the lines themselves may be secrets and are
//! never repeated.

mod lines;

use std::collections::HashMap;

use keytoll_domain::ids::{KeyId, PartnerId, SubscriptionId};
use keytoll_domain::key::{Key, KeyHash};
use keytoll_store::StoreError;
use keytoll_store::feed::feed_append_imported;
use keytoll_store::key::{key_by_hash, key_insert};
use keytoll_store::partner::partner_lock;
use keytoll_store::subscription::subscription_by_id;
use serde_json::json;

use self::lines::{Line, read_line};
use super::issue::{is_active, terms_of};
use crate::actor::{Actor, Denied};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::receipts::{self, Receipt};

/// Largest file. Read no more than one byte past this.
pub const IMPORT_MAX_BYTES: usize = 8 * 1024 * 1024;
/// One transaction holds the writer for the whole file, so a file is bounded; import several.
pub const IMPORT_MAX_LINES: usize = 20_000;
/// Faults reported at once.
const FAULTS_MAX: usize = 100;

/// What is wrong with a line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    pub line: usize,
    pub message: String,
}

#[derive(Clone, Debug)]
pub struct Imported {
    pub keys: usize,
    /// Lines whose key is in the file before or in this subscription already; nothing was done for them.
    pub duplicates: Vec<usize>,
    pub receipt: Receipt,
}

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(
        "the file has more than {IMPORT_MAX_BYTES} bytes or {IMPORT_MAX_LINES} lines: split it"
    )]
    TooLarge,
    #[error("the file is not UTF-8 text")]
    NotText,
    #[error("nothing was imported: {} line(s) are not acceptable", .0.len())]
    Lines(Vec<LineFault>),
    #[error("the subscription is not active")]
    SubscriptionInactive,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports a file's keys under a subscription. Admins only; imported keys do not count against the cap.
pub async fn import(
    ctx: &Ctx,
    actor: &Actor,
    subscription: SubscriptionId,
    file: &[u8],
) -> Result<Imported, ImportError> {
    actor.require_admin()?;
    let mut faults = Vec::new();
    let lines = read(file, &mut faults)?;
    if !faults.is_empty() {
        return Err(ImportError::Lines(faults));
    }

    let now = ctx.now();
    let mut tx = ctx.store.write().await?;
    let subscription = subscription_by_id(&mut tx, subscription).await?.ok_or(Denied::NotFound)?;
    if !is_active(&subscription, now) {
        return Err(ImportError::SubscriptionInactive);
    }
    let terms = terms_of(&mut tx, subscription).await?;
    let under = &terms.subscription;
    partner_lock(&mut tx, under.partner).await?;

    let mut duplicates = Vec::new();
    let mut seen: HashMap<KeyHash, usize> = HashMap::with_capacity(lines.len());
    let mut keys = Vec::with_capacity(lines.len());
    for (number, line) in lines {
        if faults.len() >= FAULTS_MAX {
            break;
        }
        if line.scopes.iter().any(|scope| !terms.offers(scope)) {
            faults.push(fault(number, "a scope is not one of the plan's"));
            continue;
        }
        if seen.insert(line.hash, number).is_some() {
            duplicates.push(number);
            continue;
        }
        match key_by_hash(&mut tx, line.hash).await? {
            None => keys.push(key_of(ctx, number, line, under.partner, under.id)),
            Some(known) if known.subscription == under.id && known.revoked_at.is_none() => {
                duplicates.push(number);
            }
            Some(_) => faults.push(fault(number, "the key is in use elsewhere or was revoked")),
        }
    }
    if !faults.is_empty() {
        return Err(ImportError::Lines(faults));
    }
    let entry = Entry {
        action: "key.import",
        subject: under.id.to_string(),
        partner: Some(under.partner),
        detail: json!({ "keys": keys.len(), "duplicates": duplicates.len() }),
    };
    audit::record(ctx, actor, &mut tx, entry).await?;
    for key in &keys {
        key_insert(&mut tx, key).await?;
    }
    let ids = keys.iter().map(|key| key.id);
    let sequence = match (ids.clone().min(), ids.max()) {
        (Some(first), Some(last)) => {
            feed_append_imported(&mut tx, under.id, (first, last), now).await?
        }
        _ => 0,
    };
    ctx.publish(tx).await?;
    let receipt = receipts::wait(ctx, sequence).await;
    Ok(Imported { keys: keys.len(), duplicates, receipt })
}

fn read(file: &[u8], faults: &mut Vec<LineFault>) -> Result<Vec<(usize, Line)>, ImportError> {
    if file.len() > IMPORT_MAX_BYTES {
        return Err(ImportError::TooLarge);
    }
    let text = std::str::from_utf8(file).map_err(|_| ImportError::NotText)?;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if index >= IMPORT_MAX_LINES {
            return Err(ImportError::TooLarge);
        }
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() {
            continue;
        }
        match read_line(line) {
            Ok(read) => lines.push((index + 1, read)),
            Err(message) if faults.len() < FAULTS_MAX => faults.push(fault(index + 1, message)),
            Err(_) => {}
        }
    }
    Ok(lines)
}

fn fault(line: usize, message: &str) -> LineFault {
    LineFault { line, message: message.to_owned() }
}

fn key_of(
    ctx: &Ctx,
    number: usize,
    line: Line,
    partner: PartnerId,
    subscription: SubscriptionId,
) -> Key {
    let now = ctx.now();
    Key {
        id: KeyId::new(now, ctx.random()),
        partner,
        subscription,
        name: line.name.unwrap_or_else(|| format!("Imported key {number}")),
        hash: line.hash,
        prefix: line.prefix,
        environment: line.environment,
        scopes: line.scopes,
        products: None,
        rate_limit_per_minute: line.rate_limit_per_minute,
        windows: line.windows,
        allowed_ips: Vec::new(),
        expires_at: line.expires_at,
        disabled_at: None,
        revoked_at: None,
        created_at: now,
        imported: true,
    }
}
