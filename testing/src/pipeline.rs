//! A pipeline of a test's own on the services: topics, a database, keys.

use crate::database::Database;
use crate::ports::free_addresses;
use crate::process::Tallow;
use crate::program::tallow;
use crate::recordings::checkout;
use crate::services::{self, unique};
use crate::topic::Topic;
use crate::wait::until;
use std::path::Path;
use std::process::{Command, Stdio};

/// After this silence a market counts as over. Short, so that a test need not wait for the last
/// candles; longer than anything keeps a market that goes on from being read.
const IDLE_TIMEOUT_MS: &str = "10000";

/// When a simulated market opens that has alerts in its first hour, which not every one has: the
/// start of a quarter of an hour, so that a market that closes some quarters later leaves no window
/// open.
pub const OPENS: &str = "2026-01-05T15:00:00Z";

/// The pipeline's topics, database and keys, removed when dropped.
pub struct PipelineFixture {
    settings: Vec<(String, String)>,
    topics: [Topic; 3],
    _database: Database,
    _checkpoints: tempfile::TempDir,
}

impl PipelineFixture {
    /// Prepares a pipeline on the services of the checkout, or returns `None` after saying that the
    /// test is skipped.
    pub fn of_the_checkout() -> Option<PipelineFixture> {
        Some(PipelineFixture::on(&services::kafka()?, &services::postgres()?, &services::redis()?))
    }

    /// Prepares a pipeline on these services.
    pub fn on(kafka: &str, postgres: &str, redis: &str) -> PipelineFixture {
        let database = Database::create_on(postgres);
        let id = unique("pipeline");
        let topic = |name: &str, partitions| Topic::make(kafka, format!("{id}_{name}"), partitions, &[]);
        let topics = [topic("prices", 3), topic("alerts", 1), topic("dead_letters", 1)];
        let checkpoints = tempfile::tempdir().unwrap();
        let settings = [
            ("TALLOW__CHECKPOINT__URL", format!("file:{}", checkpoints.path().display())),
            ("TALLOW__KAFKA__BOOTSTRAP_SERVERS", kafka.to_owned()),
            ("TALLOW__KAFKA__TOPIC", topics[0].name.clone()),
            ("TALLOW__KAFKA__ALERTS_TOPIC", topics[1].name.clone()),
            ("TALLOW__KAFKA__DEAD_LETTERS_TOPIC", topics[2].name.clone()),
            ("TALLOW__KAFKA__GROUP", id.clone()),
            ("TALLOW__POSTGRES__URL", database.url()),
            ("TALLOW__REDIS__URL", redis.to_owned()),
            ("TALLOW__REDIS__PREFIX", id),
            ("TALLOW__RUN__LISTEN", "127.0.0.1:0".to_owned()),
            ("TALLOW__SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("TALLOW__DATAFLOW__IDLE_TIMEOUT_MS", IDLE_TIMEOUT_MS.to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        PipelineFixture { settings, topics, _database: database, _checkpoints: checkpoints }
    }

    /// Returns the value of a setting.
    pub fn setting(&self, name: &str) -> String {
        let found = self.settings.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no {name}")).1.clone()
    }

    /// The topic of alerts.
    pub fn alerts(&self) -> &Topic {
        &self.topics[1]
    }

    /// The topic of dead letters.
    pub fn dead_letters(&self) -> &Topic {
        &self.topics[2]
    }

    /// Starts a command on this pipeline, with further settings.
    pub fn start(&self, arguments: &[&str], further: &[(&str, &str)]) -> Tallow {
        let settings = self.settings.iter().map(|(name, value)| (&**name, &**value));
        let settings: Vec<(&str, &str)> = settings.chain(further.iter().copied()).collect();
        Tallow::start(arguments, &settings)
    }

    /// Makes the tables.
    pub fn migrate(&self) {
        self.start(&["migrate"], &[]).stop_by_itself();
    }

    /// Starts `tallow run`.
    pub fn start_run(&self, flags: &[&str]) -> Tallow {
        self.start(&[&["run"], flags].concat(), &[])
    }

    /// Starts `tallow run` and waits until it reads.
    pub fn run(&self, flags: &[&str]) -> Tallow {
        let mut run = self.start_run(flags);
        run.says("ready");
        run
    }

    /// Starts `tallow serve` beside a running process, and waits until the process answers it.
    pub fn serve(&self, run: &Tallow) -> Tallow {
        let pipeline = format!("http://{}", run.address().expect("it has said where it listens"));
        let mut serve = self.start(&["serve"], &[("TALLOW__SERVER__PIPELINES", &pipeline)]);
        serve.says("pipeline answers");
        serve
    }

    /// Starts `tallow produce` of a simulated market.
    pub fn produce(&self, flags: &[&str]) -> Tallow {
        self.start(&[&["produce", "--feed", "sim"], flags].concat(), &[])
    }

    /// Returns the folder of results of a backtest of the topic.
    pub fn backtest(&self) -> tempfile::TempDir {
        let out = tempfile::tempdir().unwrap();
        let ended = tallow()
            .envs(self.settings.iter().cloned())
            .args(["backtest", "--topic", &self.topics[0].name, "--out"])
            .arg(out.path())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        out
    }

    /// Waits until the tables are what the backtest expects, row for row.
    pub fn agrees(&self, expected: &tempfile::TempDir) {
        let mut said = String::new();
        let agrees = || {
            let output = compare(expected.path(), &self.setting("TALLOW__POSTGRES__URL"));
            said = output.1;
            output.0.then_some(())
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| until("agreement", agrees)));
        assert!(outcome.is_ok(), "the tables are not what the log makes:\n{said}");
    }
}

/// Returns whether the tables agree, and the output of the comparison.
fn compare(expected: &Path, database: &str) -> (bool, String) {
    let output = Command::new(checkout().join("scripts/compare"))
        .arg(expected)
        .env("TALLOW__POSTGRES__URL", database)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Returns a file of free addresses of this machine, and the addresses.
pub fn hosts(count: usize) -> (tempfile::NamedTempFile, Vec<String>) {
    let addresses = free_addresses(count);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("# the processes\n{}\n", addresses.join("\n"))).unwrap();
    (file, addresses)
}
