//! The settings: commented defaults compiled in, then a file, then the environment, then flags; checked once.

use anyhow::{Context, bail};
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tallow_dataflow::{AnomalySettings, Settings, Symbol};

/// The commented defaults.
pub(crate) const DEFAULTS: &str = include_str!("../config/default.toml");

/// Every setting. What each means, and its unit, stands in `config/default.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) dataflow: DataflowConfig,
    pub(crate) anomalies: AnomaliesConfig,
    pub(crate) log: LogConfig,
    pub(crate) store: StoreConfig,
    pub(crate) server: ServerConfig,
    pub(crate) up: UpConfig,
    pub(crate) logging: LoggingConfig,
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
    pub(crate) allowed_origins: Vec<String>,
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
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            figment = figment.merge(Toml::string(&text));
            // Named here, because the provider of a text does not know where it came from.
            figment
                .extract::<Config>()
                .with_context(|| format!("read the settings in {}", path.display()))?;
        }
        Ok(figment.merge(Env::prefixed("TALLOW__").split("__")).extract()?)
    }

    /// Checks what types can't say. Called after the flags have been applied.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let at_least = |name: &str, value: u64, least: u64| {
            if value < least { bail!("{name} is {value}, the least is {least}") } else { Ok(()) }
        };
        at_least("dataflow.workers", self.dataflow.workers as u64, 1)?;
        at_least("dataflow.batch_records", self.dataflow.batch_records as u64, 1)?;
        at_least("log.partitions", u64::from(self.log.partitions), 1)?;
        at_least("log.segment_bytes", self.log.segment_bytes, 1 << 20)?;
        at_least("store.queue_changes", self.store.queue_changes as u64, 1)?;
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
        if self.up.symbols.is_empty() {
            bail!("up.symbols names no symbol");
        }
        Ok(())
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
