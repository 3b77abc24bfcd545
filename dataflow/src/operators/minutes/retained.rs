//! The retained minutes and returns: the state of the operator `minutes`.

use super::pieces::{Pieces, Rest, unshared};
use crate::operators::combine::PartialBar;
use crate::operators::difference::Emit;
use crate::settings::Settings;
use crate::state::checkpoint::{Row, State};
use crate::state::log_return::LogReturn;
use crate::state::minute::{Minute, MinuteIndex, Versioned, block_end, block_of};
use crate::state::part::SharedState;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_model::{Candle, Price, Symbol};

/// A minute that the current logical time has changed, with its version and return before that.
struct Touched {
    index: MinuteIndex,
    before: Option<(Versioned, LogReturn)>,
}

/// The retained minutes, by fifteen-minute block in order of arrival, and chained by symbol: a new
/// minute is appended, and a block is freed whole.
///
/// A list per symbol would be simpler. With a hundred thousand symbols it is a hundred thousand
/// growing allocations, and as many cache misses a minute.
pub(super) struct Retained {
    settings: Arc<Settings>,
    /// Partial bars whose logical time the frontier has not passed.
    pending: BTreeMap<u64, Vec<PartialBar>>,
    /// The newest minute of every symbol.
    newest: HashMap<Symbol, MinuteIndex, FixedState>,
    /// Minutes that can still be corrected, by block.
    open: BTreeMap<u32, Pieces<Minute>>,
    /// Returns of expired blocks, each at the index of its minute.
    old: BTreeMap<u32, Pieces<(Symbol, LogReturn)>>,
    touched: Vec<Touched>,
    /// Rows of a checkpoint, and the logical time at which they are emitted.
    restored: Option<(u64, State)>,
    lot: Lot,
}

/// The remainder of differences that are too many to be emitted at once.
enum Lot {
    Nothing,
    /// The candles of a block are retracted, and their returns kept.
    Candles {
        time: u64,
        block: u32,
        minutes: Rest<Minute>,
        returns: Pieces<(Symbol, LogReturn)>,
    },
    /// The returns of a block are retracted.
    Returns {
        time: u64,
        block: u32,
        returns: Rest<(Symbol, LogReturn)>,
    },
    /// The candles and returns of a checkpoint are asserted.
    Restored {
        time: u64,
        minutes: Rest<Minute>,
        returns: Rest<(Symbol, LogReturn)>,
    },
}

/// Number of pieces in a portion.
const PORTION: usize = 16;

impl Retained {
    pub(super) fn new(settings: Arc<Settings>) -> Retained {
        Retained {
            settings,
            pending: BTreeMap::new(),
            newest: HashMap::default(),
            open: BTreeMap::new(),
            old: BTreeMap::new(),
            touched: Vec::new(),
            restored: None,
            lot: Lot::Nothing,
        }
    }

