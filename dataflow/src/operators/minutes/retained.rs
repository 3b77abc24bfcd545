//! The minutes that are retained, and what they say as time goes by: the state of the operator `minutes`.

use super::{Emit, Versioned};
use crate::bar::Bar;
use crate::checkpoint::{RetainedMinute, Row, SharedState, State};
use crate::operators::combine::PartialBar;
use crate::settings::Settings;
use crate::views::anomalies::Move;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_model::Candle;
use tallow_model::Price;
use tallow_model::Symbol;
use tallow_model::{EventTime, Interval};

/// Where a minute is kept: the number of its fifteen-minute block since the epoch, and its place in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    block: u32,
    index: u32,
}

/// A minute that can still change.
#[derive(Clone, Debug)]
pub(crate) struct Minute {
    symbol: Symbol,
    start: EventTime,
    bar: Bar,
    revision: u32,
    /// The close before it as its move was last emitted; none where there was no such candle.
    previous_close: Option<Price>,
    /// The logical time at which it last changed.
    changed_at: u64,
    /// The symbol's minute before this one.
    earlier: Option<Place>,
}

impl Minute {
    fn version(&self) -> Versioned {
        (self.bar.candle(self.start), self.revision)
    }

    /// As a checkpoint has it.
    pub(crate) fn retained(&self) -> RetainedMinute {
        RetainedMinute {
            symbol: self.symbol,
            start: self.start,
            bar: self.bar,
            revision: self.revision,
            previous_close: self.previous_close,
        }
    }

    /// Its move as last emitted, unless its bar has changed since.
    fn moved(&self) -> Move {
        Move::of(self.start, self.bar.open, self.bar.close, self.previous_close, self.revision)
    }
}

/// A minute that the logical time in hand has changed, as it was before.
struct Touched {
    place: Place,
    before: Option<(Versioned, Move)>,
}

/// Rows in pieces: a checkpoint shares the pieces, and one that it shares is copied before it changes.
#[derive(Debug)]
struct Pieces<T>(Vec<Arc<Vec<T>>>);

/// The rows of a piece. Copying one that a checkpoint shares takes some ten microseconds then.
const PIECE: usize = 256;

impl<T: Clone> Pieces<T> {
    fn push(&mut self, row: T) -> usize {
        match self.0.last_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => Arc::make_mut(piece).push(row),
            None => self.0.push(Arc::new(vec![row])),
        }
        self.len() - 1
    }

    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE + last.len())
    }

    fn get(&self, index: u32) -> Option<&T> {
        self.0.get(index as usize / PIECE)?.get(index as usize % PIECE)
    }

    fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        Arc::make_mut(self.0.get_mut(index as usize / PIECE)?).get_mut(index as usize % PIECE)
    }
}

impl<T> Default for Pieces<T> {
    fn default() -> Pieces<T> {
        Pieces(Vec::new())
    }
}

/// The pieces of a block that are still to be gone through.
type Rest<T> = std::vec::IntoIter<Arc<Vec<T>>>;

/// The retained minutes. They are kept by fifteen-minute block, in the order in which they came, and chained by
/// symbol: a new minute is appended and a block is freed whole. Why not a list per symbol: with a hundred thousand
/// symbols those are a hundred thousand allocations that grow, and as many cache misses a minute.
pub(super) struct Retained {
    settings: Arc<Settings>,
    /// Partial bars whose logical time the frontier has not passed.
    pending: BTreeMap<u64, Vec<PartialBar>>,
    /// The newest minute of every symbol.
    newest: HashMap<Symbol, Place, FixedState>,
    /// Minutes that can still change.
    open: BTreeMap<u32, Pieces<Minute>>,
    /// The moves of blocks that have expired, each in the place where its minute was.
    old: BTreeMap<u32, Pieces<(Symbol, Move)>>,
    touched: Vec<Touched>,
    /// The rows of a checkpoint, and the time at which they count.
    restored: Option<(u64, State)>,
    /// What is being put out in portions.
    lot: Lot,
}

