//! The inputs that all suites share.

use std::{path::PathBuf, sync::mpsc, thread};

use anyhow::{Result, ensure};
use tokio::runtime::{Builder, Handle};

use crate::process::{Cores, pin};

/// The events of the corpus in a quick run.
pub const QUICK_EVENTS: u64 = 200_000;

/// A run of the bench.
#[derive(Debug)]
pub struct Bench {
    pub root: PathBuf,
    pub functions: PathBuf,
    pub directory: PathBuf,
    pub python: PathBuf,
    /// The Python interpreter with the programs that Parquet files are compared with.
    pub peers_python: PathBuf,
    pub is_quick: bool,
    pub events: u64,
    pub rounds: usize,
    pub copies: u64,
    pub cores: Cores,
    /// The runtime of the thread that all servers run on.
    pub runtime: Handle,
}

impl Bench {
    /// Returns the path of a function's program.
    pub fn function(&self, name: &str) -> Result<PathBuf> {
        let path = self.functions.join(name).join("bootstrap");
        ensure!(path.is_file(), "{} does not exist: run `make bench`, which builds it", path.display());
        Ok(path)
    }

    /// Returns `full`, or `quick` in a quick run.
    pub fn size<T>(&self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

/// Starts the thread of all servers on this core.
pub fn start_servers(core: usize) -> Result<Handle> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("servers".to_owned()).spawn(move || {
        let runtime = pin(core).and_then(|()| Ok(Builder::new_current_thread().enable_all().build()?));
        let _ = sender.send(runtime.as_ref().map(|runtime| runtime.handle().clone()).map_err(ToString::to_string));
        if let Ok(runtime) = runtime {
            runtime.block_on(std::future::pending::<()>());
        }
    })?;
    receiver.recv()?.map_err(anyhow::Error::msg)
}
