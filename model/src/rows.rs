//! The shapes that cross Tallow's borders, as CONTRACT names them: the latest candle, rows of candles and alerts.

use crate::{
    AlertStatus, AlertType, EventTime, Interval, LiveCandle, SettledAlert, SettledCandle, Severity, Symbol,
    Volume,
};
use serde::{Deserialize, Serialize};

/// A time in RFC 3339 in JSON, milliseconds in Rust.
pub mod rfc3339 {
    use crate::EventTime;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes RFC 3339 UTC.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.rfc3339())
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// When the text is not such a time, or one before 1970.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        let instant: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        u64::try_from(instant.as_millisecond()).map(EventTime).map_err(D::Error::custom)
    }
}

/// A time that may be missing: as [`rfc3339`], or null.
pub mod optional_rfc3339 {
    use super::rfc3339;
    use crate::EventTime;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Time(#[serde(with = "rfc3339")] EventTime);

    /// Writes RFC 3339 UTC, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Option<EventTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Time).serialize(serializer)
    }

    /// Reads RFC 3339, or null.
    ///
    /// # Errors
    /// As [`rfc3339::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EventTime>, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map(|time| time.0))
    }
}

/// The newest candle of a symbol and interval, open or closed: the value of `crypto:{SYMBOL}:latest`, a message on
/// `crypto:updates`, and `data` of a WebSocket frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LatestCandle {
    /// Whose candle.
    pub symbol: Symbol,
    /// How long its window is.
    pub interval: Interval,
    /// Start of the window in epoch seconds.
    pub window_start: u64,
    /// End of the window in epoch seconds.
    pub window_end: u64,
    /// Price of the first tick.
    pub open: f64,
    /// The highest price.
    pub high: f64,
    /// The lowest price.
    pub low: f64,
    /// Price of the newest tick.
    pub close: f64,
    /// Sum of the sizes; for a feed without sizes the newest rolling 24-hour volume.
    pub volume_sum: f64,
    /// Sum of price × size; none where the volume is a rolling one, and not told by versions that did not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_volume: Option<f64>,
    /// How many ticks.
    pub event_count: u64,
    /// Whether the window is settled.
    pub is_closed: bool,
    /// Corrections so far; 0 while open.
    pub revision: u32,
    /// Grows by one per symbol and interval; 0 until it has been published.
    pub seq: u64,
    /// Event time of the newest tick; of a closed candle the end of its window. Milliseconds.
    pub event_time: EventTime,
}

impl From<&LiveCandle> for LatestCandle {
    fn from(live: &LiveCandle) -> LatestCandle {
        LatestCandle {
            symbol: live.symbol,
            interval: live.interval,
            window_start: live.candle.window_start.millis() / 1000,
            window_end: (live.candle.window_start.millis() + live.interval.millis()) / 1000,
            open: live.candle.open.0,
            high: live.candle.high.0,
            low: live.candle.low.0,
            close: live.candle.close.0,
            volume_sum: live.candle.volume().value(),
            quote_volume: match live.candle.volume() {
                Volume::Traded(_) => Some(live.candle.quote_volume().value()),
                Volume::Rolling(_) => None,
            },
            event_count: u64::from(live.candle.count),
            is_closed: false,
            revision: 0,
            seq: 0,
            event_time: live.event_time,
        }
    }
}

impl From<&SettledCandle> for LatestCandle {
    fn from(settled: &SettledCandle) -> LatestCandle {
        let window_end = settled.candle.window_start.millis() + settled.interval.millis();
        let open = LiveCandle {
            symbol: settled.symbol,
            interval: settled.interval,
            candle: settled.candle,
            event_time: EventTime(window_end),
        };
        LatestCandle { is_closed: true, revision: settled.revision, ..LatestCandle::from(&open) }
    }
}

impl LatestCandle {
    /// A closed candle of the history in the form of an update.
    ///
    /// The sequence number is 0, because this candle has not been published.
    pub fn unpublished(row: &CandleRow, interval: Interval) -> LatestCandle {
        LatestCandle {
            symbol: row.symbol,
            interval,
            window_start: row.window_start.millis() / 1000,
            window_end: row.window_end.millis() / 1000,
            open: row.open_price,
            high: row.high_price,
            low: row.low_price,
            close: row.close_price,
            volume_sum: row.volume_sum,
            quote_volume: row.vwap.map(|_| row.quote_volume),
            event_count: row.trade_count,
            is_closed: true,
            revision: row.revision,
            seq: 0,
            event_time: row.window_end,
        }
    }
}

/// One closed candle of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandleRow {
    /// Whose candle.
    pub symbol: Symbol,
    /// Start of the window.
    #[serde(with = "rfc3339")]
    pub window_start: EventTime,
    /// End of the window.
    #[serde(with = "rfc3339")]
    pub window_end: EventTime,
    /// Price of the first tick.
    pub open_price: f64,
    /// The highest price.
    pub high_price: f64,
    /// The lowest price.
    pub low_price: f64,
    /// Price of the last tick.
    pub close_price: f64,
    /// Mean price of the ticks.
    pub avg_price: f64,
    /// Mean price weighted by size; none where nothing was traded. A row without it carries a rolling volume or none.
    pub vwap: Option<f64>,
    /// Sum of the sizes; for a feed without sizes the newest rolling 24-hour volume.
    pub volume_sum: f64,
    /// Sum of price × size.
    pub quote_volume: f64,
    /// How many ticks.
    pub trade_count: u64,
    /// Corrections so far.
    pub revision: u32,
}

