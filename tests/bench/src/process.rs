//! Programs on the measured core, and the resources that they take.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
    },
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

use serde::{Deserialize, Serialize};

/// The core of the measured program and that of the servers. A machine with one core has one for both.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub measured: usize,
    pub serving: usize,
}

impl Cores {
    /// Returns the first two cores that this process may use.
    pub fn find() -> Result<Self> {
        let permitted = sched_getaffinity(this_thread())?;
        let mut cores = (0..CpuSet::count()).filter(|core| permitted.is_set(*core).unwrap_or(false));
        let measured = cores.next().context("no core may be used")?;
        Ok(Self { measured, serving: cores.next().unwrap_or(measured) })
    }
}

fn this_thread() -> Pid {
    Pid::from_raw(0)
}

/// Binds the calling thread, and the threads and programs that it starts, to a core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(this_thread(), &set)?;
    Ok(())
}

/// Does the work, and returns the CPU seconds of the calling thread.
pub fn measured<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let started = now()?;
    let outcome = work()?;
    Ok((outcome, now()?.saturating_sub(started).as_secs_f64()))
}

/// A program that runs on the measured core until it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    clock: ClockId,
}

/// CPU time in user and kernel mode, to a hundredth of a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Split {
    pub user: Duration,
    pub system: Duration,
}

impl Split {
    pub fn since(self, before: Self) -> Self {
        Self { user: self.user.saturating_sub(before.user), system: self.system.saturating_sub(before.system) }
    }
}

/// The resources that a program took for its work, without its start: those of a warm function. It prints them at its end.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    pub peak_memory_bytes: u64,
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
}

impl Program {
    /// Starts a program on `core`.
    pub fn start(command: &mut Command, core: usize) -> Result<Self> {
        let before = sched_getaffinity(this_thread())?;
        pin(core)?;
        let child = command.process_group(0).spawn();
        sched_setaffinity(this_thread(), &before)?;
        let child = child.with_context(|| command.get_program().display().to_string())?;
        let id = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Self { child, clock: clock_getcpuclockid(id)? })
    }

    /// Returns the CPU time of all its threads so far, to the nanosecond.
    pub fn cpu(&self) -> Result<Duration> {
        Ok(clock_gettime(self.clock)?.into())
    }

    /// Returns the CPU time since it was `before`.
    pub fn cpu_since(&self, before: Duration) -> Result<Duration> {
        Ok(self.cpu()?.saturating_sub(before))
    }

    pub fn split(&self) -> Result<Split> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Fields 14 and 15. They are counted from the end of the name, which may contain anything.
        let fields = text.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks = |index: usize| fields.split_whitespace().nth(index).and_then(|field| field.parse::<u64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).context("/proc/…/stat has an unknown format")?;
        Ok(Split { user: of_ticks(user), system: of_ticks(system) })
    }

    /// Returns its peak memory in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        peak_memory(&self.child.id().to_string())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the CPU time of this process so far.
pub fn own_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// Returns the peak memory of this process in bytes.
pub fn own_peak_memory() -> Result<u64> {
    peak_memory("self")
}

fn peak_memory(process: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.context("/proc/…/status has no VmHWM")? * 1_024)
}

/// Converts ticks, which are hundredths of a second on every Linux that Rust supports.
fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}

/// Runs a program to its end, and returns its CPU time.
pub fn run_to_end(command: &mut Command, core: usize) -> Result<Split> {
    let before = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let mut program = Program::start(command, core)?;
    let status = program.child.wait()?;
    let after = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    ensure!(status.success(), "{}: {status}", command.get_program().display());
    let since = |before: i64, after: i64| Duration::from_micros(u64::try_from(after - before).unwrap_or_default());
    Ok(Split {
        user: since(before.user_time().num_microseconds(), after.user_time().num_microseconds()),
        system: since(before.system_time().num_microseconds(), after.system_time().num_microseconds()),
    })
}

/// Runs a program to its end, and returns what it prints.
///
/// # Errors
/// The last line of its standard error, if it fails.
pub fn output_of(command: &mut Command, core: usize) -> Result<String> {
    let before = sched_getaffinity(this_thread())?;
    pin(core)?;
    let output = command.output();
    sched_setaffinity(this_thread(), &before)?;
    let output = output.with_context(|| command.get_program().display().to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}", output.status, errors.trim_end().lines().last().unwrap_or_default());
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_works_costs_time() {
        let core = Cores::find().unwrap().measured;
        let busy =
            run_to_end(Command::new("sh").args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"]), core);
        let idle = run_to_end(&mut Command::new("true"), core).unwrap();
        let busy = busy.unwrap();
        assert!(busy.user + busy.system > idle.user + idle.system);
        assert!(run_to_end(&mut Command::new("false"), core).is_err());
    }

    #[test]
    fn what_a_program_prints_is_returned() {
        let core = Cores::find().unwrap().measured;
        assert_eq!(output_of(Command::new("echo").arg("7"), core).unwrap(), "7\n");
        let error = output_of(Command::new("sh").args(["-c", "echo first >&2; echo last >&2; exit 3"]), core);
        assert_eq!(error.unwrap_err().to_string(), "exit status: 3: last");
    }

    #[test]
    fn a_running_program_has_time_and_memory() {
        let core = Cores::find().unwrap().measured;
        let program = Program::start(Command::new("sleep").arg("60"), core).unwrap();
        assert!(program.peak_memory().unwrap() > 0);
        assert!(program.cpu().unwrap() < Duration::from_secs(5));
        assert!(program.split().unwrap().user < Duration::from_secs(5));
    }
}
