//! Roll-ups: candles of a longer interval from the candles one level below.
//!
//! - **Formula.** Open of the first part, close of the last, highest high, lowest low, sums of
//!   counts and sums. A roll-up never sees a tick.
//! - **Key and window.** Symbol and the longer window.
//! - **Delay.** Every difference is delayed to the end of the longer window, so that the reduction
//!   runs once, at that time. A difference after the end is a correction and is not delayed.
//! - **Retraction.** A part that is corrected or expires changes the roll-up; the last part that
//!   expires retracts it.
//! - **Ties.** None: parts are ordered by window.
//! - **State.** The retained parts and the current roll-up, freed as the parts expire.
//! - **Cost.** One reduction over at most five parts per window and per correction; none per tick.
//!
//! Oracle: `tests/oracle.rs::every_version_at_every_time_equals_the_sequential_computation`.

use differential_dataflow::VecCollection;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::implementations::{ValBatcher, ValBuilder, ValSpine};
use tallow_model::{Candle, Interval, Symbol};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::Map;

/// A collection of candles by symbol.
pub(crate) type Candles<'scope> = VecCollection<'scope, u64, (Symbol, Candle), isize>;

/// Rolls candles up to candles of `interval`.
pub(crate) fn rolled_up<'scope>(parts: Candles<'scope>, interval: Interval) -> Candles<'scope> {
    let name = format!("candles_{interval}");
    let delayed = parts.inner.map(move |((symbol, part), time, diff)| {
        let window_end = interval.window_end(part.window_start);
        let key = (symbol, interval.window_start(part.window_start));
        ((key, part), time.max(window_end.millis()), diff)
    });
    // `arrange_by_key` would exchange by a hash of the whole key; the parts of a symbol are on one
    // worker already.
    arrange_core::<_, _, _, ValSpine<_, _, _, _>>(
        delayed,
        Pipeline,
        &format!("Arrange: {name}"),
        ValBatcher::new,
    )
    .reduce_abelian::<_, ValBuilder<_, _, _, _>, ValSpine<_, Candle, _, _>, _, _>(
        &name,
        |&(_, window_start), parts, rollup| {
            let mut candle = Candle { window_start, ..*parts[0].0 };
            parts[1..].iter().for_each(|(part, _)| candle.append(part));
            rollup.push((candle, 1));
        },
        |batch, key, updates| {
            batch.clear();
            batch.extend(updates.drain(..).map(|(candle, time, diff)| ((*key, candle), time, diff)));
        },
    )
    .as_collection(|&(symbol, _), candle| (symbol, *candle))
}
