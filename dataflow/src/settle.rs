//! `settle`: turns the differences of the views into versions for books, and hands them to the outlet step by step.
//!
//! - **Rule.** A difference of a candle or alert at a logical time below its window's end plus `allowed_lateness` is a
//!   first version or a correction. At or past that it is expiry, and dropped: nobody un-sees an old candle.
//! - **Revisions.** The first version of a candle is revision 0 and each correction one more. One-minute candles bring
//!   theirs; those of the roll-ups are counted here, one per logical time at which they changed.
//! - **Alerts.** One that loses its assertion without another is retracted; else it is raised, maybe anew.
//! - **Order.** A step holds whole logical times, sorted, so its bytes do not depend on how the graph was scheduled.
//! - **State.** The differences that the frontier has not passed, and a counter per roll-up window until it can't be
//!   corrected any more.

use crate::alert::{Alert, AlertStatus, SettledAlert};
use crate::candle::{Candle, SettledCandle};
use crate::operators::minutes::Difference;
use crate::outlet::{SharedOutlet, Step};
use crate::settings::Settings;
use crate::symbol::Symbol;
use crate::time::{EventTime, Interval};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// A record of one of the settled collections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Record {
    /// A candle; one-minute candles with their revision, of the others it is counted here.
    Candle { interval: Interval, symbol: Symbol, candle: Candle, revision: u32 },
    /// An alert.
    Alert(Alert),
}

/// What a record is a version of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    /// None for alerts.
    interval: Option<Interval>,
    symbol: Symbol,
    window_start: EventTime,
}

impl Record {
    fn key(&self) -> Key {
        match self {
            Record::Candle { interval, symbol, candle, .. } => {
                Key { interval: Some(*interval), symbol: *symbol, window_start: candle.window_start }
            }
            Record::Alert(alert) => {
                Key { interval: None, symbol: alert.symbol, window_start: alert.window_start }
            }
        }
    }

    fn window_end(&self) -> u64 {
        let key = self.key();
        key.window_start.millis() + key.interval.unwrap_or(Interval::OneMinute).millis()
    }
}

/// Adds the operator to the graph: the end of it.
pub(crate) fn settle(
    records: StreamVec<'_, u64, Difference<Record>>,
    settings: &Settings,
    outlet: SharedOutlet,
) {
    let worker = records.scope().index();
    let mut ledger = Ledger::new(settings.allowed_lateness_ms);
    let mut told: Option<Option<u64>> = None;
    records.sink(Pipeline, "settle", move |(input, frontier)| {
        input.for_each(|_, differences: &mut Vec<Difference<Record>>| {
            differences.drain(..).for_each(|(record, time, diff)| ledger.stash(record, time, diff));
        });
        let frontier = frontier.frontier().first().copied();
        if told != Some(frontier) {
            told = Some(frontier);
            let mut step = ledger.advance(frontier);
            step.worker = worker;
            outlet.borrow_mut().settled(step);
        }
    });
}

struct Ledger {
    allowed_lateness_ms: u64,
    /// Differences by logical time.
    pending: BTreeMap<u64, Vec<(Key, isize, Record)>>,
    /// How many versions a roll-up's window has had, by the time from which it can't be corrected.
    revisions: BTreeMap<u64, HashMap<Key, u32, FixedState>>,
}

impl Ledger {
    fn new(allowed_lateness_ms: u64) -> Ledger {
        Ledger { allowed_lateness_ms, pending: BTreeMap::new(), revisions: BTreeMap::new() }
    }

    fn stash(&mut self, record: Record, time: u64, diff: isize) {
        if time < record.window_end() + self.allowed_lateness_ms {
            self.pending.entry(time).or_default().push((record.key(), diff, record));
        }
    }

    /// Settles everything below the frontier.
    fn advance(&mut self, frontier: Option<u64>) -> Step {
        let mut step = Step { frontier: frontier.map(EventTime), ..Step::default() };
        let passed = |time: u64| frontier.is_none_or(|frontier| time < frontier);
        while let Some((time, differences)) = self.pending.pop_first() {
            if !passed(time) {
                self.pending.insert(time, differences);
                break;
            }
            self.settle_time(time, differences, &mut step);
        }
        while let Some(entry) = self.revisions.first_entry()
            && passed(*entry.key())
        {
            entry.remove();
        }
        step
    }

    /// Settles one logical time.
    fn settle_time(&mut self, time: u64, mut differences: Vec<(Key, isize, Record)>, step: &mut Step) {
        differences.sort_unstable_by(|(a, _, a_record), (b, _, b_record)| {
            a.cmp(b).then_with(|| a_record.cmp(b_record))
        });
        for versions in differences.chunk_by(|(a, ..), (b, ..)| a == b) {
            // Equal records that cancel leave nothing; of what is left there is at most one assertion and one retraction.
            let mut asserted = None;
            let mut retracted = None;
            for same in versions.chunk_by(|(_, _, a), (_, _, b)| a == b) {
                match same.iter().map(|(_, diff, _)| diff).sum::<isize>() {
                    0 => {}
                    1.. => asserted = Some(&same[0].2),
                    _ => retracted = Some(&same[0].2),
                }
            }
            let settled_at = EventTime(time);
            match (asserted, retracted) {
                (Some(Record::Candle { interval, symbol, candle, revision }), _) => {
                    let revision = match interval {
                        Interval::OneMinute => *revision,
                        _ => self.count_version(versions[0].0, asserted.map_or(0, Record::window_end)),
                    };
                    step.candles.push(SettledCandle {
                        symbol: *symbol,
                        interval: *interval,
                        candle: *candle,
                        revision,
                        settled_at,
                    });
                }
                (Some(Record::Alert(alert)), _) => {
                    step.alerts.push(SettledAlert { alert: *alert, status: AlertStatus::Raised, settled_at });
                }
                (None, Some(Record::Alert(alert))) => {
                    step.alerts.push(SettledAlert {
                        alert: *alert,
                        status: AlertStatus::Retracted,
                        settled_at,
                    });
                }
                // A candle only ever gains ticks, so it is never retracted for good before it expires.
                (None, _) => {}
            }
        }
    }

    /// The revision of the next version of a roll-up.
    fn count_version(&mut self, key: Key, window_end: u64) -> u32 {
        let counters = self.revisions.entry(window_end + self.allowed_lateness_ms).or_default();
        let versions = counters.entry(key).or_insert(0);
        *versions += 1;
        *versions - 1
    }
}
