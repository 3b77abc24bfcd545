//! Alerts: the anomaly detector's verdicts on candles, with every number that a reader needs to
//! check one by hand.

use crate::number::Price;
use crate::symbol::Symbol;
use crate::time::{EventTime, Interval, MINUTE_MS};
use serde::{Deserialize, Serialize};

/// The detector's name in the id of an alert.
pub const DETECTOR: &str = "zscore";

/// The direction of the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AlertType {
    /// A positive return.
    #[serde(rename = "PRICE_SPIKE")]
    PriceSpike,
    /// A negative return.
    #[serde(rename = "PRICE_DROP")]
    PriceDrop,
}

impl AlertType {
    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            AlertType::PriceSpike => "PRICE_SPIKE",
            AlertType::PriceDrop => "PRICE_DROP",
        }
    }
}

/// The size of the return's deviation, by its score z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// |z| from the detector's threshold.
    Low,
    /// |z| from 6.
    Medium,
    /// |z| from 8.
    High,
}

impl Severity {
    /// All severities, the lowest first.
    pub const ALL: [Severity; 3] = [Severity::Low, Severity::Medium, Severity::High];

    /// Returns the severity of a score that has reached the threshold.
    pub fn of(z: f64) -> Severity {
        match z.abs() {
            z if z >= 8.0 => Severity::High,
            z if z >= 6.0 => Severity::Medium,
            _ => Severity::Low,
        }
    }

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Low => "LOW",
            Severity::Medium => "MEDIUM",
            Severity::High => "HIGH",
        }
    }
}

/// The state of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// The alert stands.
    Raised,
    /// A correction of the candle has undone the alert.
    Retracted,
}

impl AlertStatus {
    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            AlertStatus::Raised => "raised",
            AlertStatus::Retracted => "retracted",
        }
    }
}

/// The detector's verdict on a one-minute candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Alert {
    /// The market's symbol.
    pub symbol: Symbol,
    /// The start of the candle's window.
    pub window_start: EventTime,
    /// The candle's open.
    pub open: Price,
    /// The candle's close.
    pub close: Price,
    /// The close of the symbol's previous candle.
    pub previous_close: Price,
    /// (return − mean) / max(σ, floor).
    pub z_score: Price,
    /// The mean of the baseline's returns.
    pub mean: Price,
    /// The sample standard deviation of the baseline's returns.
    pub stddev: Price,
    /// The number of returns in the baseline.
    pub samples: u32,
    /// The |z| from which the detector raises an alert.
    pub threshold: Price,
    /// The revision of the candle that was judged.
    pub revision: u32,
}

impl Alert {
    /// Returns the id, `symbol:interval:window_start:detector`: the same log gives the same ids.
    pub fn id(&self) -> String {
        format!("{}:{}:{}:{DETECTOR}", self.symbol, Interval::OneMinute, self.window_start.millis())
    }

    /// Returns the direction of the price.
    pub fn alert_type(&self) -> AlertType {
        if self.close > self.previous_close { AlertType::PriceSpike } else { AlertType::PriceDrop }
    }

    /// Returns the severity of the score.
    pub fn severity(&self) -> Severity {
        Severity::of(self.z_score.0)
    }

    /// Returns the change from the previous close to the close, in percent.
    pub fn price_change_percent(&self) -> f64 {
        (self.close.0 / self.previous_close.0 - 1.0) * 100.0
    }

    /// Returns the end of the candle's window.
    pub fn window_end(&self) -> EventTime {
        EventTime(self.window_start.millis() + MINUTE_MS)
    }
}

/// A settled change of an alert: raised, raised again with other figures, or retracted.
///
/// The versions of an alert are ordered by `settled_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettledAlert {
    /// The alert; of a retracted one, its last version.
    pub alert: Alert,
    /// The alert's state after the change.
    pub status: AlertStatus,
    /// The logical time of the change.
    pub settled_at: EventTime,
}
