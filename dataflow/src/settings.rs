//! The settings of the graph. All but the last group change the meaning of the results.

use serde::{Deserialize, Serialize};
use tallow_model::MINUTE_MS;
use tallow_model::setting::{Bounded, DAY_MS, Positive, UNBOUNDED, WEEK_MS};

/// The rules by which ticks become candles and alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The distance, in milliseconds, by which a tick may be behind the newest event time of its
    /// partition and still be on time.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub max_out_of_orderness_ms: u64,
    /// The time after its end, in milliseconds of logical time, in which a one-minute window can be
    /// corrected.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub allowed_lateness_ms: u64,
    /// The distance, in milliseconds, by which a timestamp may be ahead of its log time.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub max_future_ms: u64,
    /// The settings of the anomaly detector, which have a section of their own.
    #[serde(skip)]
    pub anomalies: AnomalySettings,

    /// The silence, in milliseconds of the clock, after which a partition that is read to its end no
    /// longer holds the frontier back.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub idle_timeout_ms: u64,
    /// The distance, in milliseconds of event time, by which a partition may be ahead of the frontier
    /// before it is paused.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub max_skew_ms: u64,
    /// The minimum time between two versions of an open candle, in milliseconds of the clock; `None`
    /// for no open candles.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub live_interval_ms: Option<u64>,
    /// The number of records that a worker reads from a partition before it lets the rest of the graph
    /// run.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub batch_records: usize,
}

/// The settings of the z-score detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalySettings {
    /// The length of the baseline, in milliseconds of event time: one minute to one day.
    #[serde(with = "Bounded::<MINUTE_MS, DAY_MS>")]
    pub lookback_ms: u64,
    /// The minimum standard deviation that a return is measured against.
    #[serde(with = "Positive")]
    pub stddev_floor: f64,
    /// The |z| from which an alert is raised.
    #[serde(with = "Positive")]
    pub threshold: f64,
    /// The minimum number of returns in a baseline.
    pub min_samples: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            max_out_of_orderness_ms: 10_000,
            allowed_lateness_ms: 15 * MINUTE_MS,
            max_future_ms: 60_000,
            anomalies: AnomalySettings::default(),
            idle_timeout_ms: 30_000,
            max_skew_ms: 30 * MINUTE_MS,
            live_interval_ms: None,
            batch_records: 16_384,
        }
    }
}

impl Default for AnomalySettings {
    fn default() -> AnomalySettings {
        AnomalySettings { lookback_ms: 60 * MINUTE_MS, stddev_floor: 0.0001, threshold: 4.0, min_samples: 20 }
    }
}
