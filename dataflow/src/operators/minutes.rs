//! `minutes`: the one stateful timely operator. Partial bars in, one-minute candles and their moves out, as collections.
//!
//! - **What.** Keeps partial bars by logical time and applies a time's bars only when the frontier has passed it, so
//!   that its state is at every moment exactly the state "as of the frontier". Applying them changes candles: the
//!   old version is retracted and the new one asserted, both at that logical time.
//! - **Key and window.** Symbol and minute. Input must be exchanged by symbol.
//! - **Output 0, candles.** `(symbol, (candle, revision))`, retained until `expires(1)`: the end of the enclosing
//!   fifteen-minute window plus `allowed_lateness`. Until then a roll-up can change.
//! - **Output 1, moves.** `(symbol, move)`, the candle's close against the close before it, retained for another
//!   `lookback`. Why here and not by a join in the views: this operator has the neighbour at hand, and the
//!   detector then needs no candle older than its baseline, nor a logarithm per evaluation.
//! - **Retraction and late data.** A late partial bar is a correction at its own logical time. If it changes a close
//!   or adds a candle, the move of the candle after it changes too. At its expiry everything is retracted, with a
//!   time at or past every correction's: `settle` tells the two apart by the time alone.
//! - **Ties.** None: bars are merged, and merging does not depend on order.
//! - **State.** Per symbol the retained minutes: bars while they can change, 64-byte moves after that. Freed at
//!   expiry. Cost per partial bar: one hash look-up and one merge.

use super::combine::PartialBar;
use crate::bar::Bar;
use crate::candle::Candle;
use crate::settings::Settings;
use crate::symbol::Symbol;
use crate::time::{EventTime, Interval};
use crate::views::anomalies::Move;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};

/// A difference of a collection: record, logical time, +1 or −1.
pub(crate) type Difference<D> = (D, u64, isize);

/// A one-minute candle and how often it has been corrected.
pub(crate) type Versioned = (Candle, u32);

/// The two collections that come out.
pub(crate) struct Minutes<'scope> {
    pub(crate) candles: StreamVec<'scope, u64, Difference<(Symbol, Versioned)>>,
    pub(crate) moves: StreamVec<'scope, u64, Difference<(Symbol, Move)>>,
}

/// Adds the operator to the graph.
pub(crate) fn minutes<'scope>(
    partials: StreamVec<'scope, u64, PartialBar>,
    settings: &Arc<Settings>,
) -> Minutes<'scope> {
    let mut builder = OperatorBuilder::new("minutes".to_owned(), partials.scope());
    let mut input = builder.new_input(partials, Pipeline);
    let (candles_output, candles) = builder.new_output();
    let (moves_output, moves) = builder.new_output();
    let mut candles_output = OutputBuilder::from(candles_output);
    let mut moves_output = OutputBuilder::from(moves_output);
    let mut state = State::new(Arc::clone(settings));
    builder.build(move |_initial| {
        // Held at the least time at which something will have to be said; one for each output.
        let mut held: Option<[Capability<u64>; 2]> = None;
        move |frontiers| {
            input.for_each(|capability, partials: &mut Vec<PartialBar>| {
                let Some(earliest) = partials.iter().map(|partial| partial.logical).min() else { return };
                if held.as_ref().is_none_or(|held| earliest < *held[0].time()) {
                    held = Some([capability.delayed(&earliest, 0), capability.delayed(&earliest, 1)]);
                }
                partials.drain(..).for_each(|partial| state.stash(partial));
            });
            let Some([candles_held, moves_held]) = &held else { return };
            let frontier = frontiers[0].frontier().first().copied();
            let mut candles_output = candles_output.activate();
            let mut moves_output = moves_output.activate();
            let next = state.advance(
                frontier,
                &mut candles_output.session(candles_held),
                &mut moves_output.session(moves_held),
            );
            match (next, &mut held) {
                (Some(next), Some(held)) => {
                    held.iter_mut().filter(|h| *h.time() < next).for_each(|h| h.downgrade(&next))
                }
                _ => held = None,
            }
        }
    });
    Minutes { candles, moves }
}

/// Where differences go.
trait Emit<D> {
    fn emit(&mut self, record: D, time: u64, diff: isize);
}

