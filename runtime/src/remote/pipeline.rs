//! Requests the statistics of the processes that run the graph, and combines them.

use super::address::ProcessUrl;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tallow_model::EventTime;
use tallow_model::error::{Error, chain};
use tallow_model::pipeline_stats::PipelineStats;
use tallow_model::store::{PartitionStatus, Pipeline, PipelineStatus, SinkStatus};
use tokio::task::JoinHandle;

/// The time between two requests to a process.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The time that a response may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The service under which a process without a response is listed.
const SERVICE: &str = "pipeline";

/// The pipeline of other processes. Its status is at most a few seconds old. A process without a
/// response is a problem of the service `pipeline`, and the whole pipeline is then not ready.
#[derive(Debug)]
pub struct RemotePipeline {
    processes: Vec<Arc<Process>>,
    tasks: Vec<JoinHandle<()>>,
}

/// One process, and its last response.
#[derive(Debug)]
struct Process {
    url: ProcessUrl,
    answer: Mutex<Result<PipelineStatus, String>>,
}

impl RemotePipeline {
    /// Starts the requests, on the runtime of the caller.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn start(urls: &[ProcessUrl]) -> Result<RemotePipeline, Error> {
        let client = reqwest::Client::builder()
            .timeout(RESPONSE_TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|error| Error::Invalid(format!("make an HTTP client: {}", chain(&error))))?;
        let process = |url: &ProcessUrl| {
            let answer = Mutex::new(Err(format!("{url} has not answered yet")));
            Arc::new(Process { url: url.clone(), answer })
        };
        let processes: Vec<_> = urls.iter().map(process).collect();
        let ask = |process: &Arc<Process>| tokio::spawn(process.clone().ask(client.clone()));
        let tasks = processes.iter().map(ask).collect();
        Ok(RemotePipeline { processes, tasks })
    }
}

impl Drop for RemotePipeline {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Process {
    /// Requests the statistics until the task is aborted.
    async fn ask(self: Arc<Process>, client: reqwest::Client) {
        let mut turns = tokio::time::interval(POLL_INTERVAL);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let answer = self.answer(&client).await;
            let mut last = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
            match (&*last, &answer) {
                (Err(_), Ok(_)) => tracing::info!(process = %self.url, "pipeline answers"),
                (Ok(_), Err(problem)) => {
                    tracing::warn!(process = %self.url, problem, "pipeline does not answer");
                }
                _ => {}
            }
            *last = answer;
        }
    }

    async fn answer(&self, client: &reqwest::Client) -> Result<PipelineStatus, String> {
        let problem =
            |error: reqwest::Error| format!("{} does not answer: {}", self.url, chain(&error.without_url()));
        let answer = client.get(self.url.stats()).send().await.map_err(problem)?;
        let answer = answer.error_for_status().map_err(problem)?;
        let bytes = answer.bytes().await.map_err(problem)?;
        let stats: PipelineStats = serde_json::from_slice(&bytes)
            .map_err(|error| format!("{} answers something else: {error}", self.url))?;
        Ok(stats.into())
    }

    fn source(&self) -> Option<String> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.as_ref().ok().map(|status| status.source.clone())
    }

    fn last(&self) -> Result<PipelineStatus, String> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Pipeline for RemotePipeline {
    fn status(&self) -> PipelineStatus {
        combine(self.processes.iter().map(|process| process.last()))
    }

    fn source(&self) -> String {
        // The last process that responds decides, as in `combine`.
        self.processes.iter().rev().find_map(|process| process.source()).unwrap_or_default()
    }
}

/// Combines the parts: counts are summed, the least watermark counts, and sinks of the same name
/// are one service.
fn combine(parts: impl Iterator<Item = Result<PipelineStatus, String>>) -> PipelineStatus {
    let mut whole = PipelineStatus { ready: true, ..PipelineStatus::default() };
    let mut services: BTreeMap<String, SinkStatus> = BTreeMap::new();
    let mut watermarks: Vec<Option<EventTime>> = Vec::new();
    let mut away: Vec<String> = Vec::new();
    let mut heard = 0u64;
    for part in parts {
        let part = match part {
            Ok(part) => part,
            Err(problem) => {
                away.push(problem);
                continue;
            }
        };
        heard += 1;
        whole.source = part.source;
        whole.ready &= part.ready;
        whole.counts.add(&part.counts);
        watermarks.push(part.watermark);
        whole.max_event_time = whole.max_event_time.max(part.max_event_time);
        for place in 0..3 {
            whole.candles_settled[place] += part.candles_settled[place];
            whole.corrections[place] += part.corrections[place];
            whole.alerts_raised[place] += part.alerts_raised[place];
        }
        whole.alerts_retracted += part.alerts_retracted;
        whole.partitions.extend(part.partitions);
        for sink in part.sinks {
            merge(&mut services, sink);
        }
        whole.checkpoint = match (whole.checkpoint, part.checkpoint) {
            (Some(known), Some(other)) => Some(known.with(&other)),
            (known, other) => known.or(other),
        };
        whole.failure = whole.failure.or(part.failure);
    }
    whole.partitions.sort_unstable_by_key(|partition: &PartitionStatus| partition.progress.partition);
    // A part without a response, or without a watermark yet, may be anywhere.
    whole.watermark = if away.is_empty() { watermarks.into_iter().min().flatten() } else { None };
    whole.ready &= away.is_empty() && heard > 0;
    whole.sinks = services.into_values().collect();
    if !away.is_empty() {
        let problem = Some(away.join("; "));
        whole.sinks.push(SinkStatus { name: SERVICE.to_owned(), problem, ..SinkStatus::default() });
    }
    whole
}

