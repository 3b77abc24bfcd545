//! The settings of the graph. All but the last group change the meaning of the results.

use tallow_model::MINUTE_MS;

/// How ticks become candles and alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How far behind the newest event time of its partition a tick may be and still be on time, in milliseconds.
    pub max_out_of_orderness_ms: u64,
    /// How long after its end a one-minute window can be corrected, in milliseconds of logical time.
    pub allowed_lateness_ms: u64,
    /// How far past its log time a timestamp may lie, in milliseconds.
    pub max_future_ms: u64,
    /// The anomaly detector.
    pub anomalies: AnomalySettings,

    /// How long a partition that is read to its end must be silent before it stops holding the frontier back, in
    /// milliseconds of the clock.
    pub idle_timeout_ms: u64,
    /// How far ahead of the frontier a partition may run before it is paused, in milliseconds of event time.
    pub max_skew_ms: u64,
    /// How often at most an open candle is shown, in milliseconds of the clock; none to show no open candles.
    pub live_interval_ms: Option<u64>,
    /// How many records a worker reads from a partition before it lets the rest of the graph run.
    pub batch_records: usize,
}

/// The settings of the z-score detector.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalySettings {
    /// How far back the baseline reaches, in milliseconds; at least one minute, at most one day.
    pub lookback_ms: u64,
    /// The least standard deviation that a return is measured against.
    pub stddev_floor: f64,
    /// The |z| from which an alert is raised.
    pub threshold: f64,
    /// How many returns a baseline must have.
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
