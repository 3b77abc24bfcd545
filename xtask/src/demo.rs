//! `scripts/demo`: the whole pipeline on this machine, compared with a backtest of the same
//! records.
//!
//! An hour of simulated market goes into Kafka as fast as it can be written. `tallow run` settles
//! it into PostgreSQL, Redis and the topic of alerts, and `tallow serve` shows it.

use crate::http;
use crate::interrupt;
use crate::isolated::Isolated;
use crate::process;
use crate::served::{PATIENCE, Profile, Served, find_tallow};
use crate::services::{Service, Services};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time between two comparisons.
const COMPARE_INTERVAL: Duration = Duration::from_millis(500);

/// The choices of `scripts/demo`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Serves until it is interrupted
    #[arg(long)]
    stay: bool,
}

struct Demo<'a> {
    root: &'a Path,
    isolated: Isolated<'a>,
    /// The program `tallow`.
    tallow: PathBuf,
    /// The folder of logs, checkpoints and the backtest.
    folder: tempfile::TempDir,
}

/// Runs the demo; an error if anything differs from the backtest.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<bool> {
    interrupt::watch()?;
    say("services");
    let services = Services::open(root)?;
    services.up(&Service::ALL)?;
    services.print_status(&Service::ALL);
    let tallow = find_tallow(root, Profile::Release)?;
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let mut isolated = Isolated::create(&services, "demo")?;
    // After two seconds of silence the market counts as over, and its last candles close.
    isolated.set("TALLOW__DATAFLOW__IDLE_TIMEOUT_MS", "2000".to_owned());
    let checkpoints = folder.path().join("checkpoints");
    isolated.set("TALLOW__CHECKPOINT__URL", format!("file:{}", checkpoints.display()));
    let demo = Demo { root, isolated, tallow, folder };
    demo.run(arguments.stay)?;
    say("everything agrees");
    Ok(true)
}

fn say(text: &str) {
    println!("\n=== {text}");
}

