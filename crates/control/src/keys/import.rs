//! Keys that partners hold already, from another gateway's database.
//!
//! A file of lines, each a key, a SHA-256 of one, or a JSON object. All of them are imported in one
//! transaction, or none. What is wrong is told by line number; the lines themselves may be secrets and are
//! never repeated. A file is read twice, in pieces: once for what is wrong with its lines, before anything is
//! locked, and once for the keys.

mod lines;
mod source;

use std::collections::HashMap;
use std::io::{BufRead, Seek};

use keytoll_domain::ids::{KeyId, PartnerId, SubscriptionId};
use keytoll_domain::key::{Key, KeyHash};
use keytoll_domain::time::Timestamp;
use keytoll_store::feed::feed_append_keys;
use keytoll_store::key_import::{
    KnownKey, key_bcrypt_count, key_bcrypt_insert, key_bcrypt_known, keys_insert_new, keys_known,
};
use keytoll_store::partner::partner_lock;
use keytoll_store::subscription::subscription_by_id;
use keytoll_store::{StoreError, Tx};
use serde_json::json;

use self::lines::{HashOf, Line, read_line};
use self::source::Lines;
use super::issue::{Terms, is_active, terms_of};
use crate::actor::{Actor, Denied};
use crate::audit::{self, Entry};
use crate::ctx::Ctx;
use crate::receipts::{self, Receipt};

