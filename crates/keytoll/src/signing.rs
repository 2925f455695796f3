//! The installation's secret for signing requests to upstreams: from the configuration, else kept in the data folder.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use keytoll_control::Entropy as _;
use keytoll_gateway::{SIGNING_SECRET_BYTES, SigningSecret};

use crate::config::Config;
use crate::lock;
use crate::wiring::SystemEntropy;

const FILE: &str = "signing.key";

/// Several nodes must be configured with the same; a node alone draws its own at its first start.
pub fn secret(config: &Config) -> Result<SigningSecret> {
    match &config.signing_secret {
        Some(secret) => Ok(secret.clone()),
        None => kept(&config.data_dir),
    }
}

fn kept(data_dir: &Path) -> Result<SigningSecret> {
    lock::create_folder(data_dir)?;
    let path = data_dir.join(FILE);
    if !path.exists() {
        draw(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    let text = std::fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    match SigningSecret::from_hex(text.trim()) {
        Some(secret) => Ok(secret),
        None => bail!("{} must hold 64 hexadecimal digits", path.display()),
    }
}

/// Linked into its place whole, so that of two processes that start at once one wins and none reads half of it.
fn draw(path: &Path) -> std::io::Result<()> {
    let mut bytes = [0; SIGNING_SECRET_BYTES];
    SystemEntropy.fill(&mut bytes);
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    writeln!(file, "{}", SigningSecret::new(bytes).to_hex())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_drawn_once_and_for_its_owner_only() {
        let folder = std::env::temp_dir().join(format!("keytoll-signing-{}", std::process::id()));
        let first = kept(&folder).expect("a secret is drawn");
        assert_eq!(kept(&folder).expect("it is kept").to_hex(), first.to_hex());
        let path = folder.join(FILE);
        draw(&path).expect("another process was first");
        assert_eq!(kept(&folder).expect("the first one stays").to_hex(), first.to_hex());
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1);
        std::fs::write(&path, "short").expect("it is written");
        assert!(kept(&folder).is_err());
        std::fs::remove_dir_all(&folder).expect("it is removed");
    }
}
