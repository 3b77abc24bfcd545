//! The minutes that are retained, and what they say as time goes by: the state of the operator `minutes`.

use super::{Emit, Versioned};
use crate::bar::Bar;
use crate::candle::Candle;
use crate::number::Price;
use crate::operators::combine::PartialBar;
use crate::settings::Settings;
use crate::symbol::Symbol;
use crate::time::{EventTime, Interval};
use crate::views::anomalies::Move;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a minute is kept: the number of its fifteen-minute block since the epoch, and its place in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    block: u32,
    index: u32,
}

/// A minute that can still change.
struct Minute {
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
        (Candle::of(&self.bar, self.start), self.revision)
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
    open: BTreeMap<u32, Vec<Minute>>,
    /// The moves of blocks that have expired, each in the place where its minute was.
    old: BTreeMap<u32, Vec<(Symbol, Move)>>,
    touched: Vec<Touched>,
    /// The block that is being expired.
    expiring: Expiring,
}

/// What is left to retract of a block whose time has come.
enum Expiring {
    Nothing,
    Candles { time: u64, block: u32, minutes: std::vec::IntoIter<Minute>, moves: Vec<(Symbol, Move)> },
    Moves { time: u64, block: u32, moves: std::vec::IntoIter<(Symbol, Move)> },
}

/// How many retractions of an expiry are put out at a time.
const PORTION: usize = 4_096;

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
            expiring: Expiring::Nothing,
        }
    }

    /// Whether an expiry has begun and is not done.
    pub(super) fn is_expiring(&self) -> bool {
        !matches!(self.expiring, Expiring::Nothing)
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
    /// after a portion of an expiry. With the input at its end (`frontier` is none) nothing will be corrected any more,
    /// so nothing need expire.
    pub(super) fn advance(
        &mut self,
        frontier: Option<u64>,
        candles: &mut impl Emit<(Symbol, Versioned)>,
        expired: &mut impl Emit<(Symbol, Candle)>,
        moves: &mut impl Emit<(Symbol, Move)>,
    ) -> Option<u64> {
        if frontier.is_none() {
            self.expiring = Expiring::Nothing;
        }
        loop {
            if let Some(unfinished) = self.expire_portion(expired, moves) {
                return Some(unfinished);
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
                    let moves = Vec::with_capacity(minutes.len());
                    self.expiring =
                        Expiring::Candles { time: next, block, minutes: minutes.into_iter(), moves };
                }
            } else if let Some((block, moves)) = self.old.pop_first() {
                self.expiring = Expiring::Moves { time: next, block, moves: moves.into_iter() };
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
            match self.minute_mut(place) {
                Some(minute) if minute.start == partial.minute => {
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
        let minutes = self.open.entry(block).or_default();
        let place = Place { block, index: u32::try_from(minutes.len()).unwrap_or(u32::MAX) };
        minutes.push(Minute {
            symbol: partial.symbol,
            start: partial.minute,
            bar: partial.bar,
            revision: 0,
            previous_close: None,
            changed_at: time,
            earlier: at,
        });
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
            let Some(minute) = self.minute_mut(candidate) else { return };
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

    fn minute_mut(&mut self, place: Place) -> Option<&mut Minute> {
        self.open.get_mut(&place.block)?.get_mut(place.index as usize)
    }

    /// The close of the symbol's minute before the one at `place`, if that started at most `lookback` before.
    fn close_before(&self, place: Place) -> Option<Price> {
        let minute = self.open.get(&place.block)?.get(place.index as usize)?;
        let earlier = minute.earlier?;
        let (start, close) = match self.open.get(&earlier.block) {
            Some(minutes) => {
                minutes.get(earlier.index as usize).map(|minute| (minute.start, minute.bar.close))?
            }
            None => {
                let (_, moved) = self.old.get(&earlier.block)?.get(earlier.index as usize)?;
                (moved.window_start, moved.close)
            }
        };
        (minute.start.millis() - start.millis() <= self.settings.anomalies.lookback_ms).then_some(close)
    }

    /// Retracts a portion of the block that is being expired: candles, whose moves are kept, or moves. Returns the time
    /// of the expiry if there is more to do.
    fn expire_portion(
        &mut self,
        expired: &mut impl Emit<(Symbol, Candle)>,
        moves_out: &mut impl Emit<(Symbol, Move)>,
    ) -> Option<u64> {
        match &mut self.expiring {
            Expiring::Nothing => return None,
            Expiring::Candles { time, block, minutes, moves } => {
                for minute in minutes.by_ref().take(PORTION) {
                    expired.emit((minute.symbol, minute.version().0), *time, -1);
                    moves.push((minute.symbol, minute.moved()));
                }
                if minutes.len() > 0 {
                    return Some(*time);
                }
                self.old.insert(*block, std::mem::take(moves));
            }
            Expiring::Moves { time, block, moves } => {
                for (symbol, moved) in moves.by_ref().take(PORTION) {
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
        }
        self.expiring = Expiring::Nothing;
        None
    }
}

/// The number of the fifteen-minute block of a minute; with event times up to the year 9999 it fits.
fn block_of(minute: EventTime) -> u32 {
    u32::try_from(minute.millis() / BLOCK_MS).unwrap_or(u32::MAX)
}
