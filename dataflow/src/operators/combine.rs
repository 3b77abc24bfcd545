//! `combine`: folds a batch of ticks into one partial bar per symbol, minute and logical time,
//! before the exchange.
//!
//! - **Reason.** The traffic between threads and processes is then proportional to windows and not
//!   to ticks.
//! - **Formula.** The merge of the bars' monoid (`bar.rs`), so the result does not depend on how
//!   ticks fell into batches. Law: `tests/oracle.rs::any_batch_size_gives_the_same`.
//! - **Key and window.** Symbol, minute and logical time.
//! - **State.** The partial bars of one batch, freed when the batch is drained.
//! - **Cost per tick.** One hash look-up.

use crate::bar::Bar;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use tallow_model::{EventTime, Symbol};

/// The bar of some of the ticks of one symbol and minute, all with the same logical time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartialBar {
    pub(crate) symbol: Symbol,
    /// The start of the minute.
    pub(crate) minute: EventTime,
    pub(crate) logical: u64,
    pub(crate) bar: Bar,
}

/// The partial bars of a batch.
#[derive(Default)]
pub(crate) struct Combiner {
    bars: HashMap<(Symbol, EventTime, u64), Bar, FixedState>,
}

impl Combiner {
    /// Merges a tick's bar into its partial bar.
    #[inline]
    pub(crate) fn add(&mut self, symbol: Symbol, minute: EventTime, logical: u64, bar: &Bar) {
        self.bars.entry((symbol, minute, logical)).and_modify(|partial| partial.merge(bar)).or_insert(*bar);
    }

    /// Number of partial bars.
    pub(crate) fn len(&self) -> usize {
        self.bars.len()
    }

    /// Empties the batch, in no particular order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = PartialBar> {
        self.bars.drain().map(|((symbol, minute, logical), bar)| PartialBar { symbol, minute, logical, bar })
    }
}