impl From<&SettledCandle> for CandleRow {
    fn from(settled: &SettledCandle) -> CandleRow {
        let candle = &settled.candle;
        CandleRow {
            symbol: settled.symbol,
            window_start: candle.window_start,
            window_end: EventTime(candle.window_start.millis() + settled.interval.millis()),
            open_price: candle.open.0,
            high_price: candle.high.0,
            low_price: candle.low.0,
            close_price: candle.close.0,
            avg_price: candle.average().0,
            vwap: candle.vwap().map(|price| price.0),
            volume_sum: candle.volume().value(),
            quote_volume: candle.quote_volume().value(),
            trade_count: u64::from(candle.count),
            revision: settled.revision,
        }
    }
}

/// One alert of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRow {
    /// `symbol:interval:window_start:detector`.
    pub alert_id: String,
    /// Whose candle.
    pub symbol: Symbol,
    /// Up or down.
    pub alert_type: AlertType,
    /// How far out.
    pub severity: Severity,
    /// Close against previous close, in percent.
    pub price_change_pct: f64,
    /// The previous close.
    pub old_price: f64,
    /// The close.
    pub new_price: f64,
    /// (return − mean) / max(σ, floor).
    pub z_score: f64,
    /// Mean of the baseline's returns.
    pub mean: f64,
    /// Sample standard deviation of the baseline's returns.
    pub stddev: f64,
    /// Returns in the baseline.
    pub samples: u32,
    /// The |z| from which an alert is raised.
    pub threshold: f64,
    /// Start of the candle's window.
    #[serde(with = "rfc3339")]
    pub window_start: EventTime,
    /// End of the candle's window.
    #[serde(with = "rfc3339")]
    pub window_end: EventTime,
    /// Revision of the candle that was judged.
    pub revision: u32,
    /// Whether it stands.
    pub status: AlertStatus,
    /// Event time of its raising: the window's end.
    #[serde(with = "rfc3339")]
    pub created_at: EventTime,
}

impl From<&SettledAlert> for AlertRow {
    fn from(settled: &SettledAlert) -> AlertRow {
        let alert = &settled.alert;
        AlertRow {
            alert_id: alert.id(),
            symbol: alert.symbol,
            alert_type: alert.alert_type(),
            severity: alert.severity(),
            price_change_pct: alert.price_change_percent(),
            old_price: alert.previous_close.0,
            new_price: alert.close.0,
            z_score: alert.z_score.0,
            mean: alert.mean.0,
            stddev: alert.stddev.0,
            samples: alert.samples,
            threshold: alert.threshold.0,
            window_start: alert.window_start,
            window_end: alert.window_end(),
            revision: alert.revision,
            status: settled.status,
            created_at: alert.window_end(),
        }
    }
}

/// An alert as it is published: a message on `crypto-alerts` and `crypto:alerts`, and `data` of a WebSocket frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertMessage {
    /// `symbol:interval:window_start:detector`.
    pub alert_id: String,
    /// Whose candle.
    pub symbol: Symbol,
    /// Up or down.
    pub alert_type: AlertType,
    /// How far out.
    pub severity: Severity,
    /// Close against previous close, in percent.
    pub price_change_percent: f64,
    /// The candle's open.
    pub open_price: f64,
    /// The candle's close.
    pub close_price: f64,
    /// (return − mean) / max(σ, floor).
    pub z_score: f64,
    /// Mean of the baseline's returns.
    pub mean: f64,
    /// Sample standard deviation of the baseline's returns.
    pub stddev: f64,
    /// Returns in the baseline.
    pub samples: u32,
    /// The |z| from which an alert is raised.
    pub threshold: f64,
    /// Start of the candle's window.
    #[serde(with = "rfc3339")]
    pub window_start: EventTime,
    /// End of the candle's window.
    #[serde(with = "rfc3339")]
    pub window_end: EventTime,
    /// Event time: the window's end.
    #[serde(with = "rfc3339")]
    pub timestamp: EventTime,
    /// Revision of the candle that was judged.
    pub revision: u32,
    /// Whether it stands.
    pub status: AlertStatus,
    /// The logical time of this change: of two versions of an alert the newer has the later one.
    #[serde(with = "rfc3339")]
    pub settled_at: EventTime,
}

impl From<&SettledAlert> for AlertMessage {
    fn from(settled: &SettledAlert) -> AlertMessage {
        let alert = &settled.alert;
        AlertMessage {
            alert_id: alert.id(),
            symbol: alert.symbol,
            alert_type: alert.alert_type(),
            severity: alert.severity(),
            price_change_percent: alert.price_change_percent(),
            open_price: alert.open.0,
            close_price: alert.close.0,
            z_score: alert.z_score.0,
            mean: alert.mean.0,
            stddev: alert.stddev.0,
            samples: alert.samples,
            threshold: alert.threshold.0,
            window_start: alert.window_start,
            window_end: alert.window_end(),
            timestamp: alert.window_end(),
            revision: alert.revision,
            status: settled.status,
            settled_at: settled.settled_at,
        }
    }
}