impl<D: Clone + 'static> Emit<D>
    for timely::dataflow::operators::generic::Session<
        '_,
        '_,
        u64,
        timely::container::CapacityContainerBuilder<Vec<Difference<D>>>,
        Capability<u64>,
    >
{
    fn emit(&mut self, record: D, time: u64, diff: isize) {
        self.give((record, time, diff));
    }
}

/// A minute that can still change.
struct Minute {
    start: EventTime,
    bar: Bar,
    revision: u32,
    /// Its move as last emitted; none before the first time.
    moved: Option<Move>,
    /// The logical time at which it last changed.
    changed_at: u64,
}

/// The retained minutes of one symbol, each list oldest first, `old` before `open`.
#[derive(Default)]
struct Retained {
    open: VecDeque<Minute>,
    old: VecDeque<Move>,
}

/// A minute as it was before the logical time in hand.
struct Touched {
    symbol: Symbol,
    start: EventTime,
    before: Option<Versioned>,
}

struct State {
    settings: Arc<Settings>,
    /// Partial bars whose logical time the frontier has not passed.
    pending: BTreeMap<u64, Vec<PartialBar>>,
    symbols: HashMap<Symbol, Retained, FixedState>,
    /// When the candles of a fifteen-minute window expire, and of which symbols there are any.
    candle_expiry: BTreeMap<u64, Vec<Symbol>>,
    /// The same for moves.
    move_expiry: BTreeMap<u64, Vec<Symbol>>,
    touched: Vec<Touched>,
}

impl State {
    fn new(settings: Arc<Settings>) -> State {
        State {
            settings,
            pending: BTreeMap::new(),
            symbols: HashMap::default(),
            candle_expiry: BTreeMap::new(),
            move_expiry: BTreeMap::new(),
            touched: Vec::new(),
        }
    }

    fn stash(&mut self, partial: PartialBar) {
        self.pending.entry(partial.logical).or_default().push(partial);
    }

    /// When the candles of the fifteen-minute window around `start` expire.
    fn candles_expire(&self, start: EventTime) -> u64 {
        Interval::FifteenMinutes.window_end(start).millis() + self.settings.allowed_lateness_ms
    }