impl Demo<'_> {
    fn run(&self, stay: bool) -> Result<()> {
        say("tables and topics");
        process::run(&mut self.tallow(&["migrate"]))?;

        say("60 minutes of 8 markets into Kafka");
        // The hour opens and closes on a quarter of an hour, so that no window stays open. It is
        // always the same hour, because not every hour of the simulated market has an alert.
        let hour = ["--start", "2026-01-05T15:00:00Z", "--duration", "60m"];
        process::run(self.tallow(&["produce", "--feed", "sim", "--speed", "max", "--disorder"]).args(hour))?;

        say("tallow run, and tallow serve beside it");
        let workers = std::env::var("TALLOW_WORKERS").unwrap_or_else(|_| "2".to_owned());
        let mut run =
            Served::start(self.tallow(&["run", "-w", &workers]), "run", self.folder.path(), "/ready")?;
        let pipeline = format!("http://{}", run.address);
        let mut serve = self.tallow(&["serve"]);
        serve.env("TALLOW__SERVER__PIPELINES", pipeline);
        let mut serve = Served::start(serve, "serve", self.folder.path(), "/health")?;

        let backtest = self.backtest()?;
        self.await_agreement(&backtest, &mut [&mut run, &mut serve]);
        say("PostgreSQL against the backtest");
        process::run(&mut self.compare(&backtest))?;
        self.check_alerts(&backtest)?;
        self.check_redis(&backtest)?;
        check_server(&serve.address)?;
        if stay {
            say(&format!("serving on http://{} until interrupted", serve.address));
            serve.program.wait()?;
        }
        Ok(())
    }

    fn tallow(&self, arguments: &[&str]) -> Command {
        let mut command = self.isolated.command(&self.tallow);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs the same dataflow over the topic, and returns the folder of its files.
    fn backtest(&self) -> Result<PathBuf> {
        let folder = self.folder.path().join("backtest");
        let mut command =
            self.tallow(&["backtest", "--topic", self.isolated.setting("TALLOW__KAFKA__TOPIC")?]);
        let ended = command.arg("--out").arg(&folder).output().context("run the backtest")?;
        print!("{}", String::from_utf8_lossy(&ended.stderr));
        ensure!(ended.status.success(), "the backtest failed: {}", ended.status);
        Ok(folder)
    }

    fn compare(&self, backtest: &Path) -> Command {
        let mut command = self.isolated.command(self.root.join("scripts/compare"));
        command.arg(backtest);
        command
    }

    /// Waits until the tables agree, or a process ends. The last quarter of an hour is settled once
    /// the watermark has passed its end, ten seconds and the silence later.
    fn await_agreement(&self, backtest: &Path, processes: &mut [&mut Served]) {
        let deadline = Instant::now() + PATIENCE;
        while !process::succeeds(&mut self.compare(backtest)) {
            if Instant::now() >= deadline || !processes.iter_mut().all(|it| it.program.is_running()) {
                return;
            }
            sleep(COMPARE_INTERVAL);
        }
    }

    /// Compares the alerts that were sent with those of the backtest. None may be sent twice.
    fn check_alerts(&self, backtest: &Path) -> Result<()> {
        let topic = self.isolated.setting("TALLOW__KAFKA__ALERTS_TOPIC")?;
        say(topic);
        let brokers = self.isolated.setting("TALLOW__KAFKA__BOOTSTRAP_SERVERS")?;
        let arguments = ["-C", "-q", "-e", "-b", brokers, "-t", topic, "-o", "beginning"];
        let messages = process::output(Command::new("kcat").args(arguments))?;
        let distinct: BTreeSet<&str> = messages.lines().collect();
        let repeated = messages.lines().count() - distinct.len();
        let sent: BTreeSet<&str> = messages.lines().filter_map(alert_id).collect();
        println!("{} messages of {} alerts, {repeated} repeated", messages.lines().count(), sent.len());
        ensure!(repeated == 0, "an alert was sent twice");
        let rows = read_rows(&backtest.join("alerts.csv"))?;
        let expected: BTreeSet<&str> = rows.iter().filter_map(|row| row.split(',').next()).collect();
        ensure!(!expected.is_empty(), "the market has had no alert, so nothing was shown");
        let missing: Vec<_> = expected.difference(&sent).collect();
        let extra: Vec<_> = sent.difference(&expected).collect();
        ensure!(
            missing.is_empty() && extra.is_empty(),
            "the alerts differ from those of the backtest: missing {missing:?}, extra {extra:?}"
        );
        Ok(())
    }

    /// Compares the newest candle of each symbol in Redis with that of the backtest.
    fn check_redis(&self, backtest: &Path) -> Result<()> {
        say("Redis");
        let rows = read_rows(&backtest.join("candles.csv"))?;
        let mut newest = BTreeMap::new();
        for row in &rows {
            let [symbol, interval, window_start] = first_columns(row)?;
            if interval == "1m" {
                // The rows of a symbol are in the order of their windows.
                newest.insert(symbol, window_start.parse::<u64>().context("read candles.csv")?);
            }
        }
        for (symbol, window_ms) in newest {
            let key = format!("{}:{symbol}:latest", self.isolated.id());
            let candle = self.isolated.redis(&["get", &key])?;
            let seconds = self.isolated.redis(&["ttl", &key])?;
            println!("{key}, expires in {} s: {}", seconds.trim(), candle.trim());
            let window = format!("\"windowStart\":{},", window_ms / 1000);
            ensure!(candle.contains(&window), "{key} is not the newest candle, of {window_ms}");
            ensure!(seconds.trim().parse::<i64>().is_ok_and(|it| it > 0), "{key} does not expire");
        }
        Ok(())
    }
}

fn check_server(address: &str) -> Result<()> {
    say(&format!("http://{address}"));
    let health = http::get(address, "/health")?.body;
    let latest = http::get(address, "/api/v1/latest/BTC")?.body;
    println!("{health}\n{latest}");
    ensure!(health.contains("\"status\":\"healthy\""), "the server is not healthy");
    ensure!(latest.contains("\"is_closed\":true"), "there is no closed candle of BTC");
    Ok(())
}

/// The rows of a CSV file, without its header.
fn read_rows(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.lines().skip(1).map(str::to_owned).collect())
}

/// The first columns of a row.
fn first_columns<const N: usize>(row: &str) -> Result<[&str; N]> {
    let columns: Vec<&str> = row.split(',').take(N).collect();
    columns.try_into().ok().with_context(|| format!("a row has less than {N} columns: {row}"))
}

/// The id in an alert's JSON.
fn alert_id(message: &str) -> Option<&str> {
    message.split_once("\"alert_id\":\"")?.1.split('"').next()
}