fn merge(services: &mut BTreeMap<String, SinkStatus>, sink: SinkStatus) {
    match services.get_mut(&sink.name) {
        None => {
            services.insert(sink.name.clone(), sink);
        }
        Some(known) => {
            known.queue += sink.queue;
            known.retries += sink.retries;
            known.stored_through = known.stored_through.min(sink.stored_through);
            known.problem = match (known.problem.take(), sink.problem) {
                (Some(known), Some(other)) if known != other => Some(format!("{known}; {other}")),
                (known, other) => known.or(other),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use tallow_model::store::CheckpointFigures;
    use tallow_model::{Counts, PartitionProgress};
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    fn part(watermark: u64, problem: Option<&str>) -> PipelineStatus {
        let progress = PartitionProgress {
            partition: watermark as u32,
            counts: Counts { records_in: 7, ..Counts::default() },
            offset: Some(6),
            max_event_time: Some(EventTime(watermark + 10_000)),
            idle: true,
        };
        PipelineStatus {
            source: "kafka".to_owned(),
            ready: true,
            counts: Counts { records_in: 7, on_time: 5, late: 1, tombstones: 1, ..Counts::default() },
            watermark: Some(EventTime(watermark)),
            max_event_time: progress.max_event_time,
            close_seconds: None,
            candles_settled: [5, 1, 0],
            corrections: [1, 1, 1],
            alerts_raised: [1, 0, 2],
            alerts_retracted: 1,
            partitions: vec![PartitionStatus { progress, pending: Some(3), silent_seconds: None }],
            sinks: vec![SinkStatus {
                name: "postgres".to_owned(),
                queue: 2,
                retries: 1,
                stored_through: Some(EventTime(watermark)),
                problem: problem.map(str::to_owned),
                write_seconds: None,
            }],
            checkpoint: Some(CheckpointFigures {
                frontier: Some(EventTime(watermark)),
                stored_at: Some(EventTime(watermark + 20_000)),
                bytes: 100,
                duration_seconds: watermark as f64,
                stored: watermark / 1_000,
                given_up: 1,
                restore_seconds: problem.map(|_| 0.5),
            }),
            failure: None,
        }
    }

    #[test]
    fn parts_add_up_and_the_slowest_counts() {
        let whole = combine([Ok(part(9_000, None)), Ok(part(4_000, Some("refused")))].into_iter());
        assert!(whole.ready);
        assert_eq!((whole.counts.records_in, whole.counts.on_time), (14, 10));
        let checkpoint = whole.checkpoint.unwrap();
        assert_eq!(
            (checkpoint.frontier, checkpoint.stored_at),
            (Some(EventTime(4_000)), Some(EventTime(29_000)))
        );
        assert_eq!((checkpoint.bytes, checkpoint.stored, checkpoint.given_up), (200, 4, 2));
        assert_eq!((checkpoint.duration_seconds, checkpoint.restore_seconds), (9_000.0, Some(0.5)));
        assert_eq!(
            (whole.watermark, whole.max_event_time),
            (Some(EventTime(4_000)), Some(EventTime(19_000)))
        );
        assert_eq!((whole.candles_settled, whole.alerts_raised), ([10, 2, 0], [2, 0, 4]));
        assert_eq!(
            whole.partitions.iter().map(|it| it.progress.partition).collect::<Vec<_>>(),
            [4_000, 9_000]
        );
        let [postgres] = &whole.sinks[..] else { panic!("{:?}", whole.sinks) };
        assert_eq!((postgres.queue, postgres.stored_through), (4, Some(EventTime(4_000))));
        assert_eq!(postgres.problem.as_deref(), Some("refused"));
    }

    #[test]
    fn a_part_that_does_not_answer_is_a_problem_and_nothing_is_ready() {
        let whole = combine([Ok(part(9_000, None)), Err("b:1 does not answer".to_owned())].into_iter());
        assert!(!whole.ready && whole.watermark.is_none() && whole.failure.is_none());
        let problems: Vec<_> = whole.sinks.iter().filter_map(|sink| sink.problem.as_deref()).collect();
        assert_eq!(problems, ["b:1 does not answer"]);
        assert!(!combine(std::iter::empty()).ready);
    }

    #[tokio::test]
    async fn what_a_process_says_arrives_whole() {
        let status = part(1_763_271_000_000, Some("gone"));
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/api/v1/stats"))
            .respond_with(ResponseTemplate::new(200).set_body_json(PipelineStats::from(status.clone())))
            .mount(&server)
            .await;
        let process = Process { url: server.uri().parse().unwrap(), answer: Mutex::new(Err(String::new())) };
        let answer = process.answer(&reqwest::Client::new()).await.unwrap();
        // The buckets of the records are reported for all partitions together.
        assert_eq!(answer, status);
        server.reset().await;
        let refused = process.answer(&reqwest::Client::new()).await.unwrap_err();
        assert!(refused.contains("does not answer") && refused.contains("404"), "{refused}");
    }
}
