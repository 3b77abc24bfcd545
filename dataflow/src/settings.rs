//! The settings of the graph. The first group changes the meaning of the results, the second only
//! when they come.

use serde::{Deserialize, Serialize};
use tallow_model::MINUTE_MS;
use tallow_model::setting::{Bounded, DAY_MS, Positive, UNBOUNDED, WEEK_MS};

/// The rules by which ticks become candles and alerts.
///
/// # Examples
///
/// ```
/// use tallow_dataflow::Settings;
///
/// // Candles can be corrected for an hour after their minute's end.
/// let settings = Settings { allowed_lateness_ms: 3_600_000, ..Settings::default() };
/// assert_eq!(settings.max_out_of_orderness_ms, 10_000);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Largest distance of a tick behind the newest event time of its partition at which the tick
    /// is still on time, in milliseconds.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub max_out_of_orderness_ms: u64,
    /// Time after the end of a one-minute window during which it can be corrected, in milliseconds
    /// of logical time.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub allowed_lateness_ms: u64,
    /// Largest distance of a timestamp past its record's log time, in milliseconds.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub max_future_ms: u64,
    /// The anomaly detector.
    #[serde(skip)]
    pub anomalies: AnomalySettings,

    /// Silence after which a partition that is read to its end no longer holds the frontier back,
    /// in milliseconds of the clock.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub idle_timeout_ms: u64,
    /// Largest distance of a partition ahead of the settled frontier at which it is still read, in
    /// milliseconds of event time.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub max_skew_ms: u64,
    /// Least time between two showings of an open candle, in milliseconds of the clock; `None`
    /// shows no open candles.
    #[serde(with = "Bounded::<0, WEEK_MS>")]
    pub live_interval_ms: Option<u64>,
    /// Number of records that a worker reads from a partition before it lets the rest of the graph
    /// run.
    #[serde(with = "Bounded::<1, UNBOUNDED>")]
    pub batch_records: usize,
}

/// The settings of the z-score detector.
///
/// # Examples
///
/// ```
/// use tallow_dataflow::AnomalySettings;
///
/// let strict = AnomalySettings { threshold: 6.0, ..AnomalySettings::default() };
/// assert_eq!(strict.lookback_ms, 3_600_000);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalySettings {
    /// Length of the baseline in milliseconds; from one minute to one day.
    #[serde(with = "Bounded::<MINUTE_MS, DAY_MS>")]
    pub lookback_ms: u64,
    /// The least standard deviation that a return is measured against.
    #[serde(with = "Positive")]
    pub stddev_floor: f64,
    /// The |z| from which an alert is raised.
    #[serde(with = "Positive")]
    pub threshold: f64,
    /// Least number of returns in a baseline.
    pub min_samples: u32,
}

impl Settings {
    /// Returns the settings that change the meaning of the results, by name: a checkpoint can be
    /// restored only under equal ones. The first entry is the version of the rules themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// use tallow_dataflow::Settings;
    ///
    /// let faster = Settings { batch_records: 1, ..Settings::default() };
    /// assert_eq!(faster.meaning(), Settings::default().meaning());
    /// ```
    pub fn meaning(&self) -> Vec<(&'static str, String)> {
        vec![
            ("rules", "1".to_owned()),
            ("dataflow.max_out_of_orderness_ms", self.max_out_of_orderness_ms.to_string()),
            ("dataflow.allowed_lateness_ms", self.allowed_lateness_ms.to_string()),
            ("dataflow.max_future_ms", self.max_future_ms.to_string()),
            ("anomalies.lookback_ms", self.anomalies.lookback_ms.to_string()),
            ("anomalies.stddev_floor", self.anomalies.stddev_floor.to_string()),
            ("anomalies.threshold", self.anomalies.threshold.to_string()),
            ("anomalies.min_samples", self.anomalies.min_samples.to_string()),
        ]
    }
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
