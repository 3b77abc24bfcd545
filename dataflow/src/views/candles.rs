//! Roll-ups: candles of a longer interval from the candles one level below.
//!
//! - **Formula.** open of the first, close of the last, highest high, lowest low, sums added. A roll-up never sees a
//!   tick.
//! - **Key and window.** Symbol and the longer window.
//! - **Delay.** Every difference is put off to the end of the longer window, so that the reduction runs once, there;
//!   what comes after the end is a correction and runs when it comes.
//! - **Retraction.** A part that is corrected or expires changes the whole, or ends it when it was the only part left.
//! - **Ties.** None: parts are ordered by window.
//! - **State.** The retained parts and the current whole, freed as the parts expire. Cost: one reduction over at most
//!   five parts per window, and per correction.

use differential_dataflow::VecCollection;
use differential_dataflow::operators::arrange::arrangement::arrange_core;
use differential_dataflow::trace::implementations::{ValBatcher, ValBuilder, ValSpine};
use tallow_model::Candle;
use tallow_model::Interval;
use tallow_model::Symbol;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::Map;

/// Candles by symbol.
pub(crate) type Candles<'scope> = VecCollection<'scope, u64, (Symbol, Candle), isize>;

/// Rolls candles up to `interval`.
pub(crate) fn rolled_up<'scope>(parts: Candles<'scope>, interval: Interval) -> Candles<'scope> {
    let name = format!("candles_{interval}");
    let delayed = parts.inner.map(move |((symbol, part), time, diff)| {
        let window_end = interval.window_end(part.window_start);
        let key = (symbol, interval.window_start(part.window_start));
        ((key, part), time.max(window_end.millis()), diff)
    });
    // `arrange_by_key` would exchange by a hash of the whole key; the parts of a symbol are on one worker already.
    arrange_core::<_, _, _, ValSpine<_, _, _, _>>(
        delayed,
        Pipeline,
        &format!("Arrange: {name}"),
        ValBatcher::new,
    )
    .reduce_abelian::<_, ValBuilder<_, _, _, _>, ValSpine<_, Candle, _, _>, _, _>(
        &name,
        |&(_, window_start), parts, whole| {
            let mut candle = Candle { window_start, ..*parts[0].0 };
            parts[1..].iter().for_each(|(part, _)| candle.append(part));
            whole.push((candle, 1));
        },
        |batch, key, updates| {
            batch.clear();
            batch.extend(updates.drain(..).map(|(candle, time, diff)| ((*key, candle), time, diff)));
        },
    )
    .as_collection(|&(symbol, _), candle| (symbol, *candle))
}