    /// Applies everything below the frontier, in order of time, and returns the least time still to come.
    /// With the input at its end (`frontier` is none) nothing will be corrected any more, so nothing need expire.
    fn advance(
        &mut self,
        frontier: Option<u64>,
        candles: &mut impl Emit<(Symbol, Versioned)>,
        moves: &mut impl Emit<(Symbol, Move)>,
    ) -> Option<u64> {
        loop {
            let [arrival, candle_expiry, move_expiry] = [
                self.pending.first_key_value().map(|(time, _)| *time),
                self.candle_expiry.first_key_value().map(|(time, _)| *time),
                self.move_expiry.first_key_value().map(|(time, _)| *time),
            ];
            let next = match frontier {
                Some(_) => [arrival, candle_expiry, move_expiry].into_iter().flatten().min()?,
                None => arrival?,
            };
            if frontier.is_some_and(|frontier| frontier <= next) {
                return Some(next);
            }
            if let Some(partials) = self.pending.remove(&next) {
                self.apply(next, &partials, candles, moves);
            }
            if frontier.is_some() {
                if let Some(symbols) = self.candle_expiry.remove(&next) {
                    self.expire_candles(next, symbols, candles);
                }
                if let Some(symbols) = self.move_expiry.remove(&next) {
                    self.expire_moves(next, &symbols, moves);
                }
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
        let mut touched = std::mem::take(&mut self.touched);
        for partial in partials {
            let expiry = self.candles_expire(partial.minute);
            let retained = self.symbols.entry(partial.symbol).or_default();
            match retained.open.binary_search_by_key(&partial.minute, |minute| minute.start) {
                Ok(at) => {
                    let minute = &mut retained.open[at];
                    if minute.changed_at != time {
                        minute.changed_at = time;
                        let before = (Candle::of(&minute.bar, minute.start), minute.revision);
                        minute.revision += 1;
                        touched.push(Touched {
                            symbol: partial.symbol,
                            start: partial.minute,
                            before: Some(before),
                        });
                    }
                    minute.bar.merge(&partial.bar);
                }
                Err(at) => {
                    let block = Interval::FifteenMinutes.window_start(partial.minute);
                    let same_block = |minute: Option<&Minute>| {
                        minute.is_some_and(|m| Interval::FifteenMinutes.window_start(m.start) == block)
                    };
                    if !same_block(retained.open.get(at))
                        && !same_block(at.checked_sub(1).and_then(|before| retained.open.get(before)))
                    {
                        self.candle_expiry.entry(expiry).or_default().push(partial.symbol);
                    }
                    retained.open.insert(
                        at,
                        Minute {
                            start: partial.minute,
                            bar: partial.bar,
                            revision: 0,
                            moved: None,
                            changed_at: time,
                        },
                    );
                    touched.push(Touched { symbol: partial.symbol, start: partial.minute, before: None });
                }
            }
        }
        for Touched { symbol, start, before } in touched.drain(..) {
            let Some(retained) = self.symbols.get_mut(&symbol) else { continue };
            let Ok(at) = retained.open.binary_search_by_key(&start, |minute| minute.start) else { continue };
            let minute = &retained.open[at];
            let after = (Candle::of(&minute.bar, start), minute.revision);
            if let Some(before) = before {
                candles.emit((symbol, before), time, -1);
            }
            candles.emit((symbol, after), time, 1);
            retained.update_move(at, symbol, time, &self.settings, moves);
            // The candle after it looks back at this one.
            retained.update_move(at + 1, symbol, time, &self.settings, moves);
        }
        self.touched = touched;
    }

    /// Retracts the candles of a fifteen-minute window, and keeps their moves.
    fn expire_candles(
        &mut self,
        time: u64,
        symbols: Vec<Symbol>,
        candles: &mut impl Emit<(Symbol, Versioned)>,
    ) {
        let end = time - self.settings.allowed_lateness_ms;
        for symbol in &symbols {
            let Some(retained) = self.symbols.get_mut(symbol) else { continue };
            while let Some(minute) = retained.open.pop_front_if(|minute| minute.start.millis() < end) {
                let candle = Candle::of(&minute.bar, minute.start);
                candles.emit((*symbol, (candle, minute.revision)), time, -1);
                retained.old.extend(minute.moved);
            }
        }
        self.move_expiry.insert(time + self.settings.anomalies.lookback_ms, symbols);
    }

    /// Retracts the moves of a fifteen-minute window.
    fn expire_moves(&mut self, time: u64, symbols: &[Symbol], moves: &mut impl Emit<(Symbol, Move)>) {
        let end = time - self.settings.anomalies.lookback_ms - self.settings.allowed_lateness_ms;
        for symbol in symbols {
            let Some(retained) = self.symbols.get_mut(symbol) else { continue };
            while let Some(moved) = retained.old.pop_front_if(|moved| moved.window_start.millis() < end) {
                moves.emit((*symbol, moved), time, -1);
            }
            if retained.old.is_empty() && retained.open.is_empty() {
                self.symbols.remove(symbol);
            }
        }
    }
}

impl Retained {
    /// Computes the move of `open[at]`, if there is one, and emits what has changed since it was last emitted.
    fn update_move(
        &mut self,
        at: usize,
        symbol: Symbol,
        time: u64,
        settings: &Settings,
        moves: &mut impl Emit<(Symbol, Move)>,
    ) {
        let earlier = match at.checked_sub(1) {
            Some(earlier) => self.open.get(earlier).map(|minute| (minute.start, minute.bar.close)),
            None => self.old.back().map(|moved| (moved.window_start, moved.close)),
        };
        let Some(minute) = self.open.get_mut(at) else { return };
        let previous = earlier
            .filter(|(earlier, _)| minute.start.millis() - earlier.millis() <= settings.anomalies.lookback_ms)
            .map(|(_, close)| close);
        let moved = Move::of(minute.start, minute.bar.open, minute.bar.close, previous, minute.revision);
        let before = minute.moved.replace(moved);
        if before != Some(moved) {
            if let Some(before) = before {
                moves.emit((symbol, before), time, -1);
            }
            moves.emit((symbol, moved), time, 1);
        }
    }
}
