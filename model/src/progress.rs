//! Progress: the logical time up to which everything has been given, from the frontiers of all
//! workers.

use crate::{EventTime, MINUTE_MS, Step};
use std::ops::Range;

/// The frontiers of the workers whose steps go into one sink.
///
/// The least frontier is the time below which no worker will give anything more. A worker that has
/// not given a step yet holds the progress back entirely; a worker whose input has ended no longer
/// does. When all inputs have ended, progress reaches just past the newest change. It reaches no
/// further, because another run may continue the same log.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The number of the first worker.
    first: usize,
    workers: Vec<Reach>,
    /// Just past the newest logical time in any step.
    newest: Option<EventTime>,
}

#[derive(Clone, Copy, Debug)]
enum Reach {
    Unknown,
    Through(EventTime),
    Ended,
}

impl Progress {
    /// Returns the progress of workers that have not given a step yet.
    pub fn new(workers: Range<usize>) -> Progress {
        Progress { first: workers.start, workers: vec![Reach::Unknown; workers.len()], newest: None }
    }

    /// Notes a worker's step. Steps of one worker come in order.
    pub fn observe(&mut self, step: &Step) {
        let worker = step.worker.checked_sub(self.first).and_then(|place| self.workers.get_mut(place));
        // A step of another process's worker says nothing of these workers.
        if let Some(reach) = worker {
            *reach = step.frontier.map_or(Reach::Ended, Reach::Through);
        }
        let past = |time: EventTime| EventTime(time.millis().saturating_add(1));
        let candles = step.candles.iter().map(|candle| past(candle.settled_at));
        let alerts = step.alerts.iter().map(|alert| past(alert.settled_at));
        self.newest = candles.chain(alerts).chain(step.frontier).max().max(self.newest);
    }

    /// Returns the time below which every change has been given; `None` until every worker has
    /// given a step.
    pub fn through(&self) -> Option<EventTime> {
        let mut least = None;
        for reach in &self.workers {
            match reach {
                Reach::Unknown => return None,
                Reach::Through(frontier) => least = Some(least.map_or(*frontier, |it| (*frontier).min(it))),
                Reach::Ended => {}
            }
        }
        least.or(self.newest)
    }
}

/// The progress that a store records beside its rows.
///
/// The frontier moves every second, and a commit waits for the disk. Progress without changes is
/// therefore recorded once a minute only: the recorded time is true, and may be up to a minute old.
#[derive(Clone, Debug)]
pub struct Recorded {
    progress: Progress,
    through: Option<EventTime>,
    recorded: Option<EventTime>,
}

impl Recorded {
    /// Continues from the progress that the store recorded in an earlier run, with the workers of
    /// this one.
    pub fn new(workers: Range<usize>, recorded: Option<EventTime>) -> Recorded {
        Recorded { progress: Progress::new(workers), through: recorded, recorded }
    }

    /// Returns the time below which every change is in the store.
    pub fn through(&self) -> Option<EventTime> {
        self.through
    }

    /// Returns the progress once these steps are stored, and whether there is anything to write.
    pub fn after(&self, steps: &[Step]) -> (Recorded, bool) {
        let mut progress = self.progress.clone();
        steps.iter().for_each(|step| progress.observe(step));
        let through = progress.through().max(self.through);
        let changes = steps.iter().any(|step| !step.candles.is_empty() || !step.alerts.is_empty());
        let minutes = |time: Option<EventTime>| time.map(|time| time.millis().saturating_sub(1) / MINUTE_MS);
        let due = changes || minutes(through) != minutes(self.recorded);
        (Recorded { progress, through, recorded: if due { through } else { self.recorded } }, due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(worker: usize, frontier: Option<u64>) -> Step {
        Step { worker, frontier: frontier.map(EventTime), ..Step::default() }
    }

    #[test]
    fn the_slowest_worker_counts_and_an_unheard_one_holds_everything_back() {
        let mut progress = Progress::new(2..4);
        progress.observe(&step(2, Some(5_000)));
        assert_eq!(progress.through(), None);
        progress.observe(&step(3, Some(3_000)));
        assert_eq!(progress.through(), Some(EventTime(3_000)));
        progress.observe(&step(0, Some(1_000)));
        progress.observe(&step(3, Some(9_000)));
        assert_eq!(progress.through(), Some(EventTime(5_000)));
    }

    #[test]
    fn an_ended_worker_holds_nothing_back_and_all_ended_reach_the_newest_time() {
        let mut progress = Progress::new(0..2);
        progress.observe(&step(0, Some(5_000)));
        progress.observe(&step(1, None));
        assert_eq!(progress.through(), Some(EventTime(5_000)));
        progress.observe(&step(0, None));
        assert_eq!(progress.through(), Some(EventTime(5_000)));
    }
}
