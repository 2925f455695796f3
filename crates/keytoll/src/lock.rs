//! One running server per data folder.

use std::fs::{File, OpenOptions};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// Held as long as the server runs; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Creates the folder if it is absent and takes its lock.
pub fn acquire(data_dir: &Path) -> Result<DataLock> {
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot create the data folder {}", data_dir.display()))?;
    let path = data_dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(DataLock { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => bail!(
            "the data folder {} is in use by another keytoll process; stop it, or choose another folder",
            data_dir.display()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}
