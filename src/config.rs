//! The settings: the defaults of `config/default.toml`, overridden by a file, the environment and
//! flags.
//!
//! A setting is one field with its bounds and one commented line in `config/default.toml`. Each
//! layer is checked against the bounds when it is laid; [`Config::check`] checks the rules between
//! settings.

mod layers;
mod produce;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use tallow_connectors::caches::redis::RedisConfig;
use tallow_connectors::feeds::coingecko::CoinGeckoConfig;
use tallow_connectors::logs::kafka::KafkaConfig;
use tallow_connectors::stores::postgres::PostgresConfig;
use tallow_dataflow::{AnomalySettings, Settings};
use tallow_model::Symbol;
use tallow_model::setting::{Bounded, BoundedFloat, MAX_THREADS, NonEmpty, Positive, UNBOUNDED, WEEK_MS};
use tallow_runtime::checkpoint::CheckpointConfig;
use tallow_runtime::remote::ProcessUrl;
use tallow_server::{ServerSettings, Tls};

pub(crate) use layers::Layers;
pub(crate) use produce::{FeedKind, ProduceConfig, Speed};

/// The names of log levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// All settings. `config/default.toml` has their meanings and units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) dataflow: DataflowConfig,
    pub(crate) anomalies: AnomalySettings,
    pub(crate) log: LogConfig,
    pub(crate) store: StoreConfig,
    pub(crate) checkpoint: CheckpointConfig,
    pub(crate) kafka: KafkaConfig,
    pub(crate) postgres: PostgresConfig,
    pub(crate) redis: RedisConfig,
    pub(crate) server: ServerConfig,
    pub(crate) run: RunConfig,
    pub(crate) launch: LaunchConfig,
    pub(crate) up: UpConfig,
    pub(crate) produce: ProduceConfig,
    pub(crate) coingecko: CoinGeckoConfig,
    pub(crate) logging: LoggingConfig,
    pub(crate) traces: TracesConfig,
}

/// `[dataflow]`: the threads of the graph, and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataflowConfig {
    #[serde(with = "Bounded::<1, MAX_THREADS>")]
    pub(crate) workers: usize,
    #[serde(flatten)]
    pub(crate) graph: Settings,
}

/// `[log]`: the file log of `tallow up`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub(crate) partitions: u32,
    #[serde(with = "Bounded::<1_048_576, UNBOUNDED>")]
    pub(crate) segment_bytes: u64,
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub(crate) fsync_interval_ms: u64,
}

/// `[store]`: the queue in front of each store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreConfig {
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub(crate) queue_changes: usize,
}

/// `[server]`: the listener and its threads, and the settings of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tls_certificate: PathBuf,
    pub(crate) tls_key: PathBuf,
    #[serde(with = "Bounded::<0, MAX_THREADS>")]
    pub(crate) threads: usize,
    pub(crate) pipelines: Vec<ProcessUrl>,
    #[serde(flatten)]
    pub(crate) serving: ServerSettings,
}

/// `[run]`: the status server of a pipeline process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunConfig {
    pub(crate) listen: SocketAddr,
}

/// `[launch]`: the supervision of pipeline processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaunchConfig {
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub(crate) max_failures: u32,
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub(crate) healthy_ms: u64,
}

/// `[up]`: the data folder and the simulated market of `tallow up`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpConfig {
    pub(crate) data: PathBuf,
    pub(crate) seed: u64,
    #[serde(with = "NonEmpty")]
    pub(crate) symbols: Vec<Symbol>,
    #[serde(with = "Positive")]
    pub(crate) trades_per_second: f64,
    #[serde(with = "BoundedFloat::<0, 168>")]
    pub(crate) backfill_hours: f64,
}

/// `[logging]`: the log lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoggingConfig {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// `[traces]`: the export of traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TracesConfig {
    pub(crate) otlp_endpoint: String,
    #[serde(with = "BoundedFloat::<0, 1>")]
    pub(crate) sample_ratio: f64,
}