/// What is left to say of a lot that is too large to be said at once.
enum Lot {
    Nothing,
    /// The candles of a block are retracted, and their moves kept.
    Candles {
        time: u64,
        block: u32,
        minutes: Rest<Minute>,
        moves: Pieces<(Symbol, Move)>,
    },
    /// The moves of a block are retracted.
    Moves {
        time: u64,
        block: u32,
        moves: Rest<(Symbol, Move)>,
    },
    /// What a checkpoint had is asserted.
    Restored {
        time: u64,
        minutes: Rest<Minute>,
        moves: Rest<(Symbol, Move)>,
    },
}

/// How many pieces are put out at a time.
const PORTION: usize = 16;

const BLOCK_MS: u64 = Interval::FifteenMinutes.millis();

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

    /// The state as of everything that has been applied.
    pub(super) fn share(&self) -> SharedState {
        SharedState {
            minutes: self.open.values().flat_map(|block| block.0.iter().cloned()).collect(),
            moves: self.old.values().flat_map(|block| block.0.iter().cloned()).collect(),
            rollups: Vec::new(),
        }
    }

    /// Takes a row of a checkpoint, to be taken up at this time.
    pub(super) fn restore(&mut self, time: u64, row: Row) {
        let (_, state) = self.restored.get_or_insert_with(|| (time, State::default()));
        match row {
            Row::Minute(minute) => state.minutes.push(minute),
            Row::Move(moved) => state.moves.push(moved),
            Row::Rollup(_) => {}
        }
    }

    /// Takes up the rows of a checkpoint: blocks and chains as they were, in an order that no arrival decides.
    fn take_up(&mut self, time: u64, mut state: State) {
        state.moves.sort_unstable_by_key(|row| (row.start, row.symbol));
        for row in state.moves {
            let moved = Move::of(row.start, row.open, row.close, row.previous_close, row.revision);
            let block = block_of(row.start);
            let index = self.old.entry(block).or_default().push((row.symbol, moved));
            self.newest.insert(row.symbol, place(block, index));
        }
        state.minutes.sort_unstable_by_key(|row| (row.start, row.symbol));
        for row in state.minutes {
            let block = block_of(row.start);
            let earlier = self.newest.get(&row.symbol).copied();
            let RetainedMinute { symbol, start, bar, revision, previous_close } = row;
            let minute = Minute { symbol, start, bar, revision, previous_close, changed_at: time, earlier };
            let index = self.open.entry(block).or_default().push(minute);
            self.newest.insert(symbol, place(block, index));
        }
        let SharedState { minutes, moves, .. } = self.share();
        self.lot = Lot::Restored { time, minutes: minutes.into_iter(), moves: moves.into_iter() };
    }

    /// Takes a partial bar, to be applied when its logical time has come.
    pub(super) fn stash(&mut self, partial: PartialBar) {
        self.pending.entry(partial.logical).or_default().push(partial);
    }

    /// When the candles of a block expire: nothing can correct them, nor a roll-up that they are part of.
    fn candles_expire(&self, block: u32) -> u64 {
        (u64::from(block) + 1) * BLOCK_MS + self.settings.allowed_lateness_ms
    }

    /// When the moves of a block expire: no baseline that can still change reaches back to them.
    fn moves_expire(&self, block: u32) -> u64 {
        self.candles_expire(block) + self.settings.anomalies.lookback_ms
    }

    /// Applies everything below the frontier, in order of time, and returns the least time still to come. Stops early
    /// after a portion of a lot. With the input at its end (`frontier` is none) nothing will be corrected any more,
    /// so nothing need expire.
    pub(super) fn advance(
        &mut self,
        frontier: Option<u64>,
        candles: &mut impl Emit<(Symbol, Versioned)>,
        expired: &mut impl Emit<(Symbol, Candle)>,
        moves: &mut impl Emit<(Symbol, Move)>,
    ) -> Option<u64> {
        if frontier.is_none() && !matches!(self.lot, Lot::Restored { .. }) {
            self.lot = Lot::Nothing;
        }
        loop {
            if let Some(unfinished) = self.put_out_portion(candles, expired, moves) {
                return Some(unfinished);
            }
            if let Some((time, state)) = self.restored.take() {
                if frontier.is_some_and(|frontier| frontier <= time) {
                    self.restored = Some((time, state));
                    return Some(time);
                }
                self.take_up(time, state);
                continue;
            }
            let arrival = self.pending.first_key_value().map(|(time, _)| *time);
            let candle_expiry = self.open.first_key_value().map(|(block, _)| self.candles_expire(*block));
            let move_expiry = self.old.first_key_value().map(|(block, _)| self.moves_expire(*block));
            let next = match frontier {
                Some(_) => [arrival, candle_expiry, move_expiry].into_iter().flatten().min()?,
                None => arrival?,
            };
            if frontier.is_some_and(|frontier| frontier <= next) {
                return Some(next);
            }
            if arrival == Some(next)
                && let Some((_, partials)) = self.pending.pop_first()
            {
                self.apply(next, &partials, candles, moves);
            } else if candle_expiry == Some(next) {
                if let Some((block, minutes)) = self.open.pop_first() {
                    let minutes = minutes.0.into_iter();
                    self.lot = Lot::Candles { time: next, block, minutes, moves: Pieces::default() };
                }
            } else if let Some((block, moves)) = self.old.pop_first() {
                self.lot = Lot::Moves { time: next, block, moves: moves.0.into_iter() };
            }
        }
    }

    /// Applies the partial bars of one logical time.
    fn apply(
        &mut self,
        time: u64,
        partials: &[PartialBar],
        candles: &mut impl Emit<(Symbol, Versioned)>,
        moves: &mut impl Emit<(Symbol, Move)>,
    ) {
        for partial in partials {
            self.merge(time, partial);
        }
        let touched = std::mem::take(&mut self.touched);
        for Touched { place, before } in &touched {
            let previous_close = self.close_before(*place);
            let Some(minute) = self.minute_mut(*place) else { continue };
            minute.previous_close = previous_close;
            let (symbol, version, moved) = (minute.symbol, minute.version(), minute.moved());
            if let Some((version, moved)) = before {
                candles.emit((symbol, *version), time, -1);
                moves.emit((symbol, *moved), time, -1);
            }
            candles.emit((symbol, version), time, 1);
            moves.emit((symbol, moved), time, 1);
            self.update_successor(symbol, *place, time, moves);
        }
        self.touched = touched;
        self.touched.clear();
    }

    /// Adds a partial bar to its minute, and notes the minute as touched.
    fn merge(&mut self, time: u64, partial: &PartialBar) {
        let block = block_of(partial.minute);
        // The place to insert after: the symbol's newest minute that is not newer than this one.
        let mut later = None;
        let mut at = self.newest.get(&partial.symbol).copied();
        while let Some(place) = at {
            match self.minute(place) {
                Some(minute) if minute.start == partial.minute => {
                    let Some(minute) = self.minute_mut(place) else { return };
                    if minute.changed_at != time {
                        minute.changed_at = time;
                        let before = (minute.version(), minute.moved());
                        minute.revision += 1;
                        minute.bar.merge(&partial.bar);
                        self.touched.push(Touched { place, before: Some(before) });
                    } else {
                        minute.bar.merge(&partial.bar);
                    }
                    return;
                }
                Some(minute) if minute.start > partial.minute => {
                    later = Some(place);
                    at = minute.earlier;
                }
                // An older minute, or one of a block that has expired.
                _ => break,
            }
        }
        let index = self.open.entry(block).or_default().push(Minute {
            symbol: partial.symbol,
            start: partial.minute,
            bar: partial.bar,
            revision: 0,
            previous_close: None,
            changed_at: time,
            earlier: at,
        });
        let place = place(block, index);
        match later {
            Some(later) => {
                if let Some(later) = self.minute_mut(later) {
                    later.earlier = Some(place);
                }
            }
            None => {
                self.newest.insert(partial.symbol, place);
            }
        }
        self.touched.push(Touched { place, before: None });
    }

    /// Re-emits the move of the minute after `place` if that looks back at another close now. One that the time in
    /// hand has touched itself has its own turn.
    fn update_successor(
        &mut self,
        symbol: Symbol,
        place: Place,
        time: u64,
        moves: &mut impl Emit<(Symbol, Move)>,
    ) {
        let mut at = self.newest.get(&symbol).copied().filter(|newest| *newest != place);
        while let Some(candidate) = at {
            let Some(minute) = self.minute(candidate) else { return };
            if minute.earlier != Some(place) {
                at = minute.earlier;
                continue;
            }
            if minute.changed_at != time {
                let before = minute.moved();
                let previous_close = self.close_before(candidate);
                let Some(minute) = self.minute_mut(candidate) else { return };
                minute.previous_close = previous_close;
                let after = minute.moved();
                if after != before {
                    moves.emit((symbol, before), time, -1);
                    moves.emit((symbol, after), time, 1);
                }
            }
            return;
        }
    }

    fn minute(&self, place: Place) -> Option<&Minute> {
        self.open.get(&place.block)?.get(place.index)
    }

    fn minute_mut(&mut self, place: Place) -> Option<&mut Minute> {
        self.open.get_mut(&place.block)?.get_mut(place.index)
    }

    /// The close of the symbol's minute before the one at `place`, if that started at most `lookback` before.
    fn close_before(&self, place: Place) -> Option<Price> {
        let minute = self.minute(place)?;
        let earlier = minute.earlier?;
        let (start, close) = match self.open.get(&earlier.block) {
            Some(minutes) => minutes.get(earlier.index).map(|minute| (minute.start, minute.bar.close))?,
            None => {
                let (_, moved) = self.old.get(&earlier.block)?.get(earlier.index)?;
                (moved.window_start, moved.close)
            }
        };
        (minute.start.millis() - start.millis() <= self.settings.anomalies.lookback_ms).then_some(close)
    }

    /// Puts out a portion of the lot in hand. Returns its time if there is more of it.
    fn put_out_portion(
        &mut self,
        candles_out: &mut impl Emit<(Symbol, Versioned)>,
        expired: &mut impl Emit<(Symbol, Candle)>,
        moves_out: &mut impl Emit<(Symbol, Move)>,
    ) -> Option<u64> {
        match &mut self.lot {
            Lot::Nothing => return None,
            Lot::Candles { time, block, minutes, moves } => {
                for minute in minutes.by_ref().take(PORTION).flat_map(unshared) {
                    expired.emit((minute.symbol, minute.version().0), *time, -1);
                    moves.push((minute.symbol, minute.moved()));
                }
                if minutes.len() > 0 {
                    return Some(*time);
                }
                self.old.insert(*block, std::mem::take(moves));
            }
            Lot::Moves { time, block, moves } => {
                for (symbol, moved) in moves.by_ref().take(PORTION).flat_map(unshared) {
                    moves_out.emit((symbol, moved), *time, -1);
                    // Of the symbol's minutes this was the last one.
                    if self.newest.get(&symbol).is_some_and(|newest| newest.block <= *block) {
                        self.newest.remove(&symbol);
                    }
                }
                if moves.len() > 0 {
                    return Some(*time);
                }
            }
            Lot::Restored { time, minutes, moves } => {
                for minute in minutes.by_ref().take(PORTION).flat_map(unshared) {
                    candles_out.emit((minute.symbol, minute.version()), *time, 1);
                    moves_out.emit((minute.symbol, minute.moved()), *time, 1);
                }
                for (symbol, moved) in moves.by_ref().take(PORTION).flat_map(unshared) {
                    moves_out.emit((symbol, moved), *time, 1);
                }
                if minutes.len() > 0 || moves.len() > 0 {
                    return Some(*time);
                }
            }
        }
        self.lot = Lot::Nothing;
        None
    }
}

/// The rows of a piece, copied only if a checkpoint still shares them.
fn unshared<T: Clone>(piece: Arc<Vec<T>>) -> Vec<T> {
    Arc::unwrap_or_clone(piece)
}

fn place(block: u32, index: usize) -> Place {
    Place { block, index: u32::try_from(index).unwrap_or(u32::MAX) }
}

/// The number of the fifteen-minute block of a minute; with event times up to the year 9999 it fits.
fn block_of(minute: EventTime) -> u32 {
    u32::try_from(minute.millis() / BLOCK_MS).unwrap_or(u32::MAX)
}
