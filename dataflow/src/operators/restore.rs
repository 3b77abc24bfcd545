//! `restore`: emits the rows of a checkpoint, one millisecond of logical time before its frontier.
//!
//! - **Output.** This worker's share of the rows, of any symbols: the exchange by symbol comes
//!   after. Logical times of records are whole seconds, so no record shares this time.
//! - **Yielding.** Rows are emitted in portions, so that the operators downstream consume one
//!   portion before the next is made.
//! - **State.** The rows not yet emitted.

use crate::state::checkpoint::{Row, State};
use tallow_model::EventTime;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::dataflow::{Scope, StreamVec};

/// Number of rows in a portion.
const PORTION: usize = 8_192;

/// Returns the logical time of the rows of a checkpoint.
pub(crate) fn restored_at(frontier: EventTime) -> u64 {
    frontier.millis().saturating_sub(1)
}

/// Adds the operator to the graph.
pub(crate) fn restore<'scope>(
    scope: Scope<'scope, u64>,
    checkpoint: Option<(EventTime, State)>,
) -> StreamVec<'scope, u64, Row> {
    let mut builder = OperatorBuilder::new("restore".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let (output, rows) = builder.new_output();
    let mut output = OutputBuilder::from(output);
    builder.build(move |mut capabilities| {
        let capability = capabilities.pop();
        let mut remaining = capability.zip(checkpoint).map(|(mut capability, (frontier, state))| {
            capability.downgrade(&restored_at(frontier));
            (capability, state.into_rows().peekable())
        });
        move |_frontiers| {
            if let Some((capability, rows)) = &mut remaining {
                output.activate().session(capability).give_iterator(rows.by_ref().take(PORTION));
                if rows.peek().is_some() {
                    activator.activate();
                } else {
                    remaining = None;
                }
            }
        }
    });
    rows
}