impl ServerConfig {
    /// The number of server threads. The setting 0 stands for one per core, two at least.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            // A machine that does not report its cores is taken for a small one.
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get).max(2),
            threads => threads,
        }
    }

    /// The TLS settings; `None` without a certificate.
    ///
    /// # Errors
    /// If a file can't be read or used. The text names the file.
    pub(crate) fn tls(&self) -> anyhow::Result<Option<Tls>> {
        if self.tls_certificate.as_os_str().is_empty() {
            return Ok(None);
        }
        Ok(Some(Tls::read(&self.tls_certificate, &self.tls_key).context("set up TLS")?))
    }

    /// The URL of a server that listens at `address`.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls_certificate.as_os_str().is_empty() { "http" } else { "https" };
        format!("{scheme}://{address}")
    }

    /// The settings of the status server of a pipeline process. It needs no keys and has no rate
    /// limit, because `tallow serve` polls it.
    pub(crate) fn reporting(&self) -> ServerSettings {
        ServerSettings { allowed_origins: self.serving.allowed_origins.clone(), ..ServerSettings::default() }
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.tls_certificate.as_os_str().is_empty() != self.tls_key.as_os_str().is_empty() {
            bail!("only one of server.tls_certificate and server.tls_key is set: set both or neither");
        }
        Ok(())
    }
}

impl TracesConfig {
    fn check(&self) -> anyhow::Result<()> {
        let endpoint = &self.otlp_endpoint;
        if !endpoint.is_empty() && !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            bail!("traces.otlp_endpoint is {endpoint:?}, not an http or https URL");
        }
        Ok(())
    }
}

impl LoggingConfig {
    /// Checks the level. The logger would take a bare word that is no level for the name of a
    /// module, and then log nothing.
    fn check(&self) -> anyhow::Result<()> {
        for directive in self.level.split(',').map(str::trim) {
            let bare = !directive.contains(['=', '[']);
            if bare && !LEVELS.contains(&directive.to_ascii_lowercase().as_str()) {
                bail!("logging.level has {directive:?}, which is none of {}", LEVELS.join(", "));
            }
        }
        Ok(())
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// Checks the rules between settings, after all layers.
    ///
    /// # Errors
    /// If a rule is broken. The text names the keys.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.server.check()?;
        self.kafka.check()?;
        self.postgres.check()?;
        self.redis.check()?;
        self.checkpoint.check()?;
        self.coingecko.check()?;
        self.traces.check()?;
        self.logging.check()
    }

