//! The monitor thread of a log: once a second it looks up the ends of the partitions and whether
//! there are more of them, reports problems, and commits progress.
//!
//! Offsets are committed by a consumer that is no member of its group, for tools that show the lag
//! of a group. Nothing is ever resumed from them, and a failed commit is a warning. They are
//! committed every five seconds and at the end.

use super::partition_state::FetchState;
use super::state::LogState;
use super::topic::{Topic, at, partition_list, serve};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::Offset;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_model::error::{Error, chain};

/// Interval for serving librdkafka's events.
const EVENT_INTERVAL: Duration = Duration::from_millis(50);
/// Interval between requests to the brokers.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval between commits of offsets.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// Time limit of the last commit.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(1);
/// Time for which the brokers must not know the topic before it counts as deleted: a broker that
/// starts may not know it yet.
const DELETED_AFTER: Duration = Duration::from_secs(10);

/// The running thread. Dropping it ends the thread and waits for that, unless a broker that does
/// not answer holds it up.
pub(super) struct Monitor {
    /// Closed to end the thread.
    stop: Option<Sender<()>>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

/// Starts the thread.
pub(super) fn start(shared: Arc<LogState>, topic: Topic) -> Result<Monitor, Error> {
    let (stop, stopped) = bounded::<()>(0);
    let (ending, ended) = bounded::<()>(0);
    let name = "kafka-monitor".to_owned();
    std::thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            MonitorThread::new(shared, topic).run(&stopped);
            drop(ending);
        })
        .map_err(|source| Error::Thread { name, source })?;
    Ok(Monitor { stop: Some(stop), ended })
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop = None;
        if self.ended.recv_timeout(2 * LAST_COMMIT_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("offsets for lag tools were not committed at the end: no broker answers");
        }
    }
}

struct MonitorThread {
    shared: Arc<LogState>,
    topic: Topic,
    /// Time since which the brokers have not known the topic.
    missing: Option<Instant>,
}

impl MonitorThread {
    fn new(shared: Arc<LogState>, topic: Topic) -> MonitorThread {
        MonitorThread { shared, topic, missing: None }
    }

    fn run(mut self, stopped: &Receiver<()>) {
        let mut asked = Instant::now();
        let mut committed = Instant::now();
        while stopped.recv_timeout(EVENT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            self.listen();
            if asked.elapsed() >= POLL_INTERVAL {
                asked = Instant::now();
                self.poll();
            }
            if committed.elapsed() >= COMMIT_INTERVAL {
                committed = Instant::now();
                self.commit(CommitMode::Async);
            }
        }
        // The readers learn that nothing more arrives; the last of them closes its consumer.
        self.shared.workers().clear();
        self.commit_last();
    }

    fn listen(&self) {
        let workers = self.shared.workers();
        let mut strayed = serve(self.topic.consumer());
        for fetcher in workers.iter().filter_map(|worker| worker.fetcher()) {
            strayed |= serve(fetcher.consumer());
        }
        drop(workers);
        if strayed {
            self.fail("a record came past the queue of its partition");
        }
    }

    /// Sends the requests; logs once when they begin to fail and once when they succeed again.
    fn poll(&mut self) {
        let problem = match self.poll_all() {
            Ok(None) => None,
            Ok(Some(problem)) => Some(problem),
            Err(error) => {
                self.missing = None;
                let problem = chain(&error);
                Some(match self.shared.trouble.reason() {
                    Some(reason) => format!("{problem}: {reason}"),
                    None => problem,
                })
            }
        };
        let now = problem.clone();
        if now.is_none() {
            self.shared.trouble.clear();
        }
        match (self.shared.keep_problem(problem), now) {
            (None, Some(problem)) => tracing::warn!(problem, "the log can't be watched, trying again"),
            (Some(_), None) => tracing::info!("the log can be watched again"),
            _ => {}
        }
    }

    /// Requests everything. A problem with a single partition is returned, not an error.
    fn poll_all(&mut self) -> Result<Option<String>, Error> {
        let Some(count) = self.topic.partitions(REQUEST_TIMEOUT)? else { return Ok(Some(self.miss())) };
        self.missing = None;
        self.grow(count)?;
        let mut problem = None;
        let fetch_states = self.shared.fetch_states.all();
        let all = |offset| {
            fetch_states.iter().map(|fetch_state| (fetch_state.partition(), offset)).collect::<Vec<_>>()
        };
        // The low offsets first: a reply is dated by the ends.
        let asked = Instant::now();
        for (partition, low) in self.topic.offsets(&all(Offset::Beginning), REQUEST_TIMEOUT)? {
            if let (Some(fetch_state), Ok(Some(low))) = (self.shared.fetch_states.get(partition), low) {
                fetch_state.keep_low(low);
            }
        }
        for (partition, end) in self.topic.offsets(&all(Offset::End), REQUEST_TIMEOUT)? {
            match (self.shared.fetch_states.get(partition), end) {
                (Some(fetch_state), Ok(Some(end))) => {
                    self.shared.fetch_states.keep_end(&fetch_state, end, asked)
                }
                (_, Err(code)) => {
                    problem.get_or_insert_with(|| {
                        let topic = &self.shared.label;
                        format!("look up the end of partition {partition} of topic {topic}: {code}")
                    });
                }
                _ => {}
            }
        }
        Ok(problem)
    }

    /// Notes that the brokers do not know the topic. After a while it counts as deleted.
    fn miss(&mut self) -> String {
        let since = *self.missing.get_or_insert_with(Instant::now);
        if since.elapsed() >= DELETED_AFTER {
            self.fail("it does not exist any more: it was deleted");
        }
        format!("topic {} does not exist", self.shared.label)
    }

    fn fail(&self, problem: &str) {
        for fetch_state in self.shared.fetch_states.all() {
            let partition = fetch_state.partition();
            fetch_state.fail(format!("read partition {partition} of topic {}: {problem}", self.shared.label));
        }
    }

    /// Gives new partitions to their workers, and those that could not be given the last time.
    fn grow(&self, count: u32) -> Result<(), Error> {
        // Locked while the partitions become known, see `KafkaLog::worker`.
        let mut workers = self.shared.workers();
        let new = self.shared.fetch_states.grow(count);
        if new > 0 {
            tracing::info!(partitions = count, new, "the topic has new partitions");
        }
        workers.iter_mut().try_for_each(|worker| worker.arrive(&self.shared))
    }

    /// Commits the progress, even if it has not changed: brokers forget old offsets.
    fn commit(&self, mode: CommitMode) {
        let position =
            |fetch_state: &Arc<FetchState>| Some((fetch_state.partition(), at(fetch_state.position()?)));
        let positions: Vec<_> = self.shared.fetch_states.all().iter().filter_map(position).collect();
        if positions.is_empty() {
            return;
        }
        let committed = partition_list(&self.shared.config.topic, positions)
            .and_then(|list| self.topic.consumer().commit(&list, mode));
        if let Err(error) = committed {
            tracing::debug!(problem = chain(&error), "offsets for lag tools can't be committed now");
        }
    }

    /// Commits at the end, if brokers answer at all.
    fn commit_last(&self) {
        if self.shared.problem().is_none() {
            self.commit(CommitMode::Sync);
        }
    }
}
