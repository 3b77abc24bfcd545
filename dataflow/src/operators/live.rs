//! `live`: shows candles before they are settled, for eyes and not for books.
//!
//! - **What.** Sees partial bars as they are read, keeps the open candle of each symbol and interval, and shows it at
//!   most every `live_interval`. A tick is so visible in milliseconds instead of a minute later.
//! - **Key and window.** Symbol; the newest window of each interval that a tick has been seen for.
//! - **Late data.** A tick of an older window changes nothing here: it is `minutes`' business. Nothing is retracted.
//! - **Restore.** The minutes of a checkpoint come as partial bars from before its frontier. They make the open candles
//!   what they were, but are no news: nothing is shown until the next tick.
//! - **State.** Three bars a symbol, kept for good: the last price of a symbol does not expire.
//! - **Cost.** One hash look-up and three merges per partial bar.

use super::combine::PartialBar;
use crate::bar::Bar;
use crate::outlet::SharedOutlet;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tallow_model::Clock;
use tallow_model::LiveCandle;
use tallow_model::Symbol;
use tallow_model::{EventTime, Interval};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

/// Adds the operator to the graph. Partial bars from before `from` are those of a checkpoint.
pub(crate) fn live(
    partials: StreamVec<'_, u64, PartialBar>,
    interval_ms: u64,
    from: u64,
    clock: Arc<dyn Clock>,
    outlet: SharedOutlet,
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
            let due = open.due(now_ms);
            if !due.is_empty() {
                outlet.borrow_mut().live(due);
            }
            if let Some(next_ms) = open.next_due() {
                activator.activate_after(Duration::from_millis(next_ms.saturating_sub(now_ms).max(1)));
            }
        }
    });
}

/// The open candle of one symbol and interval.
#[derive(Clone, Copy)]
struct Open {
    window_start: EventTime,
    bar: Bar,
}

/// One symbol's open candles, in the order of [`Interval::ALL`].
struct Shown {
    open: [Option<Open>; 3],
    /// When they were last shown.
    shown_ms: u64,
    /// Whether they wait to be shown.
    waiting: bool,
}

struct OpenCandles {
    interval_ms: u64,
    from: u64,
    symbols: HashMap<Symbol, Shown, FixedState>,
    /// Which symbols to show, by when.
    waiting: BTreeMap<u64, Vec<Symbol>>,
}

impl OpenCandles {
    fn new(interval_ms: u64, from: u64) -> OpenCandles {
        OpenCandles { interval_ms, from, symbols: HashMap::default(), waiting: BTreeMap::new() }
    }

    fn merge(&mut self, partial: &PartialBar, now_ms: u64) {
        let shown = self.symbols.entry(partial.symbol).or_insert(Shown {
            open: [None; 3],
            shown_ms: 0,
            waiting: false,
        });
        let mut changed = false;
        for (open, interval) in shown.open.iter_mut().zip(Interval::ALL) {
            let window_start = interval.window_start(partial.minute);
            let since_start = partial.minute.millis() - window_start.millis();
            let bar = partial.bar.rebased(u32::try_from(since_start).unwrap_or(u32::MAX));
            match open {
                Some(open) if open.window_start > window_start => continue,
                Some(open) if open.window_start == window_start => open.bar.merge(&bar),
                _ => *open = Some(Open { window_start, bar }),
            }
            changed = true;
        }
        if changed && !shown.waiting && partial.logical >= self.from {
            shown.waiting = true;
            let due = now_ms.max(shown.shown_ms + self.interval_ms);
            self.waiting.entry(due).or_default().push(partial.symbol);
        }
    }

    fn next_due(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(due, _)| *due)
    }

    /// The candles whose turn has come, sorted by symbol and interval.
    fn due(&mut self, now_ms: u64) -> Vec<LiveCandle> {
        let mut symbols = Vec::new();
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() <= now_ms
        {
            symbols.append(&mut entry.remove());
        }
        symbols.sort_unstable();
        let mut candles = Vec::with_capacity(symbols.len() * Interval::ALL.len());
        for symbol in symbols {
            let Some(shown) = self.symbols.get_mut(&symbol) else { continue };
            shown.waiting = false;
            shown.shown_ms = now_ms;
            for (open, interval) in shown.open.iter().zip(Interval::ALL) {
                let Some(Open { window_start, bar }) = open else { continue };
                candles.push(LiveCandle {
                    symbol,
                    interval,
                    candle: bar.candle(*window_start),
                    event_time: EventTime(window_start.millis() + u64::from(bar.last.since_start_ms)),
                });
            }
        }
        candles
    }
}
