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
//!   downstream consumes one before the next is made; `busy` tells the source to wait meanwhile.
//! - **Checkpoints.** A marker at *F* arrives before the frontier passes *F*, and a capability is held there until what lies
//!   before *F* is applied and the state handed to `settle`, which can't have passed *F* either then. The state is in
//!   pieces that are shared and copied only when one must change: handing it over takes no time.
//! - **Restore.** The rows of a checkpoint come before its frontier. They are put out again one millisecond before it, so
//!   that the views are what they were, and `settle` knows that nothing of it is news.
//! - **Ties.** None: bars are merged, and merging does not depend on order.
//! - **State.** The retained minutes (`minutes/retained.rs`): bars while they can change, moves after that. Freed at
//!   expiry. Cost per partial bar: one hash look-up and one merge.

mod retained;

use super::combine::PartialBar;
use super::source::SharedMarks;
use crate::checkpoint::{CheckpointId, CheckpointPart, Row};
use crate::settings::Settings;
use crate::views::anomalies::Move;
pub(crate) use retained::Minute;
use retained::Retained;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use tallow_model::Candle;
use tallow_model::Symbol;
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

/// Parts of checkpoints on their way from here to `settle`, which adds what it knows.
pub(crate) type Cuts = Rc<RefCell<VecDeque<CheckpointPart>>>;

/// What goes in.
pub(crate) struct MinutesInput<'scope> {
    /// Partial bars, by symbol.
    pub(crate) partials: StreamVec<'scope, u64, PartialBar>,
    /// Markers: which checkpoint is to be cut. Every one comes to every worker.
    pub(crate) markers: StreamVec<'scope, u64, CheckpointId>,
    /// The rows of a checkpoint, by symbol.
    pub(crate) restored: StreamVec<'scope, u64, Row>,
    /// The logical time of those.
    pub(crate) restored_at: u64,
}

/// What the operator shares with others on its worker.
pub(crate) struct MinutesShared {
    /// Tells the source to wait.
    pub(crate) busy: Rc<Cell<bool>>,
    /// Where the partitions would be read on.
    pub(crate) marks: SharedMarks,
    pub(crate) cuts: Cuts,
}

/// Adds the operator to the graph.
pub(crate) fn minutes<'scope>(
    input: MinutesInput<'scope>,
    settings: &Arc<Settings>,
    shared: MinutesShared,
) -> Minutes<'scope> {
    let scope = input.partials.scope();
    let mut builder = OperatorBuilder::new("minutes".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (worker, workers) = (scope.index(), scope.peers());
    let mut partials_input = builder.new_input(input.partials, Pipeline);
    let mut markers_input = builder.new_input(input.markers, Pipeline);
    let mut restored_input = builder.new_input(input.restored, Pipeline);
    let (candles_output, candles) = builder.new_output();
    let (expired_output, expired) = builder.new_output();
    let (moves_output, moves) = builder.new_output();
    let mut candles_output = OutputBuilder::from(candles_output);
    let mut expired_output = OutputBuilder::from(expired_output);
    let mut moves_output = OutputBuilder::from(moves_output);
    let mut retained = Retained::new(Arc::clone(settings));
    let mut markers: BTreeSet<CheckpointId> = BTreeSet::new();
    let restored_at = input.restored_at;
    let MinutesShared { busy, marks, cuts } = shared;
    builder.build(move |_initial| {
        let mut held = Held::default();
        move |frontiers| {
            partials_input.for_each(|capability, partials: &mut Vec<PartialBar>| {
                let Some(earliest) = partials.iter().map(|partial| partial.logical).min() else { return };
                held.hold(earliest, |output| capability.delayed(&earliest, output));
                partials.drain(..).for_each(|partial| retained.stash(partial));
            });
            markers_input.for_each(|capability, sent: &mut Vec<CheckpointId>| {
                for id in sent.drain(..) {
                    let time = id.frontier.millis();
                    held.hold(time, |output| capability.delayed(&time, output));
                    markers.insert(id);
                }
            });
            restored_input.for_each(|capability, rows: &mut Vec<Row>| {
                held.hold(restored_at, |output| capability.delayed(&restored_at, output));
                rows.drain(..).for_each(|row| retained.restore(restored_at, row));
            });
            let Some([candles_held, expired_held, moves_held]) = &held.capabilities else { return };
            let frontier = frontiers.iter().filter_map(|input| input.frontier().first().copied()).min();
            let mut candles = candles_output.activate();
            let mut expired = expired_output.activate();
            let mut moves = moves_output.activate();
            let mut advance = |retained: &mut Retained, frontier| {
                retained.advance(
                    frontier,
                    &mut candles.session(candles_held),
                    &mut expired.session(expired_held),
                    &mut moves.session(moves_held),
                )
            };
            let next = loop {
                let cut = markers.first().copied();
                let passed = |id: &CheckpointId| frontier.is_none_or(|it| it >= id.frontier.millis());
                let Some(id) = cut.filter(passed) else {
                    let waiting = cut.map(|id| id.frontier.millis());
                    break advance(&mut retained, frontier).into_iter().chain(waiting).min();
                };
                let time = id.frontier.millis();
                let next = advance(&mut retained, Some(time));
                if retained.is_busy() {
                    break next;
                }
                cuts.borrow_mut().push_back(CheckpointPart {
                    id,
                    worker,
                    workers,
                    partitions: marks
                        .borrow()
                        .iter()
                        .filter_map(|it| it.borrow().resume_point(time))
                        .collect(),
                    state: retained.share(),
                });
                markers.remove(&id);
            };
            busy.set(retained.is_busy());
            if busy.get() {
                activator.activate();
            }
            held.release(next);
        }
    });
    Minutes { candles, expired, moves }
}

/// Capabilities at the least time at which something will have to be said; one for each output.
#[derive(Default)]
struct Held {
    capabilities: Option<[Capability<u64>; 3]>,
}

impl Held {
    /// Something will have to be said at this time.
    fn hold(&mut self, time: u64, capability: impl Fn(usize) -> Capability<u64>) {
        if self.capabilities.as_ref().is_none_or(|held| time < *held[0].time()) {
            self.capabilities = Some([0, 1, 2].map(capability));
        }
    }

    /// Nothing will be said before this time; none for not at all.
    fn release(&mut self, next: Option<u64>) {
        match (next, &mut self.capabilities) {
            (Some(next), Some(held)) => {
                held.iter_mut().filter(|held| *held.time() < next).for_each(|held| held.downgrade(&next));
            }
            _ => self.capabilities = None,
        }
    }
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
