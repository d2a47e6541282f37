//! A temporary folder for copies of audit events.

use std::path::Path;

use tempfile::TempDir;

use crate::failure::Failure;

/// A folder that only its owner can access. It is removed when it is dropped, or when a signal ends the program.
#[derive(Debug)]
pub struct TemporaryFolder(TempDir);

impl TemporaryFolder {
    pub fn create() -> Result<Self, Failure> {
        let failure = || Failure::file(std::env::temp_dir());
        let folder = tempfile::tempdir().map_err(failure())?;
        platform::remove_on_signals(folder.path()).map_err(failure())?;
        Ok(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(unix)]
mod platform {
    use std::{fs, io, path::Path, thread};

    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
        iterator::Signals,
        low_level::emulate_default_handler,
    };

    /// Removals of the folder. A file may be written while it is removed.
    const ATTEMPTS: usize = 3;

    pub fn remove_on_signals(folder: &Path) -> io::Result<()> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
        let folder = folder.to_owned();
        let wait = move || {
            for signal in signals.forever() {
                let _is_removed = (0..ATTEMPTS).any(|_| fs::remove_dir_all(&folder).is_ok());
                // It ends the program; one that it does not end can be sent again.
                let _ = emulate_default_handler(signal);
            }
        };
        thread::Builder::new().spawn(wait).map(|_| ())
    }
}

#[cfg(not(unix))]
mod platform {
    use std::{io, path::Path};

    #[expect(clippy::unnecessary_wraps, reason = "like the function of other systems")]
    pub fn remove_on_signals(_: &Path) -> io::Result<()> {
        Ok(())
    }
}
