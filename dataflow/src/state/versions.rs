//! Version counts of roll-ups, kept by the operator `settle`.

use crate::state::checkpoint::RollupVersions;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tallow_model::{EventTime, Interval, Symbol};

/// Number of versions of each roll-up window.
pub(crate) type Versions = HashMap<VersionKey, u32, FixedState>;

/// The candle or alert that a settled change is a version of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VersionKey {
    /// `None` for alerts.
    pub(crate) interval: Option<Interval>,
    pub(crate) symbol: Symbol,
    pub(crate) window_start: EventTime,
}

/// Returns the rows that a checkpoint holds.
pub(crate) fn retained(versions: &Versions) -> impl Iterator<Item = RollupVersions> {
    versions.iter().filter_map(|(key, versions)| {
        let VersionKey { interval, symbol, window_start } = *key;
        Some(RollupVersions { symbol, interval: interval?, start: window_start, versions: *versions })
    })
}