    /// The settings of the graph.
    pub(crate) fn graph(&self) -> Settings {
        Settings { anomalies: self.anomalies.clone(), ..self.dataflow.graph.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallow_model::error::chain;
    use toml::Table;

    fn defaults() -> Config {
        Layers::defaults().expect("the defaults are settings").config()
    }

    fn keys(settings: &Table) -> Vec<String> {
        let section = |(section, keys): (&String, &toml::Value)| {
            let keys = keys.as_table().into_iter().flatten();
            keys.map(|(key, _)| format!("{section}.{key}")).collect::<Vec<_>>()
        };
        let mut keys: Vec<String> = settings.iter().flat_map(section).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_defaults_pass_and_are_those_of_the_crates() {
        let config = defaults();
        config.check().expect("the defaults keep the rules");
        assert_eq!(config.graph(), Settings { live_interval_ms: Some(250), ..Settings::default() });
        assert_eq!(config.checkpoint, CheckpointConfig::default());
        assert_eq!(config.kafka, KafkaConfig::default());
        assert_eq!(config.postgres, PostgresConfig::default());
        assert_eq!(config.server.serving, ServerSettings::default());
    }

    #[test]
    fn the_file_of_defaults_has_the_keys_of_the_settings_and_no_other() {
        let settings = Table::try_from(defaults()).expect("settings are a table");
        let file: Table = layers::DEFAULTS.parse().expect("the defaults are TOML");
        assert_eq!(keys(&settings), keys(&file));
    }

    #[test]
    fn each_key_of_the_file_of_defaults_has_a_comment() {
        let mut commented = false;
        for line in layers::DEFAULTS.lines() {
            if line.is_empty() || line.starts_with('[') {
                commented = false;
            } else if line.starts_with('#') {
                commented = true;
            } else if line.contains(" = ") {
                assert!(commented, "{line}");
                commented = false;
            }
        }
    }

    #[test]
    fn the_server_has_the_threads_of_the_machine_or_those_that_it_is_given() {
        let mut server = defaults().server;
        let cores = std::thread::available_parallelism().expect("a number").get();
        assert_eq!(server.threads(), cores.max(2));
        server.threads = 1;
        assert_eq!(server.threads(), 1);
    }

    #[test]
    fn a_refused_value_is_named_with_its_key_and_bound() {
        let refused = |key: &str, value: &str| {
            let (section, key) = key.split_once('.').expect("a section and a key");
            let name = format!("TALLOW__{section}__{key}").to_uppercase();
            let mut layers = Layers::defaults().expect("the defaults are settings");
            let set = layers.environment([(name.clone().into(), value.into())].into_iter());
            let error = set.and_then(|()| layers.config().check()).expect_err("refused");
            chain(&*error).replace(&format!("read environment variable {name}: "), "")
        };
        for (key, value, expected) in [
            ("dataflow.workers", "0", "dataflow.workers: 0 is below the minimum of 1"),
            ("dataflow.workers", "257", "dataflow.workers: 257 is above the maximum of 256"),
            ("dataflow.batch_records", "0", "dataflow.batch_records: 0 is below the minimum of 1"),
            (
                "dataflow.idle_timeout_ms",
                "604800001",
                "dataflow.idle_timeout_ms: 604800001 is above the maximum of 604800000",
            ),
            ("anomalies.lookback_ms", "59999", "anomalies.lookback_ms: 59999 is below the minimum of 60000"),
            ("server.max_connections", "0", "server.max_connections: 0 is below the minimum of 1"),
            ("server.ping_interval_ms", "0", "server.ping_interval_ms: 0 is below the minimum of 1"),
            (
                "server.pong_timeout_ms",
                "604800001",
                "server.pong_timeout_ms: 604800001 is above the maximum of 604800000",
            ),
            ("anomalies.threshold", "nan", "anomalies.threshold: NaN is not a finite number above 0"),
            ("up.backfill_hours", "-1", "up.backfill_hours: -1 is below the minimum of 0"),
            ("up.symbols", "", "up.symbols: the list is empty"),
            (
                "server.tls_key",
                "key.pem",
                "only one of server.tls_certificate and server.tls_key is set: set both or neither",
            ),
            (
                "kafka.options",
                "sasl.pasword=hunter2",
                "kafka.options: sasl.pasword is no property of librdkafka",
            ),
            (
                "postgres.url",
                "postgres//me:hunter2@host",
                "postgres.url is not an address of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE or a list of \
                 NAME=VALUE",
            ),
            (
                "redis.url",
                "http://me:hunter2@host",
                "use the address in redis.url: Redis URL did not parse - InvalidClientConfig",
            ),
            ("checkpoint.url", "file:", "checkpoint.url names no folder: write file:PATH"),
            (
                "checkpoint.url",
                "https://example.org/x",
                "checkpoint.url names https://example.org/x, which can't be used: Operation not supported: it is \
                 neither a folder nor S3, Google Cloud Storage or Azure Blob Storage",
            ),
            ("checkpoint.keep", "2", "checkpoint.keep: 2 is below the minimum of 3"),
            (
                "checkpoint.interval_ms",
                "1500",
                "checkpoint.interval_ms is 1500, not a whole number of seconds",
            ),
            ("produce.symbols", "", "produce.symbols: the list is empty"),
            ("produce.trades_per_second", "0", "produce.trades_per_second: 0 is not a finite number above 0"),
            ("coingecko.coins", "", "coingecko.coins has 0, not within 1 and 250"),
            ("coingecko.poll_interval_ms", "9", "coingecko.poll_interval_ms: 9 is below the minimum of 10"),
            (
                "traces.otlp_endpoint",
                "collector:4318",
                "traces.otlp_endpoint is \"collector:4318\", not an http or https URL",
            ),
            ("traces.sample_ratio", "1.5", "traces.sample_ratio: 1.5 is above the maximum of 1"),
            (
                "logging.level",
                "warn,loud",
                "logging.level has \"loud\", which is none of off, error, warn, info, debug, trace",
            ),
        ] {
            assert_eq!(refused(key, value), expected);
        }
    }
}
