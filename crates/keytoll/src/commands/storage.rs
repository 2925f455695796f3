//! `migrate`, `backup`, `restore`, `doctor`: the installation's own state.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use keytoll_control::Ctx;
use keytoll_store::Db;
use serde::Serialize;
use serde_json::json;

use super::runtime;
use crate::config::{Config, Loaded};
use crate::output::Output;
use crate::wiring::FeedWake;
use crate::{context, lock};

/// Databases that restores replaced and that lie beside the present one.
const KEPT_MAX: u32 = 100;
const CONNECT_WAIT: Duration = Duration::from_millis(500);

/// Opening the store has migrated it.
pub fn migrated(output: Output) -> Result<()> {
    output.print(&json!({ "migrated": true }), || "The database has this version's schema.".into())
}

/// Copies a SQLite database while it is in use. PostgreSQL has its own tools.
pub async fn backup(ctx: &Ctx, file: &Path, output: Output) -> Result<()> {
    if file.exists() {
        bail!("{} exists; a backup never overwrites a file", file.display());
    }
    if !ctx.store.backup_to(file).await? {
        bail!("the store is PostgreSQL: use pg_dump for its backup");
    }
    let bytes = std::fs::metadata(file)?.len();
    let document = json!({ "file": file, "bytes": bytes });
    output.print(&document, || format!("Wrote {} ({bytes} bytes).", file.display()))
}

/// Puts a backup in place of the database. The old one is kept beside it.
pub fn restore(loaded: &Loaded, file: &Path, output: Output) -> Result<()> {
    let config = &loaded.config;
    let Some(database) = sqlite_file(config) else {
        bail!("the store is PostgreSQL: use pg_restore or psql");
    };
    let _lock = lock::acquire(&config.data_dir)?;
    check_backup(file, &beside(&database, "check"))?;
    let incoming = beside(&database, "incoming");
    std::fs::copy(file, &incoming)
        .and_then(|_| std::fs::File::open(&incoming)?.sync_all())
        .with_context(|| format!("cannot copy {} to {}", file.display(), incoming.display()))?;
    let old = unused(&database, "before-restore")?;
    fold_wal(&database)?;
    for suffix in ["-wal", "-shm"] {
        let side = PathBuf::from(format!("{}{suffix}", database.display()));
        if side.exists() {
            std::fs::rename(&side, format!("{}{suffix}", old.display()))?;
        }
    }
    if database.exists() {
        // A second name, so that there is a database at every instant: an absent one would be made anew.
        std::fs::hard_link(&database, &old).or_else(|_| std::fs::rename(&database, &old))?;
    }
    std::fs::rename(&incoming, &database)?;
    let document = json!({ "restored": file, "previous": old });
    output.print(&document, || {
        format!("Restored {}; the previous database is {}.", file.display(), old.display())
    })
}

/// Closing the last connection folds the WAL into the file, which then is whole by itself. A damaged database
/// is kept with its WAL as it is.
fn fold_wal(database: &Path) -> Result<()> {
    if database.exists() {
        let url = format!("sqlite:{}", database.display());
        runtime()?.block_on(async {
            if let Ok(store) = Db::connect(&url).await {
                store.close().await;
            }
        });
    }
    Ok(())
}

/// Opens a copy of the backup: what is no Keytoll database, or a damaged one, is refused here.
fn check_backup(file: &Path, probe: &Path) -> Result<()> {
    let bytes = std::fs::File::open(file)
        .and_then(|mut file| {
            let mut head = [0; 16];
            std::io::Read::read_exact(&mut file, &mut head).map(|()| head)
        })
        .with_context(|| format!("cannot read {}", file.display()))?;
    if &bytes != b"SQLite format 3\0" {
        bail!("{} is not a SQLite database", file.display());
    }
    // What an interrupted check has left would be taken for a part of this copy.
    remove_database(probe);
    std::fs::copy(file, probe).with_context(|| format!("cannot write {}", probe.display()))?;
    let checked = runtime()?.block_on(async {
        let store = Db::connect(&format!("sqlite:{}", probe.display())).await?;
        let sound = store.is_sound().await;
        store.close().await;
        sound
    });
    remove_database(probe);
    match checked {
        Ok(true) => Ok(()),
        Ok(false) => bail!("{} is damaged: SQLite's integrity check fails", file.display()),
        Err(error) => {
            Err(error).with_context(|| format!("{} is no Keytoll database", file.display()))
        }
    }
}

fn remove_database(file: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
}

/// A name beside the database that no earlier restore has used: what it kept is never overwritten.
fn unused(database: &Path, what: &str) -> Result<PathBuf> {
    let numbered = |number| match number {
        1 => beside(database, what),
        _ => beside(database, &format!("{what}.{number}")),
    };
    let free = (1..=KEPT_MAX).map(numbered).find(|path| !path.exists());
    free.with_context(|| {
        format!("there are {KEPT_MAX} files like {}: remove some", beside(database, what).display())
    })
}

fn beside(database: &Path, what: &str) -> PathBuf {
    PathBuf::from(format!("{}.{what}", database.display()))
}

fn sqlite_file(config: &Config) -> Option<PathBuf> {
    config.storage_url.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//").into())
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// Tries what `serve` needs, without changing anything that is there.
pub fn doctor(loaded: &Loaded, output: Output) -> Result<ExitCode> {
    let config = &loaded.config;
    let mut checks = vec![data_folder(config)];
    let running = connects(config.gateway_listen);
    checks.push(runtime()?.block_on(store(config)));
    for (name, address) in
        [("gateway.listen", config.gateway_listen), ("portal.listen", config.portal_listen)]
    {
        checks.push(listener(name, address, running));
    }
    let healthy = checks.iter().all(|check| check.ok);
    output.print(&json!({ "healthy": healthy, "checks": checks }), || {
        let line = |check: &Check| {
            format!("{} {}: {}", if check.ok { "ok  " } else { "FAIL" }, check.name, check.detail)
        };
        checks.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn data_folder(config: &Config) -> Check {
    let folder = &config.data_dir;
    let probe = folder.join(format!("doctor-{}", std::process::id()));
    let tried = lock::create_folder(folder).and_then(|()| Ok(std::fs::write(&probe, b"x")?));
    let _ = std::fs::remove_file(&probe);
    let detail = match &tried {
        Ok(()) => format!("{} can be written", folder.display()),
        Err(error) => format!("{}: {error:#}", folder.display()),
    };
    Check { name: "data_dir", ok: tried.is_ok(), detail }
}

async fn store(config: &Config) -> Check {
    let opened = context::open(config, Arc::new(FeedWake::default())).await;
    let (ok, detail) = match opened {
        Ok(ctx) => {
            ctx.store.close().await;
            (true, "opens and has this version's schema".to_owned())
        }
        Err(error) => (false, format!("{error:#}")),
    };
    Check { name: "storage.url", ok, detail }
}

fn listener(name: &'static str, address: SocketAddr, running: bool) -> Check {
    let (ok, detail) = match std::net::TcpListener::bind(address) {
        Ok(_) => (true, format!("{address} is free")),
        Err(_) if running => (true, format!("{address} is in use; a server answers")),
        Err(error) => (false, format!("{address}: {error}")),
    };
    Check { name, ok, detail }
}

fn connects(address: SocketAddr) -> bool {
    std::net::TcpStream::connect_timeout(&address, CONNECT_WAIT).is_ok()
}
