//! The processes of Tallow: the producer, and the pipeline under `tallow launch`.

use super::plan::Plan;
use super::progress::until;
use anyhow::{Context, Result, bail};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tallow_dataflow::AnomalySettings;

/// Start of the market: a quarter of an hour whose first hour has alerts.
const OPENS: &str = "2026-01-05T15:00:00Z";
/// Number of symbols in the market.
const SYMBOLS: u32 = 8;
/// Longest duration of a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A process whose log goes to a file.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn spawn(command: &mut Command, log: PathBuf) -> Result<Process> {
        let file = File::create(&log).with_context(|| format!("make {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Process { child, log })
    }

    fn log_text(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }

    /// Fails with the end of the process's log if the process has ended.
    fn still_runs(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let text = self.log_text()?;
        let last: Vec<&str> = text.lines().rev().take(5).collect();
        bail!("the process has ended with {status}, see {}:\n{}", self.log.display(), last.join("\n"))
    }

    /// Asks the process to stop and waits for its end.
    fn stop(&mut self) -> Result<()> {
        self.still_runs()?;
        signal(self.child.id(), Signal::TERM)?;
        let child = &mut self.child;
        let status = until("the process to stop", STOP_TIMEOUT, || Ok(child.try_wait()?))?;
        if !status.success() {
            bail!("the process ended with {status}, see {}", self.log.display());
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // A failure can't be reported from here.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Sends a signal to a process.
pub(super) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("the number of a process")?;
    kill_process(pid, signal).with_context(|| format!("send {signal:?} to process {pid:?}"))
}

/// `tallow produce` with an endless market.
pub(super) struct Producer(Process);

impl Producer {
    pub(super) fn start(plan: &Plan) -> Result<Producer> {
        let rate = f64::from(plan.rate) / f64::from(SYMBOLS * plan.speed);
        let mut command = Command::new(&plan.tallow);
        command.args(["produce", "--feed", "sim", "--disorder", "--start", OPENS]);
        command.args(["--speed", &plan.speed.to_string(), "--seed", &plan.seed.to_string()]);
        command.args(["--rate", &rate.to_string()]);
        Ok(Producer(Process::spawn(&mut command, plan.out.join("produce.log"))?))
    }

    pub(super) fn still_runs(&mut self) -> Result<()> {
        self.0.still_runs().context("the producer")
    }

    pub(super) fn stop(mut self) -> Result<()> {
        self.0.stop().context("the producer")
    }
}

/// `tallow launch` and its processes.
pub(super) struct Pipeline {
    launch: Process,
    processes: usize,
    /// Number of launches before this one.
    number: usize,
}

/// Identity of one start of the processes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Incarnation {
    launch: usize,
    starts: usize,
}

impl Pipeline {
    /// Starts a number of processes with a number of workers each.
    pub(super) fn start(plan: &Plan, processes: usize, workers: usize) -> Result<Pipeline> {
        let number = (0..).find(|number| !log(&plan.out, *number).exists()).unwrap_or(0);
        let mut command = Command::new(&plan.tallow);
        command.args(["launch", "-n", &processes.to_string(), "-w", &workers.to_string()]);
        command.env("TALLOW__CHECKPOINT__URL", format!("file:{}", plan.checkpoints.display()));
        // Only ticks advance time, so every version and its time are a function of the log and can
        // be compared.
        command.env("TALLOW__DATAFLOW__IDLE_TIMEOUT_MS", "600000");
        let AnomalySettings { threshold, min_samples, .. } = plan.settings().anomalies;
        command.env("TALLOW__ANOMALIES__THRESHOLD", threshold.to_string());
        command.env("TALLOW__ANOMALIES__MIN_SAMPLES", min_samples.to_string());
        // The faults are injected, so many of them in a short time are no crash loop.
        command.env("TALLOW__LAUNCH__HEALTHY_MS", "1000").env("TALLOW__LAUNCH__MAX_FAILURES", "100");
        let launch = Process::spawn(&mut command, log(&plan.out, number))?;
        let mut pipeline = Pipeline { launch, processes, number };
        until("the processes to start", Duration::from_secs(30), || {
            pipeline.launch.still_runs()?;
            Ok((pipeline.pids()?.len() >= processes).then_some(()))
        })?;
        Ok(pipeline)
    }

    /// Returns the processes that have been started, oldest first.
    fn pids(&self) -> Result<Vec<u32>> {
        let text = self.launch.log_text()?;
        let started = text.lines().filter(|line| line.contains("process started"));
        let pid = |line: &str| line.split("pid=").nth(1)?.split_whitespace().next()?.parse().ok();
        Ok(started.filter_map(pid).collect())
    }

    /// Returns the processes of the newest start.
    fn running(&self) -> Result<Vec<u32>> {
        let pids = self.pids()?;
        Ok(pids[pids.len() - pids.len().min(self.processes)..].to_vec())
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        Incarnation { launch: self.number, starts: self.pids().map_or(0, |pids| pids.len()) }
    }

    /// Waits until all processes have been started again after `since`.
    pub(super) fn comes_back(&mut self, since: Incarnation, within: Duration) -> Result<()> {
        let before = if since.launch == self.number { since.starts } else { 0 };
        until("the processes to start again", within, || {
            self.launch.still_runs()?;
            Ok((self.pids()?.len() >= before + self.processes).then_some(()))
        })
    }

    /// Kills one of the processes.
    pub(super) fn kill_one(&self, random: &mut ChaCha8Rng) -> Result<()> {
        let running = self.running()?;
        // Its supervisor may have ended it a moment ago because another process was lost.
        let _ = signal(running[random.random_range(0..running.len())], Signal::KILL);
        Ok(())
    }

    /// Kills all of the processes.
    pub(super) fn kill_all(&self) -> Result<()> {
        for pid in self.running()? {
            let _ = signal(pid, Signal::KILL);
        }
        Ok(())
    }

    /// Kills the supervisor too.
    pub(super) fn kill_everything(&mut self) -> Result<()> {
        self.launch.child.kill()?;
        self.launch.child.wait()?;
        self.kill_all()
    }

    /// Suspends one of the processes for a while.
    pub(super) fn stop_one_for(&self, random: &mut ChaCha8Rng, how_long: Duration) -> Result<()> {
        let running = self.running()?;
        let pid = running[random.random_range(0..running.len())];
        if signal(pid, Signal::STOP).is_ok() {
            std::thread::sleep(how_long);
            let _ = signal(pid, Signal::CONT);
        }
        Ok(())
    }

    /// Stops everything in order.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.launch.stop().context("tallow launch")
    }
}

fn log(out: &Path, number: usize) -> PathBuf {
    out.join(format!("launch-{number}.log"))
}
