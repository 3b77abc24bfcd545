//! `minutes`: the one stateful timely operator. Partial bars in; one-minute candles and their log
//! returns out, as collections.
//!
//! - **Rule.** Partial bars are kept by logical time and applied only when the frontier has passed
//!   that time, so the state is always exactly the state "as of the frontier". Applying them
//!   changes candles: the old version is retracted and the new one asserted, both at that logical
//!   time.
//! - **Key and window.** Symbol and minute. The input must be exchanged by symbol.
//! - **Candles.** `(symbol, (candle, revision))`, retained until the end of the enclosing
//!   fifteen-minute window plus `allowed_lateness`: until then a roll-up can change. Their expiry
//!   is an output of its own, `expired`, because only the roll-ups want it.
//! - **Returns.** `(symbol, log return)`, retained for another `lookback`. They are made here and
//!   not by a join in the views, because this operator has the candle before at hand. The detector
//!   then needs no candle older than its baseline, and no logarithm per evaluation.
//! - **Retraction and late data.** A late partial bar is a correction at its own logical time. If
//!   it changes a close or adds a candle, the return of the candle after it changes too. At expiry
//!   everything is retracted, at a time at or past every correction's: `settle` tells expiry from
//!   correction by the time alone.
//! - **Yielding.** The candles of a whole block of minutes expire at once. They are emitted in
//!   portions, so that the operators downstream consume one portion before the next is made;
//!   meanwhile `busy` stops the source from reading.
//! - **Checkpoints.** A marker at *F* arrives before the frontier passes *F*, and a capability is
//!   held there until everything before *F* is applied and the state is handed to `settle`, which
//!   cannot have passed *F* either. The rows lie in pieces that a checkpoint shares; a shared piece
//!   is copied only when it changes. Handing the state over copies nothing.
//! - **Restore.** The rows of a checkpoint arrive before its frontier. They are emitted one
//!   millisecond before it, so that the views are what they were and `settle` knows them as old.
//! - **Ties.** None: bars are merged, and a merge does not depend on order.
//! - **State.** The retained minutes (`minutes/retained.rs`): bars while they can change, returns
//!   after that; freed at expiry.
//! - **Cost per partial bar.** One hash look-up and one merge.
//!
//! Oracle: `tests/oracle.rs::every_version_at_every_time_equals_the_sequential_computation`; for
//! the portions `blocks_that_expire_in_several_portions_equal_the_sequential_computation`.

mod pieces;
mod retained;

use super::combine::PartialBar;
use super::difference::Difference;
use crate::settings::Settings;
use crate::state::checkpoint::{CheckpointId, Row};
use crate::state::log_return::LogReturn;
use crate::state::minute::Versioned;
use crate::state::part::CheckpointPart;
use crate::state::worker::WorkerState;
use retained::Retained;
use std::collections::BTreeSet;
use std::sync::Arc;
use tallow_model::{Candle, Symbol};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};

/// The outputs. `candles` and `expired` together are the collection of retained candles.
pub(crate) struct Minutes<'scope> {
    pub(crate) candles: StreamVec<'scope, u64, Difference<(Symbol, Versioned)>>,
    pub(crate) expired: StreamVec<'scope, u64, Difference<(Symbol, Candle)>>,
    pub(crate) returns: StreamVec<'scope, u64, Difference<(Symbol, LogReturn)>>,
}

/// The inputs.
pub(crate) struct MinutesInput<'scope> {
    /// Partial bars, exchanged by symbol.
    pub(crate) partials: StreamVec<'scope, u64, PartialBar>,
    /// Markers of checkpoints, each broadcast to every worker.
    pub(crate) markers: StreamVec<'scope, u64, CheckpointId>,
    /// Rows of a checkpoint, exchanged by symbol.
    pub(crate) restored: StreamVec<'scope, u64, Row>,
    /// The logical time of the rows.
    pub(crate) restored_at: u64,
}

/// Adds the operator to the graph.
pub(crate) fn minutes<'scope>(
    input: MinutesInput<'scope>,
    settings: &Arc<Settings>,
    shared: WorkerState,
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
    let (returns_output, returns) = builder.new_output();
    let mut candles_output = OutputBuilder::from(candles_output);
    let mut expired_output = OutputBuilder::from(expired_output);
    let mut returns_output = OutputBuilder::from(returns_output);
    let mut retained = Retained::new(Arc::clone(settings));
    let mut markers: BTreeSet<CheckpointId> = BTreeSet::new();
    let restored_at = input.restored_at;
    builder.build(move |_initial| {
        let mut held = HeldCapabilities::default();
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
            let Some([candles_held, expired_held, returns_held]) = &held.capabilities else { return };
            let frontier = frontiers.iter().filter_map(|input| input.frontier().first().copied()).min();
            let mut candles = candles_output.activate();
            let mut expired = expired_output.activate();
            let mut returns = returns_output.activate();
            let mut advance = |retained: &mut Retained, frontier| {
                retained.advance(
                    frontier,
                    &mut candles.session(candles_held),
                    &mut expired.session(expired_held),
                    &mut returns.session(returns_held),
                )
            };
            let next = loop {
                let marker = markers.first().copied();
                let passed = |id: &CheckpointId| frontier.is_none_or(|it| it >= id.frontier.millis());
                let Some(id) = marker.filter(passed) else {
                    let waiting = marker.map(|id| id.frontier.millis());
                    break advance(&mut retained, frontier).into_iter().chain(waiting).min();
                };
                let time = id.frontier.millis();
                let next = advance(&mut retained, Some(time));
                if retained.is_busy() {
                    break next;
                }
                shared.push_part(CheckpointPart {
                    id,
                    worker,
                    workers,
                    partitions: shared.resume_points(time),
                    state: retained.share(),
                });
                markers.remove(&id);
            };
            shared.set_busy(retained.is_busy());
            if retained.is_busy() {
                activator.activate();
            }
            held.release(next);
        }
    });
    Minutes { candles, expired, returns }
}

/// Capabilities at the least time at which something will be emitted, one for each output.
#[derive(Default)]
struct HeldCapabilities {
    capabilities: Option<[Capability<u64>; 3]>,
}

impl HeldCapabilities {
    /// Holds capabilities at `time` unless they are held at an earlier time already.
    fn hold(&mut self, time: u64, capability: impl Fn(usize) -> Capability<u64>) {
        if self.capabilities.as_ref().is_none_or(|held| time < *held[0].time()) {
            self.capabilities = Some([0, 1, 2].map(capability));
        }
    }

    /// Gives up all time before `next`; all time for `None`.
    fn release(&mut self, next: Option<u64>) {
        match (next, &mut self.capabilities) {
            (Some(next), Some(held)) => {
                held.iter_mut().filter(|held| *held.time() < next).for_each(|held| held.downgrade(&next));
            }
            _ => self.capabilities = None,
        }
    }
}