    /// Whether an expiry or a restore has begun and is not done.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self.lot, Lot::Nothing)
    }

    /// Returns the state as of everything that has been applied.
    pub(super) fn share(&self) -> SharedState {
        SharedState {
            minutes: self.open.values().flat_map(Pieces::share).collect(),
            returns: self.old.values().flat_map(Pieces::share).collect(),
            rollups: Vec::new(),
        }
    }

    /// Stores a row of a checkpoint, to be restored at logical time `time`.
    pub(super) fn restore(&mut self, time: u64, row: Row) {
        let (_, state) = self.restored.get_or_insert_with(|| (time, State::default()));
        match row {
            Row::Minute(minute) => state.minutes.push(minute),
            Row::Return(log_return) => state.returns.push(log_return),
            Row::Rollup(_) => {}
        }
    }

    /// Rebuilds blocks and chains from the rows of a checkpoint. The rows are sorted first, because
    /// the order of their arrival depends on scheduling.
    fn rebuild(&mut self, time: u64, mut state: State) {
        state.returns.sort_unstable_by_key(|row| (row.start, row.symbol));
        for row in state.returns {
            let block = block_of(row.start);
            let (symbol, log_return) = LogReturn::restored(row);
            let index = self.old.entry(block).or_default().push((symbol, log_return));
            self.newest.insert(symbol, MinuteIndex::new(block, index));
        }
        state.minutes.sort_unstable_by_key(|row| (row.start, row.symbol));
        for row in state.minutes {
            let (symbol, block) = (row.symbol, block_of(row.start));
            let earlier = self.newest.get(&symbol).copied();
            let index = self.open.entry(block).or_default().push(Minute::restored(row, time, earlier));
            self.newest.insert(symbol, MinuteIndex::new(block, index));
        }
        let SharedState { minutes, returns, .. } = self.share();
        self.lot = Lot::Restored { time, minutes: minutes.into_iter(), returns: returns.into_iter() };
    }

    /// Stores a partial bar, to be applied when the frontier passes its logical time.
    pub(super) fn stash(&mut self, partial: PartialBar) {
        self.pending.entry(partial.logical).or_default().push(partial);
    }

    /// Returns the time at which a block's candles expire: nothing can correct them any more, nor a
    /// roll-up that they are part of.
    fn candles_expire(&self, block: u32) -> u64 {
        block_end(block) + self.settings.allowed_lateness_ms
    }

    /// Returns the time at which a block's returns expire: no baseline that can still change
    /// reaches back to them.
    fn returns_expire(&self, block: u32) -> u64 {
        self.candles_expire(block) + self.settings.anomalies.lookback_ms
    }

    /// Applies everything below the frontier in order of time, and returns the least time at which
    /// something is still to be emitted. Stops early after a portion of a lot.
    ///
    /// A frontier of `None` is the end of the input: nothing will be corrected any more, so nothing
    /// need expire.
    pub(super) fn advance(
        &mut self,
        frontier: Option<u64>,
        candles: &mut impl Emit<(Symbol, Versioned)>,
        expired: &mut impl Emit<(Symbol, Candle)>,
        returns: &mut impl Emit<(Symbol, LogReturn)>,
    ) -> Option<u64> {
        if frontier.is_none() && !matches!(self.lot, Lot::Restored { .. }) {
            self.lot = Lot::Nothing;
        }
        loop {
            if let Some(unfinished) = self.emit_portion(candles, expired, returns) {
                return Some(unfinished);
            }
            if let Some((time, state)) = self.restored.take() {
                if frontier.is_some_and(|frontier| frontier <= time) {
                    self.restored = Some((time, state));
                    return Some(time);
                }
                self.rebuild(time, state);
                continue;
            }
            let arrival = self.pending.first_key_value().map(|(time, _)| *time);
            let candle_expiry = self.open.first_key_value().map(|(block, _)| self.candles_expire(*block));
            let return_expiry = self.old.first_key_value().map(|(block, _)| self.returns_expire(*block));
            let next = match frontier {
                Some(_) => [arrival, candle_expiry, return_expiry].into_iter().flatten().min()?,
                None => arrival?,
            };
            if frontier.is_some_and(|frontier| frontier <= next) {
                return Some(next);
            }
            if arrival == Some(next)
                && let Some((_, partials)) = self.pending.pop_first()
            {
                self.apply(next, &partials, candles, returns);
            } else if candle_expiry == Some(next) {
                if let Some((block, minutes)) = self.open.pop_first() {
                    let minutes = minutes.into_rest();
                    self.lot = Lot::Candles { time: next, block, minutes, returns: Pieces::default() };
                }
            } else if let Some((block, returns)) = self.old.pop_first() {
                self.lot = Lot::Returns { time: next, block, returns: returns.into_rest() };
            }
        }
    }

    /// Applies the partial bars of one logical time.
    fn apply(
        &mut self,
        time: u64,
        partials: &[PartialBar],
        candles: &mut impl Emit<(Symbol, Versioned)>,
        returns: &mut impl Emit<(Symbol, LogReturn)>,
    ) {
        for partial in partials {
            self.merge(time, partial);
        }
        let touched = std::mem::take(&mut self.touched);
        for Touched { index, before } in &touched {
            let previous_close = self.close_before(*index);
            let Some(minute) = self.minute_mut(*index) else { continue };
            minute.previous_close = previous_close;
            let (symbol, version, log_return) = (minute.symbol, minute.version(), minute.log_return());
            if let Some((version, log_return)) = before {
                candles.emit((symbol, *version), time, -1);
                returns.emit((symbol, *log_return), time, -1);
            }
            candles.emit((symbol, version), time, 1);
            returns.emit((symbol, log_return), time, 1);
            self.update_successor(symbol, *index, time, returns);
        }
        self.touched = touched;
        self.touched.clear();
    }

    /// Merges a partial bar into its minute, and notes the minute as touched.
    fn merge(&mut self, time: u64, partial: &PartialBar) {
        // Walk back along the symbol's chain to the partial bar's minute, or to where it belongs.
        let mut later = None;
        let mut at = self.newest.get(&partial.symbol).copied();
        while let Some(index) = at {
            match self.minute(index) {
                Some(minute) if minute.start == partial.minute => {
                    let Some(minute) = self.minute_mut(index) else { return };
                    if minute.changed_at != time {
                        minute.changed_at = time;
                        let before = (minute.version(), minute.log_return());
                        minute.revision += 1;
                        minute.bar.merge(&partial.bar);
                        self.touched.push(Touched { index, before: Some(before) });
                    } else {
                        minute.bar.merge(&partial.bar);
                    }
                    return;
                }
                Some(minute) if minute.start > partial.minute => {
                    later = Some(index);
                    at = minute.earlier;
                }
                // An older minute, or a minute of a block that has expired.
                _ => break,
            }
        }
        let block = block_of(partial.minute);
        let position = self.open.entry(block).or_default().push(Minute {
            symbol: partial.symbol,
            start: partial.minute,
            bar: partial.bar,
            revision: 0,
            previous_close: None,
            changed_at: time,
            earlier: at,
        });
        let index = MinuteIndex::new(block, position);
        match later {
            Some(later) => {
                if let Some(later) = self.minute_mut(later) {
                    later.earlier = Some(index);
                }
            }
            None => {
                self.newest.insert(partial.symbol, index);
            }
        }
        self.touched.push(Touched { index, before: None });
    }

    /// Emits the return of the minute after `index` anew if its previous close has changed. A
    /// minute that the current logical time has touched itself is left to [`Retained::apply`].
    fn update_successor(
        &mut self,
        symbol: Symbol,
        index: MinuteIndex,
        time: u64,
        returns: &mut impl Emit<(Symbol, LogReturn)>,
    ) {
        let mut at = self.newest.get(&symbol).copied().filter(|newest| *newest != index);
        while let Some(candidate) = at {
            let Some(minute) = self.minute(candidate) else { return };
            if minute.earlier != Some(index) {
                at = minute.earlier;
                continue;
            }
            if minute.changed_at != time {
                let before = minute.log_return();
                let previous_close = self.close_before(candidate);
                let Some(minute) = self.minute_mut(candidate) else { return };
                minute.previous_close = previous_close;
                let after = minute.log_return();
                if after != before {
                    returns.emit((symbol, before), time, -1);
                    returns.emit((symbol, after), time, 1);
                }
            }
            return;
        }
    }

    fn minute(&self, index: MinuteIndex) -> Option<&Minute> {
        self.open.get(&index.block)?.get(index.index)
    }

    fn minute_mut(&mut self, index: MinuteIndex) -> Option<&mut Minute> {
        self.open.get_mut(&index.block)?.get_mut(index.index)
    }

    /// Returns the close of the symbol's minute before the one at `index`, if it started at most
    /// `lookback` before.
    fn close_before(&self, index: MinuteIndex) -> Option<Price> {
        let minute = self.minute(index)?;
        let earlier = minute.earlier?;
        let (start, close) = match self.open.get(&earlier.block) {
            Some(minutes) => minutes.get(earlier.index).map(|minute| (minute.start, minute.bar.close))?,
            None => {
                let (_, log_return) = self.old.get(&earlier.block)?.get(earlier.index)?;
                (log_return.window_start, log_return.close)
            }
        };
        (minute.start.millis() - start.millis() <= self.settings.anomalies.lookback_ms).then_some(close)
    }

    /// Emits a portion of the current lot. Returns the lot's time if more of it remains.
    fn emit_portion(
        &mut self,
        candles_out: &mut impl Emit<(Symbol, Versioned)>,
        expired: &mut impl Emit<(Symbol, Candle)>,
        returns_out: &mut impl Emit<(Symbol, LogReturn)>,
    ) -> Option<u64> {
        match &mut self.lot {
            Lot::Nothing => return None,
            Lot::Candles { time, block, minutes, returns } => {
                for minute in minutes.by_ref().take(PORTION).flat_map(unshared) {
                    expired.emit((minute.symbol, minute.version().0), *time, -1);
                    returns.push((minute.symbol, minute.log_return()));
                }
                if minutes.len() > 0 {
                    return Some(*time);
                }
                self.old.insert(*block, std::mem::take(returns));
            }
            Lot::Returns { time, block, returns } => {
                for (symbol, log_return) in returns.by_ref().take(PORTION).flat_map(unshared) {
                    returns_out.emit((symbol, log_return), *time, -1);
                    // The symbol has no newer minute, so its chain is empty now.
                    if self.newest.get(&symbol).is_some_and(|newest| newest.block <= *block) {
                        self.newest.remove(&symbol);
                    }
                }
                if returns.len() > 0 {
                    return Some(*time);
                }
            }
            Lot::Restored { time, minutes, returns } => {
                for minute in minutes.by_ref().take(PORTION).flat_map(unshared) {
                    candles_out.emit((minute.symbol, minute.version()), *time, 1);
                    returns_out.emit((minute.symbol, minute.log_return()), *time, 1);
                }
                for (symbol, log_return) in returns.by_ref().take(PORTION).flat_map(unshared) {
                    returns_out.emit((symbol, log_return), *time, 1);
                }
                if minutes.len() > 0 || returns.len() > 0 {
                    return Some(*time);
                }
            }
        }
        self.lot = Lot::Nothing;
        None
    }
}
