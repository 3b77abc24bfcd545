//! The settings: commented defaults compiled in, then a file, then the environment, then flags; checked once.

mod layers;
mod produce;

use anyhow::{Context, bail};
use layers::Layers;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tallow_connectors::caches::redis::RedisConfig;
use tallow_connectors::feeds::coingecko::CoinGeckoConfig;
use tallow_connectors::logs::kafka::KafkaConfig;
use tallow_connectors::stores::postgres::PostgresConfig;
use tallow_dataflow::{AnomalySettings, Settings};
use tallow_model::Symbol;
use tallow_runtime::checkpoint::CheckpointConfig;
use tallow_runtime::remote::ProcessUrl;
use tallow_server::{ApiKey, Proxies, ServerSettings, Tls};

pub(crate) use produce::{FeedKind, ProduceConfig, Speed};

/// The commented defaults.
const DEFAULTS: &str = include_str!("../config/default.toml");

/// The most threads, of workers or of the server: far beyond any machine this runs on, and below what makes a system refuse threads.
const MAX_WORKERS: u64 = 256;

/// The longest of the graph's durations, in milliseconds: a week.
const MAX_DURATION_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// The longest that candles can be asked to be kept: a hundred years.
const MAX_KEPT_DAYS: u64 = 36_500;

/// The names of log levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Every setting. What each means, and its unit, stands in `config/default.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) dataflow: DataflowConfig,
    pub(crate) anomalies: AnomaliesConfig,
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

/// `[dataflow]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataflowConfig {
    pub(crate) workers: usize,
    pub(crate) max_out_of_orderness_ms: u64,
    pub(crate) allowed_lateness_ms: u64,
    pub(crate) max_future_ms: u64,
    pub(crate) idle_timeout_ms: u64,
    pub(crate) max_skew_ms: u64,
    pub(crate) live_interval_ms: u64,
    pub(crate) batch_records: usize,
}

/// `[anomalies]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnomaliesConfig {
    pub(crate) lookback_ms: u64,
    pub(crate) stddev_floor: f64,
    pub(crate) threshold: f64,
    pub(crate) min_samples: u32,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    pub(crate) partitions: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) fsync_interval_ms: u64,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreConfig {
    pub(crate) queue_changes: usize,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tls_certificate: PathBuf,
    pub(crate) tls_key: PathBuf,
    pub(crate) threads: usize,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) api_keys: Vec<ApiKey>,
    pub(crate) dashboard: bool,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    pub(crate) trusted_proxies: Vec<Proxies>,
    pub(crate) max_websockets: usize,
    pub(crate) max_websockets_per_address: usize,
    pub(crate) max_requests: usize,
    pub(crate) max_exports: usize,
    pub(crate) max_exports_per_address: usize,
    pub(crate) rate_per_second: u32,
    pub(crate) rate_burst: u32,
    pub(crate) stale_after_ms: u64,
    pub(crate) request_timeout_ms: u64,
    pub(crate) send_timeout_ms: u64,
    pub(crate) shutdown_timeout_ms: u64,
    pub(crate) client_queue: usize,
    pub(crate) idle_timeout_ms: u64,
    pub(crate) keepalive_ms: u64,
    pub(crate) ping_interval_ms: u64,
    pub(crate) pong_timeout_ms: u64,
    pub(crate) pipelines: Vec<ProcessUrl>,
}

/// `[run]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunConfig {
    pub(crate) listen: SocketAddr,
}

/// `[launch]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaunchConfig {
    pub(crate) max_failures: u32,
    pub(crate) healthy_ms: u64,
}

/// `[up]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpConfig {
    pub(crate) data: PathBuf,
    pub(crate) seed: u64,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) trades_per_second: f64,
    pub(crate) backfill_hours: f64,
}

/// `[logging]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoggingConfig {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// `[traces]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TracesConfig {
    pub(crate) otlp_endpoint: String,
    pub(crate) sample_ratio: f64,
}

impl ServerConfig {
    /// How many threads serve.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            // What can't be found out is taken for a small machine.
            0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get).max(2),
            threads => threads,
        }
    }
}

impl TracesConfig {
    fn check(&self) -> anyhow::Result<()> {
        let endpoint = &self.otlp_endpoint;
        if !endpoint.is_empty() && !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            bail!("traces.otlp_endpoint is {endpoint:?}, not an http or https URL");
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            bail!("traces.sample_ratio is {}, not within 0 and 1", self.sample_ratio);
        }
        Ok(())
    }
}

