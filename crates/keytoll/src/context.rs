//! Opens the control plane's context for a command or a server.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use keytoll_control::{Ctx, Entropy, Settings, Wake};
use keytoll_store::Db;

use crate::config::Config;
use crate::lock;
use crate::wiring::{SystemClock, SystemEntropy};

/// Opens (and creates and migrates) the store.
pub async fn open(config: &Config, wake: Arc<dyn Wake>) -> Result<Ctx> {
    lock::create_folder(&config.data_dir)?;
    let store =
        Db::connect(&config.storage_url).await.context("cannot open the store (storage.url)")?;
    let settings = Settings {
        brand: config.brand.clone(),
        active_keys_per_partner: config.active_keys_max,
        ..Settings::default()
    };
    Ok(Ctx::new(store, Arc::new(SystemClock), Arc::new(SystemEntropy), wake, settings))
}

/// This node's name: drawn at the first start and kept in the journal, whose seals are chained by it.
pub fn node_name(journal: &Path) -> Result<String> {
    let mut random = [0; 4];
    SystemEntropy.fill(&mut random);
    let candidate = format!("node-{:08x}", u32::from_be_bytes(random));
    keytoll_gateway::journal::node(journal, &candidate)
        .with_context(|| format!("cannot read this node's name in {}", journal.display()))
}
