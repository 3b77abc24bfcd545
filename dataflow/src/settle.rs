//! `settle`: turns the differences of the views into versions for books, and hands them to the outlet step by step.
//!
//! - **Rule.** A difference of a candle or alert at a logical time below its window's end plus `allowed_lateness` is a
//!   first version or a correction. At or past that it is expiry, and dropped: nobody un-sees an old candle.
//! - **Revisions.** The first version of a candle is revision 0 and each correction one more. One-minute candles bring
//!   theirs; those of the roll-ups are counted here, one per logical time at which they changed.
//! - **Alerts.** One that loses its assertion without another is retracted; else it is raised, maybe anew.
//! - **Order.** A step holds whole logical times, sorted, so its bytes do not depend on how the graph was scheduled.
//! - **Checkpoints.** A part that `minutes` has cut at *F* comes here before the frontier passes *F*. Once everything
//!   before *F* is given, the counters are added and the part is given too.
//! - **Restore.** Differences before the checkpoint's frontier only bring the views back: they are dropped, but for the
//!   counters among them.
//! - **State.** The differences that the frontier has not passed, and a counter per roll-up window until it can't be
//!   corrected any more.

use crate::checkpoint::{CheckpointPart, RollupVersions};
use crate::operators::minutes::{Cuts, Difference};
use crate::outlet::SharedOutlet;
use crate::settings::Settings;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_model::Step;
use tallow_model::Symbol;
use tallow_model::{Alert, AlertStatus, SettledAlert};
use tallow_model::{Candle, SettledCandle};
use tallow_model::{EventTime, Interval};
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
    /// How many versions a roll-up had in the checkpoint that is taken up.
    Versions(RollupVersions),
}

/// How many versions the windows of roll-ups have had.
pub(crate) type Versions = HashMap<Key, u32, FixedState>;

/// As a checkpoint has them.
pub(crate) fn rollup_versions(versions: &Versions) -> impl Iterator<Item = RollupVersions> {
    versions.iter().filter_map(|(key, versions)| {
        let Key { interval, symbol, window_start } = *key;
        Some(RollupVersions { symbol, interval: interval?, start: window_start, versions: *versions })
    })
}

/// What a record is a version of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
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
            Record::Versions(RollupVersions { interval, symbol, start, .. }) => {
                Key { interval: Some(*interval), symbol: *symbol, window_start: *start }
            }
        }
    }

    fn window_end(&self) -> u64 {
        let key = self.key();
        key.window_start.millis() + key.interval.unwrap_or(Interval::OneMinute).millis()
    }
}

/// Adds the operator to the graph: the end of it. What has a logical time before `from` is settled already.
pub(crate) fn settle(
    records: StreamVec<'_, u64, Difference<Record>>,
    settings: &Settings,
    from: u64,
    cuts: Cuts,
    outlet: SharedOutlet,
) {
    let worker = records.scope().index();
    let mut ledger = Ledger::new(settings.allowed_lateness_ms, from);
    let mut told: Option<Option<u64>> = None;
    records.sink(Pipeline, "settle", move |(input, frontier)| {
        input.for_each(|_, differences: &mut Vec<Difference<Record>>| {
            differences.drain(..).for_each(|(record, time, diff)| ledger.stash(record, time, diff));
        });
        let frontier = frontier.frontier().first().copied();
        let mut tell = |ledger: &mut Ledger, frontier: Option<u64>| {
            if told != Some(frontier) && frontier.is_none_or(|frontier| frontier >= from) {
                told = Some(frontier);
                outlet.borrow_mut().settled(Step { worker, ..ledger.advance(frontier) });
            }
        };
        let passed = |part: &mut CheckpointPart| frontier.is_none_or(|it| it >= part.id.frontier.millis());
        let next_cut = || cuts.borrow_mut().pop_front_if(passed);
        while let Some(mut part) = next_cut() {
            tell(&mut ledger, Some(part.id.frontier.millis()));
            part.state.rollups = ledger.versions.values().cloned().collect();
            outlet.borrow_mut().checkpoint(part);
        }
        tell(&mut ledger, frontier);
    });
}

struct Ledger {
    allowed_lateness_ms: u64,
    from: u64,
    /// Differences by logical time.
    pending: BTreeMap<u64, Vec<(Key, isize, Record)>>,
    /// How many versions a roll-up's window has had, by the time from which it can't be corrected.
    versions: BTreeMap<u64, Arc<Versions>>,
}

impl Ledger {
    fn new(allowed_lateness_ms: u64, from: u64) -> Ledger {
        Ledger { allowed_lateness_ms, from, pending: BTreeMap::new(), versions: BTreeMap::new() }
    }

    fn stash(&mut self, record: Record, time: u64, diff: isize) {
        let corrigible_until = record.window_end() + self.allowed_lateness_ms;
        if let Record::Versions(rollup) = record {
            let versions = self.versions.entry(corrigible_until).or_default();
            Arc::make_mut(versions).insert(record.key(), rollup.versions);
        } else if time >= self.from && time < corrigible_until {
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
        while let Some(entry) = self.versions.first_entry()
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
                // A candle only ever gains ticks, so it is never retracted for good before it expires. Counters don't come
                // here.
                (None, _) | (Some(Record::Versions(_)), _) => {}
            }
        }
    }

    /// The revision of the next version of a roll-up.
    fn count_version(&mut self, key: Key, window_end: u64) -> u32 {
        let counters = self.versions.entry(window_end + self.allowed_lateness_ms).or_default();
        let versions = Arc::make_mut(counters).entry(key).or_insert(0);
        *versions += 1;
        *versions - 1
    }
}