impl LoggingConfig {
    /// A bare word that is no level would be taken for the name of a module, and then nothing be logged.
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

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl Config {
    /// Reads the settings: defaults, then `file`, then the environment.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Config> {
        let mut layers = Layers::defaults()?;
        if let Some(path) = file {
            layers.file(path)?;
        }
        layers.environment(std::env::vars_os())?;
        Ok(layers.config())
    }

    /// Checks what types can't say. Called after the flags have been applied.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let at_least = |name: &str, value: u64, least: u64| {
            if value < least { bail!("{name} is {value}, the least is {least}") } else { Ok(()) }
        };
        let at_most = |name: &str, value: u64, most: u64| {
            if value > most { bail!("{name} is {value}, the most is {most}") } else { Ok(()) }
        };
        at_least("dataflow.workers", self.dataflow.workers as u64, 1)?;
        at_most("dataflow.workers", self.dataflow.workers as u64, MAX_WORKERS)?;
        at_least("dataflow.batch_records", self.dataflow.batch_records as u64, 1)?;
        at_least("log.partitions", u64::from(self.log.partitions), 1)?;
        at_least("log.segment_bytes", self.log.segment_bytes, 1 << 20)?;
        at_least("kafka.partitions", u64::from(self.kafka.partitions), 1)?;
        at_least("kafka.replication_factor", u64::from(self.kafka.replication_factor), 1)?;
        at_least("postgres.pool_size", self.postgres.pool_size as u64, 1)?;
        at_least("redis.ttl_seconds", self.redis.ttl_seconds, 1)?;
        at_least("store.queue_changes", self.store.queue_changes as u64, 1)?;
        at_most("server.threads", self.server.threads as u64, MAX_WORKERS)?;
        at_least("server.max_connections", self.server.max_connections as u64, 1)?;
        at_least("server.client_queue", self.server.client_queue as u64, 1)?;
        at_least("server.request_timeout_ms", self.server.request_timeout_ms, 1)?;
        at_least("server.send_timeout_ms", self.server.send_timeout_ms, 1)?;
        at_least("server.idle_timeout_ms", self.server.idle_timeout_ms, 1)?;
        at_least("server.keepalive_ms", self.server.keepalive_ms, 1)?;
        at_least("server.ping_interval_ms", self.server.ping_interval_ms, 1)?;
        at_least("server.pong_timeout_ms", self.server.pong_timeout_ms, 1)?;
        at_least("launch.max_failures", u64::from(self.launch.max_failures), 1)?;
        at_least("checkpoint.interval_ms", self.checkpoint.interval_ms, 1_000)?;
        at_least("checkpoint.keep", self.checkpoint.keep as u64, 3)?;
        if !self.checkpoint.interval_ms.is_multiple_of(1_000) {
            bail!("checkpoint.interval_ms is {}, not whole seconds", self.checkpoint.interval_ms);
        }
        for (name, value) in [
            ("dataflow.max_out_of_orderness_ms", self.dataflow.max_out_of_orderness_ms),
            ("dataflow.allowed_lateness_ms", self.dataflow.allowed_lateness_ms),
            ("dataflow.max_future_ms", self.dataflow.max_future_ms),
            ("dataflow.idle_timeout_ms", self.dataflow.idle_timeout_ms),
            ("dataflow.max_skew_ms", self.dataflow.max_skew_ms),
            ("dataflow.live_interval_ms", self.dataflow.live_interval_ms),
            ("log.fsync_interval_ms", self.log.fsync_interval_ms),
            ("launch.healthy_ms", self.launch.healthy_ms),
            ("checkpoint.interval_ms", self.checkpoint.interval_ms),
            ("checkpoint.min_pause_ms", self.checkpoint.min_pause_ms),
            ("server.request_timeout_ms", self.server.request_timeout_ms),
            ("server.send_timeout_ms", self.server.send_timeout_ms),
            ("server.shutdown_timeout_ms", self.server.shutdown_timeout_ms),
            ("server.idle_timeout_ms", self.server.idle_timeout_ms),
            ("server.keepalive_ms", self.server.keepalive_ms),
            ("server.ping_interval_ms", self.server.ping_interval_ms),
            ("server.pong_timeout_ms", self.server.pong_timeout_ms),
        ] {
            at_most(name, value, MAX_DURATION_MS)?;
        }
        for (name, days) in [
            ("postgres.compress_after_days", self.postgres.compress_after_days),
            ("postgres.keep_1m_days", self.postgres.keep_1m_days),
            ("postgres.keep_5m_days", self.postgres.keep_5m_days),
            ("postgres.keep_15m_days", self.postgres.keep_15m_days),
        ] {
            at_most(name, u64::from(days), MAX_KEPT_DAYS)?;
        }
        if !(60_000..=86_400_000).contains(&self.anomalies.lookback_ms) {
            bail!(
                "anomalies.lookback_ms is {}, not within one minute and one day",
                self.anomalies.lookback_ms
            );
        }
        for (name, value) in [
            ("anomalies.threshold", self.anomalies.threshold),
            ("anomalies.stddev_floor", self.anomalies.stddev_floor),
            ("up.trades_per_second", self.up.trades_per_second),
        ] {
            if !(value.is_finite() && value > 0.0) {
                bail!("{name} is {value}, not a finite number above 0");
            }
        }
        if !(0.0..=168.0).contains(&self.up.backfill_hours) {
            bail!("up.backfill_hours is {}, not within 0 and 168", self.up.backfill_hours);
        }
        let is_empty = |path: &Path| path.as_os_str().is_empty();
        if is_empty(&self.server.tls_certificate) != is_empty(&self.server.tls_key) {
            bail!("server.tls_certificate and server.tls_key are given together or not at all");
        }
        if self.up.symbols.is_empty() {
            bail!("up.symbols names no symbol");
        }
        self.kafka.check()?;
        self.postgres.check()?;
        self.redis.check()?;
        self.checkpoint.check()?;
        self.produce.check()?;
        self.coingecko.check()?;
        self.traces.check()?;
        self.logging.check()
    }

    /// The server's settings.
    pub(crate) fn serving(&self) -> ServerSettings {
        ServerSettings {
            api_keys: self.server.api_keys.clone(),
            dashboard: self.server.dashboard,
            max_connections: self.server.max_connections,
            max_connections_per_address: self.server.max_connections_per_address,
            trusted_proxies: self.server.trusted_proxies.clone(),
            max_websockets: self.server.max_websockets,
            max_websockets_per_address: self.server.max_websockets_per_address,
            max_requests: self.server.max_requests,
            max_exports: self.server.max_exports,
            max_exports_per_address: self.server.max_exports_per_address,
            rate_per_second: self.server.rate_per_second,
            rate_burst: self.server.rate_burst,
            stale_after: Duration::from_millis(self.server.stale_after_ms),
            request_timeout: Duration::from_millis(self.server.request_timeout_ms),
            send_timeout: Duration::from_millis(self.server.send_timeout_ms),
            shutdown_timeout: Duration::from_millis(self.server.shutdown_timeout_ms),
            client_queue: self.server.client_queue,
            header_read_timeout: Duration::from_millis(self.server.idle_timeout_ms),
            keepalive: Duration::from_millis(self.server.keepalive_ms),
            ping_interval: Duration::from_millis(self.server.ping_interval_ms),
            pong_timeout: Duration::from_millis(self.server.pong_timeout_ms),
            ..self.reporting()
        }
    }

    /// What the server speaks TLS with, if it does.
    ///
    /// # Errors
    /// When the files are of no use, which is said with their names.
    pub(crate) fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let ServerConfig { tls_certificate, tls_key, .. } = &self.server;
        if tls_certificate.as_os_str().is_empty() {
            return Ok(None);
        }
        Ok(Some(Tls::read(tls_certificate, tls_key).context("set up TLS")?))
    }

    /// Where the server is found that listens at this address.
    pub(crate) fn url(&self, address: SocketAddr) -> String {
        let scheme = if self.server.tls_certificate.as_os_str().is_empty() { "http" } else { "https" };
        format!("{scheme}://{address}")
    }

    /// The settings where a process that runs the graph says how it is: no keys and no rate, as the server itself asks there.
    pub(crate) fn reporting(&self) -> ServerSettings {
        ServerSettings { allowed_origins: self.server.allowed_origins.clone(), ..ServerSettings::default() }
    }

    /// The graph's settings.
    pub(crate) fn graph(&self) -> Settings {
        Settings {
            max_out_of_orderness_ms: self.dataflow.max_out_of_orderness_ms,
            allowed_lateness_ms: self.dataflow.allowed_lateness_ms,
            max_future_ms: self.dataflow.max_future_ms,
            anomalies: AnomalySettings {
                lookback_ms: self.anomalies.lookback_ms,
                stddev_floor: self.anomalies.stddev_floor,
                threshold: self.anomalies.threshold,
                min_samples: self.anomalies.min_samples,
            },
            idle_timeout_ms: self.dataflow.idle_timeout_ms,
            max_skew_ms: self.dataflow.max_skew_ms,
            live_interval_ms: Some(self.dataflow.live_interval_ms),
            batch_records: self.dataflow.batch_records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Config {
        Layers::defaults().expect("the defaults are settings").config()
    }

    #[test]
    fn the_defaults_pass_and_are_those_of_the_graph() {
        let config = defaults();
        config.check().expect("the defaults can be");
        assert_eq!(config.graph(), Settings { live_interval_ms: Some(250), ..Settings::default() });
        assert_eq!(config.checkpoint, CheckpointConfig::default());
        assert_eq!(config.kafka, KafkaConfig::default());
        assert_eq!(config.postgres, PostgresConfig::default());
        assert_eq!(config.serving(), ServerSettings::default());
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
    fn what_cannot_be_is_named() {
        type Change = fn(&mut Config);
        let refused = |change: Change| {
            let mut config = defaults();
            change(&mut config);
            config.check().expect_err("refused").to_string()
        };
        let cases: [(Change, &str); 22] = [
            (|c| c.dataflow.workers = 0, "dataflow.workers is 0, the least is 1"),
            (|c| c.dataflow.workers = 257, "dataflow.workers is 257, the most is 256"),
            (|c| c.dataflow.batch_records = 0, "dataflow.batch_records is 0, the least is 1"),
            (
                |c| c.dataflow.idle_timeout_ms = u64::MAX,
                "dataflow.idle_timeout_ms is 18446744073709551615, the most is 604800000",
            ),
            (
                |c| c.anomalies.lookback_ms = 59_999,
                "anomalies.lookback_ms is 59999, not within one minute and one day",
            ),
            (|c| c.server.max_connections = 0, "server.max_connections is 0, the least is 1"),
            (|c| c.server.ping_interval_ms = 0, "server.ping_interval_ms is 0, the least is 1"),
            (
                |c| c.server.pong_timeout_ms = 604_800_001,
                "server.pong_timeout_ms is 604800001, the most is 604800000",
            ),
            (|c| c.anomalies.threshold = f64::NAN, "anomalies.threshold is NaN, not a finite number above 0"),
            (|c| c.up.backfill_hours = -1.0, "up.backfill_hours is -1, not within 0 and 168"),
            (|c| c.up.symbols.clear(), "up.symbols names no symbol"),
            (
                |c| c.kafka.options = vec!["sasl.pasword=hunter2".to_owned().into()],
                "kafka.options: sasl.pasword is no property of librdkafka",
            ),
            (
                |c| c.postgres.url = "postgres//me:hunter2@host".to_owned().into(),
                "postgres.url is not an address of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE or a list of \
                 NAME=VALUE",
            ),
            (
                |c| c.redis.url = "http://me:hunter2@host".to_owned().into(),
                "use the address in redis.url: Redis URL did not parse - InvalidClientConfig",
            ),
            (|c| c.checkpoint.url = "file:".to_owned(), "checkpoint.url names no folder: write file:PATH"),
            (
                |c| c.checkpoint.url = "https://example.org/x".to_owned(),
                "checkpoint.url names https://example.org/x, which can't be used: Operation not supported: it is \
                 neither a folder nor S3, Google Cloud Storage or Azure Blob Storage",
            ),
            (|c| c.produce.symbols.clear(), "produce.symbols names no symbol"),
            (
                |c| c.produce.trades_per_second = 0.0,
                "produce.trades_per_second is 0, not a finite number above 0",
            ),
            (|c| c.coingecko.coins.clear(), "coingecko.coins has 0, not within 1 and 250"),
            (
                |c| c.traces.otlp_endpoint = "collector:4318".to_owned(),
                "traces.otlp_endpoint is \"collector:4318\", not an http or https URL",
            ),
            (|c| c.traces.sample_ratio = 1.5, "traces.sample_ratio is 1.5, not within 0 and 1"),
            (
                |c| c.logging.level = "warn,loud".to_owned(),
                "logging.level has \"loud\", which is none of off, error, warn, info, debug, trace",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(refused(change), expected);
        }
    }
}