/// One transaction holds the writer for the whole file, so a file is bounded; import several.
pub const IMPORT_MAX_LINES: usize = 2_000_000;
/// Longest line.
pub(super) const IMPORT_LINE_MAX_BYTES: usize = 16 * 1024;
/// Keys that one prefix may have as bcrypt hashes: each costs a check when an unknown key begins with it.
pub(super) const BCRYPT_PER_PREFIX: u64 = 8;
/// Faults reported at once.
const FAULTS_MAX: usize = 100;
/// Lines written and told to gateways at once. Gateways take up to 5 000.
const BATCH: usize = 2_000;

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
    #[error("the file has more than {IMPORT_MAX_LINES} lines: split it")]
    TooLarge,
    #[error("the file is not UTF-8 text")]
    NotText,
    #[error("cannot read the file: {0}")]
    Read(#[from] std::io::Error),
    #[error("nothing was imported: {} line(s) are not acceptable", .0.len())]
    Lines(Vec<LineFault>),
    #[error("the subscription is not active")]
    SubscriptionInactive,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports a file's keys under a subscription. Admins only; imported keys do not count against the cap.
/// `progress` is told the lines done after every batch.
pub async fn import(
    ctx: &Ctx,
    actor: &Actor,
    subscription: SubscriptionId,
    file: &mut (impl BufRead + Seek),
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<Imported, ImportError> {
    actor.require_admin()?;
    check(file)?;
    file.rewind()?;

    let now = ctx.now();
    let mut tx = ctx.store.write().await?;
    let subscription = subscription_by_id(&mut tx, subscription).await?.ok_or(Denied::NotFound)?;
    if !is_active(&subscription, now) {
        return Err(ImportError::SubscriptionInactive);
    }
    let terms = terms_of(&mut tx, subscription).await?;
    let under = &terms.subscription;
    partner_lock(&mut tx, under.partner).await?;

    let mut writing =
        Writing { ctx, now, terms: &terms, keys: 0, duplicates: vec![], faults: vec![] };
    let mut sequence = 0;
    let mut lines = Lines::new(file);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let next = lines.next()?;
        let ended = next.is_none();
        if let Some((number, text)) = next {
            match read_line(&text) {
                Ok(line) => batch.push((number, line)),
                Err(message) => writing.fault(number, message),
            }
        }
        if batch.len() < BATCH && !ended {
            continue;
        }
        if let Some(written) = writing.batch(&mut tx, std::mem::take(&mut batch)).await? {
            sequence = feed_append_keys(&mut tx, written, now).await?;
        }
        progress(lines.count());
        if ended || writing.faults.len() >= FAULTS_MAX {
            break;
        }
    }
    let Writing { keys, duplicates, faults, .. } = writing;
    if !faults.is_empty() {
        return Err(ImportError::Lines(faults));
    }
    let entry = Entry {
        action: "key.import",
        subject: under.id.to_string(),
        partner: Some(under.partner),
        detail: json!({ "keys": keys, "duplicates": duplicates.len() }),
    };
    audit::record(ctx, actor, &mut tx, entry).await?;
    ctx.publish(tx).await?;
    let receipt = receipts::wait(ctx, sequence).await;
    Ok(Imported { keys, duplicates, receipt })
}

/// Reads all lines once, for faults that need no database.
fn check(file: &mut impl BufRead) -> Result<(), ImportError> {
    let mut faults = Vec::new();
    let mut lines = Lines::new(file);
    while let Some((number, text)) = lines.next()? {
        if let Err(message) = read_line(&text)
            && faults.len() < FAULTS_MAX
        {
            faults.push(fault(number, message));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(ImportError::Lines(faults)) }
}

/// An import in its transaction.
struct Writing<'a> {
    ctx: &'a Ctx,
    /// The time of all its keys, so that their ids are in the order of the lines.
    now: Timestamp,
    terms: &'a Terms,
    keys: usize,
    duplicates: Vec<usize>,
    faults: Vec<LineFault>,
}

impl Writing<'_> {
    fn fault(&mut self, line: usize, message: &str) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault(line, message));
        }
    }

    /// Writes the new keys of some lines; returns the first and the last id of theirs.
    async fn batch(
        &mut self,
        tx: &mut Tx,
        lines: Vec<(usize, Line)>,
    ) -> Result<Option<(KeyId, KeyId)>, StoreError> {
        let under = &self.terms.subscription;
        let (partner, subscription) = (under.partner, under.id);
        let mut numbers = Vec::with_capacity(lines.len());
        let mut keys = Vec::with_capacity(lines.len());
        let mut range: Option<(KeyId, KeyId)> = None;
        for (number, line) in lines {
            if line.scopes.iter().any(|scope| !self.terms.offers(scope)) {
                self.fault(number, "a scope is not one of the plan's");
                continue;
            }
            let id = id_of(self.now, self.ctx.random(), number);
            range = Some((range.map_or(id, |(first, _)| first), id));
            if let HashOf::Bcrypt(_) = line.hash {
                self.bcrypt(tx, number, line, (id, partner, subscription)).await?;
            } else {
                keys.push(self.key_of(number, line, (id, partner, subscription)));
                numbers.push(number);
            }
        }
        let inserted = keys_insert_new(tx, &keys).await?;
        self.keys += usize::try_from(inserted).unwrap_or(0);
        if inserted < keys.len() as u64 {
            self.not_inserted(tx, &numbers, &keys).await?;
        }
        Ok(range)
    }

    /// Tells duplicates and faults among keys of which some were known.
    async fn not_inserted(
        &mut self,
        tx: &mut Tx,
        numbers: &[usize],
        keys: &[Key],
    ) -> Result<(), StoreError> {
        let hashes: Vec<_> = keys.iter().map(|key| key.hash).collect();
        let known = keys_known(tx, &hashes).await?;
        let known: HashMap<_, _> = known.into_iter().map(|known| (known.hash, known)).collect();
        for (number, key) in numbers.iter().zip(keys) {
            match known.get(&key.hash) {
                Some(known) if known.id != key.id => self.known(*number, known),
                _ => {}
            }
        }
        Ok(())
    }

    fn known(&mut self, number: usize, known: &KnownKey) {
        if known.subscription == self.terms.subscription.id && !known.revoked {
            self.duplicates.push(number);
        } else {
            self.fault(number, "the key is in use elsewhere or was revoked");
        }
    }

    async fn bcrypt(
        &mut self,
        tx: &mut Tx,
        number: usize,
        line: Line,
        place: (KeyId, PartnerId, SubscriptionId),
    ) -> Result<(), StoreError> {
        let HashOf::Bcrypt(bcrypt) = line.hash.clone() else { return Ok(()) };
        if let Some(known) = key_bcrypt_known(tx, &bcrypt.hash).await? {
            self.known(number, &known);
            return Ok(());
        }
        if key_bcrypt_count(tx, &bcrypt.prefix).await? >= BCRYPT_PER_PREFIX {
            self.fault(
                number,
                "prefix: 8 bcrypt keys have it already; give more of each key's beginning",
            );
            return Ok(());
        }
        let key = self.key_of(number, line, place);
        keys_insert_new(tx, std::slice::from_ref(&key)).await?;
        key_bcrypt_insert(tx, key.id, &bcrypt).await?;
        self.keys += 1;
        Ok(())
    }

    fn key_of(
        &self,
        number: usize,
        line: Line,
        (id, partner, subscription): (KeyId, PartnerId, SubscriptionId),
    ) -> Key {
        Key {
            id,
            partner,
            subscription,
            name: line.name.unwrap_or_else(|| format!("Imported key {number}")),
            hash: match line.hash {
                HashOf::Sha256(hash) => hash,
                // No secret has it; the first use puts the true digest in its place.
                HashOf::Bcrypt(_) => KeyHash(self.ctx.random()),
            },
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
            created_at: self.now,
            imported: true,
        }
    }
}

fn fault(line: usize, message: &str) -> LineFault {
    LineFault { line, message: message.to_owned() }
}

/// Ids grow with the lines, so that the keys of a batch are neighbours: 26 of an id's bits count, 48 are random.
fn id_of(now: Timestamp, mut random: [u8; 10], number: usize) -> KeyId {
    const { assert!(IMPORT_MAX_LINES < 1 << 26) };
    let [_, _, high, low] = u32::try_from(number >> 14).unwrap_or(0).to_be_bytes();
    (random[0], random[1]) = (high, low);
    let [_, _, high, low] = u32::try_from(number & 0x3fff).unwrap_or(0).to_be_bytes();
    (random[2], random[3]) = (high, low);
    KeyId::new(now, random)
}
