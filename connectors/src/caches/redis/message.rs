//! The messages of the publisher: the channel of each, and the key under which some are stored too.

use super::keys::Keys;
use redis::Pipeline;
use serde::Serialize;
use tallow_model::{Interval, Symbol};

/// A message of the publisher.
pub(super) struct PublisherMessage {
    pub(super) kind: Kind,
    pub(super) json: String,
}

/// The subject of a message.
pub(super) enum Kind {
    Candle {
        series: (Symbol, Interval),
        /// Whether the message is stored under the key of its series.
        is_newest: bool,
    },
    Alert,
    Gap,
}

/// The notice of updates that were dropped.
#[derive(Serialize)]
pub(super) struct Gap {
    /// Number of updates dropped.
    pub(super) dropped: u64,
}

impl PublisherMessage {
    /// Returns the series whose number the message has, if it has one.
    pub(super) fn series(&self) -> Option<(Symbol, Interval)> {
        match self.kind {
            Kind::Candle { series, .. } => Some(series),
            Kind::Alert | Kind::Gap => None,
        }
    }

    /// Appends the commands that send the message.
    pub(super) fn send(&self, keys: &Keys, pipeline: &mut Pipeline) {
        let json = &self.json;
        let channel = match &self.kind {
            Kind::Candle { series: (symbol, interval), is_newest } => {
                if *is_newest {
                    let ttl_seconds = keys.ttl_seconds(*interval);
                    let name = keys.latest(*symbol, *interval);
                    pipeline.cmd("SET").arg(name).arg(json).arg("EX").arg(ttl_seconds).ignore();
                }
                &keys.updates
            }
            Kind::Alert => &keys.alerts,
            Kind::Gap => &keys.gaps,
        };
        pipeline.cmd("PUBLISH").arg(channel).arg(json).ignore();
    }
}
