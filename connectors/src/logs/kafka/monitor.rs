//! The thread beside a log: asks each second where its partitions end and whether there are more of them, says what is
//! wrong, and commits how far they have been read.
//!
//! Offsets are committed as a consumer that is no member of its group, for tools that show the lag of a group; nothing is
//! ever resumed from them, and a commit that fails is a warning. They are committed every five seconds and at the end.

use super::place::Place;
use super::state::Shared;
use super::topic::{Topic, at, partition_list, serve};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::Offset;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_model::error::{Error, chain};

/// How often librdkafka is heard.
const LISTEN: Duration = Duration::from_millis(50);
/// How often the brokers are asked.
const ASK: Duration = Duration::from_secs(1);
/// How long they may take to answer.
const ANSWER: Duration = Duration::from_secs(1);
/// How often offsets are committed.
const COMMIT: Duration = Duration::from_secs(5);
/// How long the last commit may take.
const LAST_COMMIT: Duration = Duration::from_secs(1);
/// How long a topic must be unknown to the brokers before it is taken for deleted: one that starts may not know it yet.
const GONE: Duration = Duration::from_secs(10);

/// The running thread. Dropping it ends the thread, and waits for that, unless a broker that does not answer holds it up.
pub(super) struct Monitor {
    /// Closed to end the thread.
    stop: Option<Sender<()>>,
    /// Closed when it has ended.
    ended: Receiver<()>,
}

/// Starts the thread.
pub(super) fn start(shared: Arc<Shared>, topic: Topic) -> Result<Monitor, Error> {
    let (stop, stopped) = bounded::<()>(0);
    let (ending, ended) = bounded::<()>(0);
    let name = "kafka-monitor".to_owned();
    std::thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            Watch::new(shared, topic).run(&stopped);
            drop(ending);
        })
        .map_err(|source| Error::Thread { name, source })?;
    Ok(Monitor { stop: Some(stop), ended })
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop = None;
        if self.ended.recv_timeout(2 * LAST_COMMIT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("offsets for lag tools were not committed at the end: no broker answers");
        }
    }
}

struct Watch {
    shared: Arc<Shared>,
    topic: Topic,
    /// Since when the brokers have not known the topic.
    missing: Option<Instant>,
}

impl Watch {
    fn new(shared: Arc<Shared>, topic: Topic) -> Watch {
        Watch { shared, topic, missing: None }
    }

    fn run(mut self, stopped: &Receiver<()>) {
        let mut asked = Instant::now();
        let mut committed = Instant::now();
        while stopped.recv_timeout(LISTEN) == Err(RecvTimeoutError::Timeout) {
            self.listen();
            if asked.elapsed() >= ASK {
                asked = Instant::now();
                self.ask();
            }
            if committed.elapsed() >= COMMIT {
                committed = Instant::now();
                self.commit(CommitMode::Async);
            }
        }
        // The readers are told that nothing more arrives, and with the last of them their consumers go.
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

    /// Asks, and says once when that stops to work and once when it works again.
    fn ask(&mut self) {
        let problem = match self.ask_all() {
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

    /// Asks for everything; what is wrong with single partitions is told, not failed of.
    fn ask_all(&mut self) -> Result<Option<String>, Error> {
        let Some(count) = self.topic.partitions(ANSWER)? else { return Ok(Some(self.miss())) };
        self.missing = None;
        self.grow(count)?;
        let mut problem = None;
        let places = self.shared.places.all();
        let all = |offset| places.iter().map(|place| (place.partition(), offset)).collect::<Vec<_>>();
        // The lows first: an answer is dated by the ends.
        let asked = Instant::now();
        for (partition, low) in self.topic.offsets(&all(Offset::Beginning), ANSWER)? {
            if let (Some(place), Ok(Some(low))) = (self.shared.places.get(partition), low) {
                place.keep_low(low);
            }
        }
        for (partition, end) in self.topic.offsets(&all(Offset::End), ANSWER)? {
            match (self.shared.places.get(partition), end) {
                (Some(place), Ok(Some(end))) => self.shared.places.keep_end(&place, end, asked),
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

    /// The brokers do not know the topic. After a while that is the end.
    fn miss(&mut self) -> String {
        let since = *self.missing.get_or_insert_with(Instant::now);
        if since.elapsed() >= GONE {
            self.fail("it does not exist any more: it was deleted");
        }
        format!("topic {} does not exist", self.shared.label)
    }

    fn fail(&self, problem: &str) {
        for place in self.shared.places.all() {
            let partition = place.partition();
            place.fail(format!("read partition {partition} of topic {}: {problem}", self.shared.label));
        }
    }

    /// Gives partitions that are new to their workers; likewise those that could not be given the last time.
    fn grow(&self, count: u32) -> Result<(), Error> {
        // Held while the partitions become known, see `KafkaLog::worker`.
        let mut workers = self.shared.workers();
        let new = self.shared.places.grow(count);
        if new > 0 {
            tracing::info!(partitions = count, new, "the topic has new partitions");
        }
        workers.iter_mut().try_for_each(|worker| worker.arrive(&self.shared))
    }

    /// Commits how far has been read, also where that has not changed: brokers forget offsets that are old.
    fn commit(&self, mode: CommitMode) {
        let position = |place: &Arc<Place>| Some((place.partition(), at(place.position()?)));
        let positions: Vec<_> = self.shared.places.all().iter().filter_map(position).collect();
        if positions.is_empty() {
            return;
        }
        let committed = partition_list(&self.shared.config.topic, positions)
            .and_then(|list| self.topic.consumer().commit(&list, mode));
        if let Err(error) = committed {
            tracing::debug!(problem = chain(&error), "offsets for lag tools can't be committed now");
        }
    }

    /// Commits at the end, where brokers answer at all.
    fn commit_last(&self) {
        if self.shared.problem().is_none() {
            self.commit(CommitMode::Sync);
        }
    }
}
