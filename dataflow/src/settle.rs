//! `settle`: turns the differences of the views into settled versions, and hands them to the output
//! step by step.
//!
//! - **Rule.** A difference of a candle or alert at a logical time below its window's end plus
//!   `allowed_lateness` is a first version or a correction. At or past that time it is the expiry
//!   of retained state, and dropped: an expired candle stays as it was settled.
//! - **Revisions.** The first version of a candle is revision 0, and each correction counts one
//!   more. `minutes` counts the revisions of one-minute candles, because alerts carry them and
//!   checkpoints hold them with the minute. Those of roll-ups are counted here, one per logical
//!   time at which a roll-up changed. [`SettledChange`] has no revision for a roll-up, so each has
//!   one owner.
//! - **Alerts.** An alert that is retracted and not asserted again is settled as retracted; any
//!   other is raised, possibly anew with other figures.
//! - **Order.** A step holds whole logical times, sorted, so its bytes do not depend on how the
//!   graph was scheduled. Law: `tests/oracle.rs::one_two_and_four_workers_give_the_same`.
//! - **Checkpoints.** A part that `minutes` has taken at *F* is pending before the frontier passes
//!   *F*. Once everything before *F* is settled, the version counts are added and the part goes to
//!   the output.
//! - **Restore.** Differences before the checkpoint's frontier only restore the views: they are
//!   dropped, except for the version counts among them.
//! - **State.** The differences that the frontier has not passed, and a version count per roll-up
//!   window until that window can no longer be corrected.

use crate::operators::difference::Difference;
use crate::output::SharedOutput;
use crate::settings::Settings;
use crate::state::checkpoint::RollupVersions;
use crate::state::versions::{VersionKey, Versions};
use crate::state::worker::WorkerState;
use std::collections::BTreeMap;
use std::sync::Arc;
use tallow_model::{
    Alert, AlertStatus, Candle, EventTime, Interval, SettledAlert, SettledCandle, Step, Symbol,
};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

/// An element of the collections that are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SettledChange {
    /// A one-minute candle with its revision.
    Minute {
        symbol: Symbol,
        candle: Candle,
        revision: u32,
    },
    /// A five- or fifteen-minute candle, whose revision is counted here.
    Rollup {
        interval: Interval,
        symbol: Symbol,
        candle: Candle,
    },
    Alert(Alert),
    /// The version count of a roll-up in the checkpoint that is restored.
    Versions(RollupVersions),
}

impl SettledChange {
    fn key(&self) -> VersionKey {
        let (interval, symbol, window_start) = match self {
            SettledChange::Minute { symbol, candle, .. } => {
                (Some(Interval::OneMinute), *symbol, candle.window_start)
            }
            SettledChange::Rollup { interval, symbol, candle } => {
                (Some(*interval), *symbol, candle.window_start)
            }
            SettledChange::Alert(alert) => (None, alert.symbol, alert.window_start),
            SettledChange::Versions(RollupVersions { interval, symbol, start, .. }) => {
                (Some(*interval), *symbol, *start)
            }
        };
        VersionKey { interval, symbol, window_start }
    }
}

/// Returns the end of the window of a candle or alert.
fn window_end(key: &VersionKey) -> u64 {
    key.window_start.millis() + key.interval.unwrap_or(Interval::OneMinute).millis()
}

/// Adds the operator to the graph: its end. Everything with a logical time below `from` is settled
/// already.
pub(crate) fn settle(
    changes: StreamVec<'_, u64, Difference<SettledChange>>,
    settings: &Settings,
    from: u64,
    shared: WorkerState,
    output: SharedOutput,
) {
    let worker = changes.scope().index();
    let mut ledger = Ledger::new(settings.allowed_lateness_ms, from);
    let mut announced: Option<Option<u64>> = None;
    changes.sink(Pipeline, "settle", move |(input, frontier)| {
        input.for_each(|_, differences: &mut Vec<Difference<SettledChange>>| {
            differences.drain(..).for_each(|(change, time, diff)| ledger.stash(change, time, diff));
        });
        let frontier = frontier.frontier().first().copied();
        let mut announce = |ledger: &mut Ledger, frontier: Option<u64>| {
            if announced != Some(frontier) && frontier.is_none_or(|frontier| frontier >= from) {
                announced = Some(frontier);
                output.borrow_mut().settled(Step { worker, ..ledger.advance(frontier) });
            }
        };
        while let Some(mut part) = shared.pop_part(frontier) {
            announce(&mut ledger, Some(part.id.frontier.millis()));
            part.state.rollups = ledger.versions.values().cloned().collect();
            output.borrow_mut().checkpoint(part);
        }
        announce(&mut ledger, frontier);
    });
}

