//! One running server per data folder.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// Held as long as the server runs; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Creates the data folder if it is absent. Nobody else on the machine may read what will be in it.
pub fn create_folder(data_dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(data_dir);
    made.with_context(|| format!("cannot create the data folder {}", data_dir.display()))
}

/// Creates the folder if it is absent and takes its lock.
pub fn acquire(data_dir: &Path) -> Result<DataLock> {
    create_folder(data_dir)?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_new_data_folder_is_for_its_owner_only() {
        let name = format!("keytoll-folder-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        super::create_folder(&folder).expect("a folder is made");
        let mode = std::fs::metadata(&folder).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        super::create_folder(&folder).expect("one that is there stays");
        std::fs::remove_dir(&folder).expect("it is removed");
    }
}
