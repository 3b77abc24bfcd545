//! `live`: shows candles before they are settled, for display only.
//!
//! - **Reason.** A tick is visible in milliseconds instead of a minute later.
//! - **Formula.** The merge of the partial bars of a window as they are read, before their logical
//!   time is settled. Each open candle is shown at most every `live_interval`.
//! - **Key and window.** Symbol; for each interval the newest window that has had a tick.
//! - **Late data.** A tick of an older window changes nothing here; `minutes` corrects that candle.
//!   Nothing is retracted.
//! - **Restore.** The minutes of a checkpoint arrive as partial bars with a logical time before its
//!   frontier. They restore the open candles but are not news: a candle is shown at its next tick.
//! - **State.** Three bars a symbol, never freed: the last price of a symbol does not expire.
//! - **Cost.** One hash look-up and three merges per partial bar.
//!
//! Test: `tests/idle.rs::open_candles_are_shown_at_once_and_then_at_most_every_interval`.

use super::combine::PartialBar;
use crate::bar::Bar;
use crate::output::SharedOutput;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tallow_model::{Clock, EventTime, Interval, LiveCandle, Symbol};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

/// Adds the operator to the graph. Partial bars with a logical time below `from` are those of a
/// checkpoint.
pub(crate) fn live(
    partials: StreamVec<'_, u64, PartialBar>,
    interval_ms: u64,
    from: u64,
    clock: Arc<dyn Clock>,
    output: SharedOutput,
) {
    let mut builder = OperatorBuilder::new("live".to_owned(), partials.scope());
    let activator = partials.scope().activator_for(builder.operator_info().address);
    let mut input = builder.new_input(partials, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let mut open = OpenCandles::new(interval_ms, from);
    builder.build(move |_| {
        move |_frontiers| {
            let now_ms = clock.now_ms();
            input.for_each(|_, partials: &mut Vec<PartialBar>| {
                partials.drain(..).for_each(|partial| open.merge(&partial, now_ms));
            });
            let due = open.take_due(now_ms);
            if !due.is_empty() {
                output.borrow_mut().live(due);
            }
            if let Some(next_ms) = open.next_due() {
                activator.activate_after(Duration::from_millis(next_ms.saturating_sub(now_ms).max(1)));
            }
        }
    });
}

/// The open candle of one symbol and interval.
#[derive(Clone, Copy)]
struct OpenCandle {
    window_start: EventTime,
    bar: Bar,
}

/// One symbol's open candles, in the order of [`Interval::ALL`].
struct SymbolCandles {
    open: [Option<OpenCandle>; 3],
    /// Clock time at which they were last shown.
    shown_ms: u64,
    /// Whether the symbol stands in [`OpenCandles::waiting`].
    is_waiting: bool,
}

struct OpenCandles {
    interval_ms: u64,
    from: u64,
    symbols: HashMap<Symbol, SymbolCandles, FixedState>,
    /// Symbols to show, by the clock time at which they are due.
    waiting: BTreeMap<u64, Vec<Symbol>>,
}

impl OpenCandles {
    fn new(interval_ms: u64, from: u64) -> OpenCandles {
        OpenCandles { interval_ms, from, symbols: HashMap::default(), waiting: BTreeMap::new() }
    }

    fn merge(&mut self, partial: &PartialBar, now_ms: u64) {
        let candles = self.symbols.entry(partial.symbol).or_insert(SymbolCandles {
            open: [None; 3],
            shown_ms: 0,
            is_waiting: false,
        });
        let mut changed = false;
        for (open, interval) in candles.open.iter_mut().zip(Interval::ALL) {
            let window_start = interval.window_start(partial.minute);
            let since_start = partial.minute.millis() - window_start.millis();
            let bar = partial.bar.rebased(u32::try_from(since_start).unwrap_or(u32::MAX));
            match open {
                Some(open) if open.window_start > window_start => continue,
                Some(open) if open.window_start == window_start => open.bar.merge(&bar),
                _ => *open = Some(OpenCandle { window_start, bar }),
            }
            changed = true;
        }
        if changed && !candles.is_waiting && partial.logical >= self.from {
            candles.is_waiting = true;
            let due = now_ms.max(candles.shown_ms + self.interval_ms);
            self.waiting.entry(due).or_default().push(partial.symbol);
        }
    }

    fn next_due(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(due, _)| *due)
    }

    /// Takes the candles that are due, sorted by symbol and interval.
    fn take_due(&mut self, now_ms: u64) -> Vec<LiveCandle> {
        let mut symbols = Vec::new();
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() <= now_ms
        {
            symbols.append(&mut entry.remove());
        }
        symbols.sort_unstable();
        let mut due = Vec::with_capacity(symbols.len() * Interval::ALL.len());
        for symbol in symbols {
            let Some(candles) = self.symbols.get_mut(&symbol) else { continue };
            candles.is_waiting = false;
            candles.shown_ms = now_ms;
            for (open, interval) in candles.open.iter().zip(Interval::ALL) {
                let Some(OpenCandle { window_start, bar }) = open else { continue };
                due.push(LiveCandle {
                    symbol,
                    interval,
                    candle: bar.candle(*window_start),
                    event_time: EventTime(window_start.millis() + u64::from(bar.last.since_start_ms)),
                });
            }
        }
        due
    }
}