struct Ledger {
    allowed_lateness_ms: u64,
    from: u64,
    /// Differences by logical time.
    pending: BTreeMap<u64, Vec<(VersionKey, isize, SettledChange)>>,
    /// Version counts of roll-ups, by the time from which the window can no longer be corrected.
    versions: BTreeMap<u64, Arc<Versions>>,
}

impl Ledger {
    fn new(allowed_lateness_ms: u64, from: u64) -> Ledger {
        Ledger { allowed_lateness_ms, from, pending: BTreeMap::new(), versions: BTreeMap::new() }
    }

    fn stash(&mut self, change: SettledChange, time: u64, diff: isize) {
        let key = change.key();
        let corrigible_until = window_end(&key) + self.allowed_lateness_ms;
        if let SettledChange::Versions(rollup) = change {
            let versions = self.versions.entry(corrigible_until).or_default();
            Arc::make_mut(versions).insert(key, rollup.versions);
        } else if time >= self.from && time < corrigible_until {
            self.pending.entry(time).or_default().push((key, diff, change));
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
            self.settle_time(EventTime(time), differences, &mut step);
        }
        while let Some(entry) = self.versions.first_entry()
            && passed(*entry.key())
        {
            entry.remove();
        }
        step
    }

    /// Settles one logical time.
    fn settle_time(
        &mut self,
        settled_at: EventTime,
        mut differences: Vec<(VersionKey, isize, SettledChange)>,
        step: &mut Step,
    ) {
        differences.sort_unstable_by(|(a, _, a_change), (b, _, b_change)| {
            a.cmp(b).then_with(|| a_change.cmp(b_change))
        });
        for versions in differences.chunk_by(|(a, ..), (b, ..)| a == b) {
            // Equal changes that cancel leave nothing. Of the rest there is at most one assertion
            // and one retraction.
            let mut asserted = None;
            let mut retracted = None;
            for same in versions.chunk_by(|(_, _, a), (_, _, b)| a == b) {
                match same.iter().map(|(_, diff, _)| diff).sum::<isize>() {
                    0 => {}
                    1.. => asserted = Some(same[0].2),
                    _ => retracted = Some(same[0].2),
                }
            }
            match (asserted, retracted) {
                (Some(SettledChange::Minute { symbol, candle, revision }), _) => {
                    let interval = Interval::OneMinute;
                    step.candles.push(SettledCandle { symbol, interval, candle, revision, settled_at });
                }
                (Some(SettledChange::Rollup { interval, symbol, candle }), _) => {
                    let revision = self.count_version(versions[0].0);
                    step.candles.push(SettledCandle { symbol, interval, candle, revision, settled_at });
                }
                (Some(SettledChange::Alert(alert)), _) => {
                    step.alerts.push(SettledAlert { alert, status: AlertStatus::Raised, settled_at });
                }
                (None, Some(SettledChange::Alert(alert))) => {
                    step.alerts.push(SettledAlert { alert, status: AlertStatus::Retracted, settled_at });
                }
                // A candle only gains ticks, so it is never retracted for good before it expires.
                // Version counts are not stashed among the differences.
                (None, _) | (Some(SettledChange::Versions(_)), _) => {}
            }
        }
    }

    /// Counts one more version of a roll-up and returns its revision.
    fn count_version(&mut self, key: VersionKey) -> u32 {
        let versions = self.versions.entry(window_end(&key) + self.allowed_lateness_ms).or_default();
        let count = Arc::make_mut(versions).entry(key).or_insert(0);
        *count += 1;
        *count - 1
    }
}
