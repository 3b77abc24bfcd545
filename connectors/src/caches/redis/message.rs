//! The messages of the publisher: on which channel each goes, and which are kept under a key as well.

use super::keys::Keys;
use redis::Pipeline;
use serde::Serialize;
use tallow_model::{Interval, Symbol};

/// One message.
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) json: String,
}

/// What a message is about.
pub(super) enum Kind {
    Candle {
        series: (Symbol, Interval),
        /// Whether it is kept under the key of its series.
        is_newest: bool,
    },
    Alert,
    Gap,
}

/// What is said of updates that will not come.
#[derive(Serialize)]
pub(super) struct Gap {
    /// How many.
    pub(super) dropped: u64,
}

impl Message {
    /// Whose number it has, if it has one.
    pub(super) fn series(&self) -> Option<(Symbol, Interval)> {
        match self.kind {
            Kind::Candle { series, .. } => Some(series),
            Kind::Alert | Kind::Gap => None,
        }
    }

    /// Adds the commands that send it.
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
