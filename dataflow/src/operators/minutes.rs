//! `minutes`: the one stateful timely operator. Partial bars in, one-minute candles and their moves out, as collections.
//!
//! - **What.** Keeps partial bars by logical time and applies a time's bars only when the frontier has passed it, so
//!   that its state is at every moment exactly the state "as of the frontier". Applying them changes candles: the
//!   old version is retracted and the new one asserted, both at that logical time.
//! - **Key and window.** Symbol and minute. Input must be exchanged by symbol.
//! - **Candles.** `(symbol, (candle, revision))`, retained until the end of the enclosing fifteen-minute window plus
//!   `allowed_lateness`: until then a roll-up can change. Their expiry is an output of its own, `expired`, because only
//!   the roll-ups want it.
//! - **Moves.** `(symbol, move)`, the candle's close against the close before it, retained for another `lookback`. Why
//!   here and not by a join in the views: this operator has the neighbour at hand, and the detector then needs no candle
//!   older than its baseline, nor a logarithm per evaluation.
//! - **Retraction and late data.** A late partial bar is a correction at its own logical time. If it changes a close
//!   or adds a candle, the move of the candle after it changes too. At its expiry everything is retracted, with a
//!   time at or past every correction's: `settle` tells the two apart by the time alone.
//! - **Yielding.** Expiry comes for a whole block of minutes at once. It is put out in portions, so that what is
//!   downstream consumes one before the next is made; `expiring` tells the source to wait meanwhile.
//! - **Ties.** None: bars are merged, and merging does not depend on order.
//! - **State.** The retained minutes (`minutes/retained.rs`): bars while they can change, moves after that. Freed at
//!   expiry. Cost per partial bar: one hash look-up and one merge.

mod retained;

use super::combine::PartialBar;
use crate::candle::Candle;
use crate::settings::Settings;
use crate::symbol::Symbol;
use crate::views::anomalies::Move;
use retained::Retained;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};

/// A difference of a collection: record, logical time, +1 or −1.
pub(crate) type Difference<D> = (D, u64, isize);

/// A one-minute candle and how often it has been corrected.
pub(crate) type Versioned = (Candle, u32);

/// What comes out. `candles` and `expired` together are the collection of retained candles.
pub(crate) struct Minutes<'scope> {
    pub(crate) candles: StreamVec<'scope, u64, Difference<(Symbol, Versioned)>>,
    pub(crate) expired: StreamVec<'scope, u64, Difference<(Symbol, Candle)>>,
    pub(crate) moves: StreamVec<'scope, u64, Difference<(Symbol, Move)>>,
}

/// Adds the operator to the graph.
pub(crate) fn minutes<'scope>(
    partials: StreamVec<'scope, u64, PartialBar>,
    settings: &Arc<Settings>,
    expiring: Rc<Cell<bool>>,
) -> Minutes<'scope> {
    let mut builder = OperatorBuilder::new("minutes".to_owned(), partials.scope());
    let activator = partials.scope().activator_for(builder.operator_info().address);
    let mut input = builder.new_input(partials, Pipeline);
    let (candles_output, candles) = builder.new_output();
    let (expired_output, expired) = builder.new_output();
    let (moves_output, moves) = builder.new_output();
    let mut candles_output = OutputBuilder::from(candles_output);
    let mut expired_output = OutputBuilder::from(expired_output);
    let mut moves_output = OutputBuilder::from(moves_output);
    let mut retained = Retained::new(Arc::clone(settings));
    builder.build(move |_initial| {
        // Held at the least time at which something will have to be said; one for each output.
        let mut held: Option<[Capability<u64>; 3]> = None;
        move |frontiers| {
            input.for_each(|capability, partials: &mut Vec<PartialBar>| {
                let Some(earliest) = partials.iter().map(|partial| partial.logical).min() else { return };
                if held.as_ref().is_none_or(|held| earliest < *held[0].time()) {
                    held = Some([0, 1, 2].map(|output| capability.delayed(&earliest, output)));
                }
                partials.drain(..).for_each(|partial| retained.stash(partial));
            });
            let Some([candles_held, expired_held, moves_held]) = &held else { return };
            let frontier = frontiers[0].frontier().first().copied();
            let next = retained.advance(
                frontier,
                &mut candles_output.activate().session(candles_held),
                &mut expired_output.activate().session(expired_held),
                &mut moves_output.activate().session(moves_held),
            );
            expiring.set(retained.is_expiring());
            if expiring.get() {
                activator.activate();
            }
            match (next, &mut held) {
                (Some(next), Some(held)) => {
                    held.iter_mut().filter(|held| *held.time() < next).for_each(|held| held.downgrade(&next));
                }
                _ => held = None,
            }
        }
    });
    Minutes { candles, expired, moves }
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
