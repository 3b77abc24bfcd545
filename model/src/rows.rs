//! The rows and messages that leave Tallow, with the field names of `docs/api-contract.md`: the
//! latest candle, rows of candles and alerts.

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
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.rfc3339())
    }

    /// Reads RFC 3339.
    ///
    /// # Errors
    /// If the text is no such time, or a time before 1970.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        let instant: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        u64::try_from(instant.as_millisecond()).map(EventTime).map_err(D::Error::custom)
    }
}

/// A time that may be missing: [`rfc3339`] or null.
pub mod optional_rfc3339 {
    use super::rfc3339;
    use crate::EventTime;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Time(#[serde(with = "rfc3339")] EventTime);

    /// Writes RFC 3339 UTC, or null.
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(time: &Option<EventTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Time).serialize(serializer)
    }

    /// Reads RFC 3339, or null.
    ///
    /// # Errors
    /// The errors of [`rfc3339::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EventTime>, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map(|time| time.0))
    }
}

/// The newest candle of a symbol and interval, open or closed: the value of
/// `crypto:{SYMBOL}:latest`, a message on `crypto:updates`, and `data` of a WebSocket frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LatestCandle {
    /// The market's symbol.
    pub symbol: Symbol,
    /// The length of the window.
    pub interval: Interval,
    /// The start of the window in epoch seconds.
    pub window_start: u64,
    /// The end of the window in epoch seconds.
    pub window_end: u64,
    /// The price of the first tick.
    pub open: f64,
    /// The highest price of the window.
    pub high: f64,
    /// The lowest price of the window.
    pub low: f64,
    /// The price of the newest tick.
    pub close: f64,
    /// The sum of the sizes; for a feed without sizes the newest rolling 24-hour volume.
    pub volume_sum: f64,
    /// The sum of price × size. `None` for a rolling volume, and in messages of versions that did
    /// not know the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_volume: Option<f64>,
    /// The number of ticks.
    pub event_count: u64,
    /// Whether the window is settled.
    pub is_closed: bool,
    /// The number of corrections; 0 while open.
    pub revision: u32,
    /// The number of the update, which grows by one per symbol and interval; 0 before publication.
    pub seq: u64,
    /// The event time of the newest tick in milliseconds; of a closed candle the end of its window.
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
    /// The market's symbol.
    pub symbol: Symbol,
    /// The start of the window.
    #[serde(with = "rfc3339")]
    pub window_start: EventTime,
    /// The end of the window.
    #[serde(with = "rfc3339")]
    pub window_end: EventTime,
    /// The price of the first tick.
    pub open_price: f64,
    /// The highest price of the window.
    pub high_price: f64,
    /// The lowest price of the window.
    pub low_price: f64,
    /// The price of the last tick.
    pub close_price: f64,
    /// The mean price of the ticks.
    pub avg_price: f64,
    /// The mean price weighted by size; `None` if nothing was traded. A row without it has a
    /// rolling volume, or none.
    pub vwap: Option<f64>,
    /// The sum of the sizes; for a feed without sizes the newest rolling 24-hour volume.
    pub volume_sum: f64,
    /// The sum of price × size.
    pub quote_volume: f64,
    /// The number of ticks.
    pub trade_count: u64,
    /// The number of corrections.
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
    /// The id, `symbol:interval:window_start:detector`.
    pub alert_id: String,
    /// The market's symbol.
    pub symbol: Symbol,
    /// The direction of the price.
    pub alert_type: AlertType,
    /// The severity of the score.
    pub severity: Severity,
    /// The change from the previous close to the close, in percent.
    pub price_change_pct: f64,
    /// The previous close.
    pub old_price: f64,
    /// The candle's close.
    pub new_price: f64,
    /// (return − mean) / max(σ, floor).
    pub z_score: f64,
    /// The mean of the baseline's returns.
    pub mean: f64,
    /// The sample standard deviation of the baseline's returns.
    pub stddev: f64,
    /// The number of returns in the baseline.
    pub samples: u32,
    /// The |z| from which an alert is raised.
    pub threshold: f64,
    /// The start of the candle's window.
    #[serde(with = "rfc3339")]
    pub window_start: EventTime,
    /// The end of the candle's window.
    #[serde(with = "rfc3339")]
    pub window_end: EventTime,
    /// The revision of the candle that was judged.
    pub revision: u32,
    /// Whether the alert stands.
    pub status: AlertStatus,
    /// The event time at which the alert was raised: the end of the window.
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

/// An alert as it is published: a message on `crypto-alerts` and `crypto:alerts`, and `data` of a
/// WebSocket frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertMessage {
    /// The id, `symbol:interval:window_start:detector`.
    pub alert_id: String,
    /// The market's symbol.
    pub symbol: Symbol,
    /// The direction of the price.
    pub alert_type: AlertType,
    /// The severity of the score.
    pub severity: Severity,
    /// The change from the previous close to the close, in percent.
    pub price_change_percent: f64,
    /// The candle's open.
    pub open_price: f64,
    /// The candle's close.
    pub close_price: f64,
    /// (return − mean) / max(σ, floor).
    pub z_score: f64,
    /// The mean of the baseline's returns.
    pub mean: f64,
    /// The sample standard deviation of the baseline's returns.
    pub stddev: f64,
    /// The number of returns in the baseline.
    pub samples: u32,
    /// The |z| from which an alert is raised.
    pub threshold: f64,
    /// The start of the candle's window.
    #[serde(with = "rfc3339")]
    pub window_start: EventTime,
    /// The end of the candle's window.
    #[serde(with = "rfc3339")]
    pub window_end: EventTime,
    /// The event time of the alert: the end of the window.
    #[serde(with = "rfc3339")]
    pub timestamp: EventTime,
    /// The revision of the candle that was judged.
    pub revision: u32,
    /// Whether the alert stands.
    pub status: AlertStatus,
    /// The logical time of this change. Of two versions of an alert the newer has the later time.
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
