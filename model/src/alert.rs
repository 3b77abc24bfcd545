//! Alerts: what the anomaly detector says of a candle, with everything needed to check it by hand.

use crate::number::Price;
use crate::symbol::Symbol;
use crate::time::{EventTime, Interval, MINUTE_MS};
use serde::{Deserialize, Serialize};

/// The detector's name in an alert's id.
pub const DETECTOR: &str = "zscore";

/// Which way the price went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AlertType {
    /// The return was positive.
    #[serde(rename = "PRICE_SPIKE")]
    PriceSpike,
    /// The return was negative.
    #[serde(rename = "PRICE_DROP")]
    PriceDrop,
}

impl AlertType {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            AlertType::PriceSpike => "PRICE_SPIKE",
            AlertType::PriceDrop => "PRICE_DROP",
        }
    }
}

/// How far out the return was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// |z| from the threshold.
    Low,
    /// |z| from 6.
    Medium,
    /// |z| from 8.
    High,
}

impl Severity {
    /// All, from the least.
    pub const ALL: [Severity; 3] = [Severity::Low, Severity::Medium, Severity::High];

    /// The severity of a score that has reached the threshold.
    pub fn of(z: f64) -> Severity {
        match z.abs() {
            z if z >= 8.0 => Severity::High,
            z if z >= 6.0 => Severity::Medium,
            _ => Severity::Low,
        }
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Low => "LOW",
            Severity::Medium => "MEDIUM",
            Severity::High => "HIGH",
        }
    }
}

/// Whether an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// It stands.
    Raised,
    /// A correction has undone it.
    Retracted,
}

impl AlertStatus {
    /// The name on the wire.
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
    /// Whose candle.
    pub symbol: Symbol,
    /// The start of the candle's window.
    pub window_start: EventTime,
    /// The candle's open.
    pub open: Price,
    /// The candle's close.
    pub close: Price,
    /// The close of the symbol's candle before it.
    pub previous_close: Price,
    /// (return − mean) / max(σ, floor).
    pub z_score: Price,
    /// Mean of the baseline's returns.
    pub mean: Price,
    /// Sample standard deviation of the baseline's returns.
    pub stddev: Price,
    /// How many returns the baseline has.
    pub samples: u32,
    /// The |z| from which the detector was set to raise.
    pub threshold: Price,
    /// The revision of the candle that was judged.
    pub revision: u32,
}

impl Alert {
    /// `symbol:interval:window_start:detector`: the same log gives the same ids.
    pub fn id(&self) -> String {
        format!("{}:{}:{}:{DETECTOR}", self.symbol, Interval::OneMinute, self.window_start.millis())
    }

    /// Which way the price went.
    pub fn alert_type(&self) -> AlertType {
        if self.close > self.previous_close { AlertType::PriceSpike } else { AlertType::PriceDrop }
    }

    /// How far out the return was.
    pub fn severity(&self) -> Severity {
        Severity::of(self.z_score.0)
    }

    /// Close against previous close, in percent.
    pub fn price_change_percent(&self) -> f64 {
        (self.close.0 / self.previous_close.0 - 1.0) * 100.0
    }

    /// The end of the candle's window.
    pub fn window_end(&self) -> EventTime {
        EventTime(self.window_start.millis() + MINUTE_MS)
    }
}

/// A settled change of an alert: raised (or raised anew with other figures), or retracted.
///
/// The versions of an alert are ordered by `settled_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettledAlert {
    /// The alert; of a retracted one, as it stood last.
    pub alert: Alert,
    /// Whether it stands.
    pub status: AlertStatus,
    /// The logical time of the change.
    pub settled_at: EventTime,
}
