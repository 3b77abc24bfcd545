//! Folds a batch of ticks into one partial bar per symbol, minute and logical time, before anything is exchanged.
//!
//! What crosses threads and processes is then proportional to windows and not to ticks. A partial bar is an element of
//! the bar's monoid, so the result does not depend on how ticks fell into batches.
//!
//! State: the partial bars of one batch; freed when the batch is drained. Cost per tick: one hash look-up.

use crate::bar::Bar;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use tallow_model::EventTime;
use tallow_model::Symbol;

/// The bar of some of the ticks of one symbol and minute, all with the same logical time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartialBar {
    /// Whose ticks.
    pub(crate) symbol: Symbol,
    /// The start of their minute.
    pub(crate) minute: EventTime,
    /// Their logical time.
    pub(crate) logical: u64,
    /// What they add up to.
    pub(crate) bar: Bar,
}

/// Collects the partial bars of a batch.
#[derive(Default)]
pub(crate) struct Combiner {
    bars: HashMap<(Symbol, EventTime, u64), Bar, FixedState>,
}

impl Combiner {
    /// Adds a tick's bar.
    #[inline]
    pub(crate) fn add(&mut self, symbol: Symbol, minute: EventTime, logical: u64, bar: &Bar) {
        self.bars.entry((symbol, minute, logical)).and_modify(|partial| partial.merge(bar)).or_insert(*bar);
    }

    /// The number of partial bars.
    pub(crate) fn len(&self) -> usize {
        self.bars.len()
    }

    /// Empties the batch, in no particular order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = PartialBar> {
        self.bars.drain().map(|((symbol, minute, logical), bar)| PartialBar { symbol, minute, logical, bar })
    }
}
