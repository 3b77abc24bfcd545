//! `restore`: hands out the rows of a checkpoint, one millisecond of logical time before its frontier.
//!
//! - **Output.** This worker's share of the rows, whoever they belong to: the exchange by symbol comes after. Logical
//!   times of records are whole seconds, so nothing else has that time.
//! - **Yielding.** In portions, so that what is downstream takes one in before the next is made.
//! - **State.** The rows not yet handed out.

use crate::checkpoint::{Row, State};
use tallow_model::EventTime;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::dataflow::{Scope, StreamVec};

/// How many rows are handed out at a time.
const PORTION: usize = 8_192;

/// The logical time of what is restored.
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
        let mut left = capability.zip(checkpoint).map(|(mut capability, (frontier, state))| {
            capability.downgrade(&restored_at(frontier));
            (capability, state.into_rows().peekable())
        });
        move |_frontiers| {
            if let Some((capability, rows)) = &mut left {
                output.activate().session(capability).give_iterator(rows.by_ref().take(PORTION));
                if rows.peek().is_some() {
                    activator.activate();
                } else {
                    left = None;
                }
            }
        }
    });
    rows
}
