//! Alerts exactly once for readers of what is committed: over crashes in the middle of a
//! transaction, other numbers of workers, runs that come back when they are over, and brokers that
//! die.

use crate::absence::OwnBroker;
use crate::sinks::{messages, topics};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tallow_connectors::logs::kafka::{KafkaAlerts, KafkaConfig};
use tallow_model::error::{Action, Error, chain};
use tallow_model::store::Sink;
use tallow_model::{AlertStatus, EventTime, Step};
use tallow_testing::kafka_log::config;
use tallow_testing::samples::{MIDNIGHT, MINUTE, alert, frontier, settled_alert, step};
use tallow_testing::services;
use tallow_testing::topic::Topic;
use tallow_testing::wait::{LIMIT, until};

const SYMBOLS: [&str; 7] = ["BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "AVAX"];

/// An alert of each symbol in the minute, as the steps of so many workers.
fn minute(minute: u64, workers: usize) -> Vec<Step> {
    let of = |worker: usize| {
        let mine = SYMBOLS.iter().enumerate().filter(|(i, _)| i % workers == worker);
        let raised =
            |name: &&str| settled_alert(alert(name, MIDNIGHT + minute * MINUTE, 5.0), AlertStatus::Raised, 0);
        let mut step = step(Vec::new(), mine.map(|(_, name)| raised(name)).collect());
        step.worker = worker;
        step
    };
    (0..workers).map(of).collect()
}

/// The number of times that each version of an alert is in the topic.
fn seen(topic: &Topic) -> BTreeMap<(String, EventTime), usize> {
    let mut seen = BTreeMap::new();
    for message in messages(topic) {
        *seen.entry((message.alert_id, message.settled_at)).or_default() += 1;
    }
    seen
}

/// Asserts that the topic has every alert of these minutes once, and nothing else.
fn once_each(topic: &Topic, minutes: u64) {
    let seen = seen(topic);
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
    assert_eq!(seen.len() as u64, minutes * SYMBOLS.len() as u64);
}

/// The time for which a transaction of a predecessor may stay open: the most that brokers allow.
const OPEN_MS: &str = "900000";

/// A process of an earlier run: a producer with the transactional id of a worker.
fn predecessor(config: &KafkaConfig, worker: usize) -> BaseProducer {
    let id = format!("{}-{}-{worker}", config.group, config.alerts_topic);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("transactional.id", id)
        .set("transaction.timeout.ms", OPEN_MS)
        .create()
        .unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer
}

/// Begins a transaction of the worker with these alerts, which the brokers then have, and leaves it
/// open.
fn leave_open(config: &KafkaConfig, worker: usize, steps: &[Step]) -> BaseProducer {
    let producer = predecessor(config, worker);
    producer.begin_transaction().unwrap();
    for settled in &steps[worker].alerts {
        let json = serde_json::to_string(&tallow_model::rows::AlertMessage::from(settled)).unwrap();
        let symbol = settled.alert.symbol.text();
        let record = BaseRecord::to(&config.alerts_topic).payload(&json).key(symbol.as_bytes());
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    producer
}

/// Writes steps as the runner of a sink does: errors that may pass are retried.
fn write(sink: &mut KafkaAlerts, steps: &[Step]) {
    until("the alerts to be written", || match sink.write(steps) {
        Ok(()) => Some(()),
        Err(error) => {
            assert_eq!(error.action(), Action::Retry, "{}", chain(&error));
            None
        }
    });
}

/// Asserts that the error stops the run because another run has taken over.
fn is_taken_over(written: Result<(), Error>) {
    let error = written.unwrap_err();
    assert_eq!(error.action(), Action::Stop, "{error:?}");
    assert!(
        chain(&error).starts_with("sink kafka-alerts: another run has taken over: "),
        "{}",
        chain(&error)
    );
}

#[test]
fn what_a_crash_leaves_open_is_never_seen_and_holds_nobody_back() {
    let Some(([topic, _], config)) = topics("crash", 2) else { return };
    let steps = minute(0, 2);
    let crashed = [0, 1].map(|worker| leave_open(&config, worker, &steps));
    // As a process does that is killed: it says nothing to the brokers any more.
    crashed.into_iter().for_each(std::mem::forget);
    assert_eq!((topic.read().len(), topic.read_uncommitted().len()), (0, SYMBOLS.len()));

    // The brokers abort an open transaction by themselves after a time longer than any test may
    // take.
    let mut sink = KafkaAlerts::open(&config, 0..2, 0..0).unwrap();
    write(&mut sink, &steps);
    once_each(&topic, 1);
    assert_eq!(topic.read_uncommitted().len(), 2 * SYMBOLS.len());
}

#[test]
fn another_number_of_workers_repeats_nothing_and_ends_what_the_ids_of_before_have_open() {
    let Some(([topic, _], config)) = topics("rescaled", 2) else { return };
    // Three processes of a worker each; the third dies within a transaction.
    let mut before: Vec<KafkaAlerts> =
        (0..3).map(|worker| KafkaAlerts::open(&config, worker..worker + 1, 0..0).unwrap()).collect();
    for time in 0..2 {
        before.iter_mut().for_each(|sink| write(sink, &minute(time, 3)));
    }
    drop(before);
    std::mem::forget(leave_open(&config, 2, &minute(2, 3)));

    // One process of a worker, to which the log is given again.
    let mut alone = KafkaAlerts::open(&config, 0..1, 1..3).unwrap();
    (0..3).for_each(|time| write(&mut alone, &minute(time, 1)));
    once_each(&topic, 3);

    // Two processes, one after the other has begun: nothing is given to either before both have
    // opened their sinks.
    let mut first = KafkaAlerts::open(&config, 0..1, 2..3).unwrap();
    is_taken_over(alone.write(&minute(3, 1)));
    let mut second = KafkaAlerts::open(&config, 1..2, 0..0).unwrap();
    for time in 0..5 {
        write(&mut first, &minute(time, 2));
        write(&mut second, &minute(time, 2));
    }
    once_each(&topic, 5);
}

#[test]
fn processes_that_start_at_the_same_time_all_may_end_the_workers_of_before() {
    let Some(([topic, _], config)) = topics("together", 1) else { return };
    let mut before = KafkaAlerts::open(&config, 0..6, 0..0).unwrap();
    write(&mut before, &minute(0, 6));
    std::mem::forget(leave_open(&config, 5, &minute(1, 6)));
    let open = |worker: usize| KafkaAlerts::open(&config, worker..worker + 1, 2..6).unwrap();
    let mut sinks = std::thread::scope(|scope| {
        let threads = [0, 1].map(|worker| scope.spawn(move || open(worker)));
        threads.map(|thread| thread.join().unwrap())
    });
    for time in 0..2 {
        sinks.iter_mut().for_each(|sink| write(sink, &minute(time, 2)));
    }
    is_taken_over(before.write(&minute(2, 6)));
    once_each(&topic, 2);
}

#[test]
fn a_version_that_another_process_commits_while_this_one_starts_is_not_repeated() {
    let Some(([topic, _], config)) = topics("moments", 1) else { return };
    // The run before had a third worker, whose symbols are now the second process's. It still
    // writes while that opens.
    let mut last = KafkaAlerts::open(&config, 2..3, 0..0).unwrap();
    let mut second = KafkaAlerts::open(&config, 1..2, 0..0).unwrap();
    write(&mut second, &[frontier(1, Some(0))]);
    write(&mut last, &minute(0, 3));
    // Only now the first process ends the third worker, and then time moves.
    let mut first = KafkaAlerts::open(&config, 0..1, 2..3).unwrap();
    is_taken_over(last.write(&minute(1, 3)));
    for time in 0..2 {
        write(&mut second, &minute(time, 2));
        write(&mut first, &minute(time, 2));
    }
    once_each(&topic, 2);
}

#[test]
fn a_run_that_comes_back_when_it_is_over_writes_nothing_and_does_not_disturb() {
    let Some(([topic, _], config)) = topics("zombie", 1) else { return };
    let mut old = KafkaAlerts::open(&config, 0..3, 0..0).unwrap();
    write(&mut old, &minute(0, 3));
    // Suspended, one of its workers in the middle of a transaction.
    let suspended = leave_open(&config, 2, &minute(1, 3));

    let mut new = KafkaAlerts::open(&config, 0..2, 2..3).unwrap();
    write(&mut new, &minute(0, 2));
    write(&mut new, &minute(1, 2));
    assert!(suspended.commit_transaction(LIMIT).is_err());
    for _ in 0..2 {
        is_taken_over(old.write(&minute(2, 3)));
    }
    write(&mut new, &minute(2, 2));
    once_each(&topic, 3);
}

#[test]
fn a_producer_that_the_brokers_have_given_up_is_replaced_where_no_other_run_has_claimed() {
    let Some(([topic, _], config)) = topics("expired", 1) else { return };
    let mut sink = KafkaAlerts::open(&config, 0..2, 0..0).unwrap();
    write(&mut sink, &minute(0, 2));
    for time in 1..4 {
        // For the sink it is as when its transaction has been open for too long: its producer is
        // refused.
        drop(predecessor(&config, (time % 2) as usize));
        write(&mut sink, &minute(time, 2));
    }
    once_each(&topic, 4);
}

#[test]
fn an_alert_is_seen_before_the_next_one_is_written() {
    let Some(([topic, _], config)) = topics("prompt", 1) else { return };
    let mut sink = KafkaAlerts::open(&config, 0..1, 0..0).unwrap();
    write(&mut sink, &minute(0, 1));
    // A consumer of today's, with nothing set that would make it faster.
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("group.id", &config.group)
        .set("isolation.level", "read_committed")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let next = || until("a record", || consumer.poll(Duration::from_millis(10))).unwrap();
    for _ in SYMBOLS {
        next();
    }
    for time in 1..30 {
        let mut step = minute(time, 1).remove(0);
        step.alerts.truncate(1);
        write(&mut sink, &[step]);
        next();
    }
}

#[test]
fn a_broker_that_dies_under_transactions_costs_no_alert_and_repeats_none() {
    if services::kafka().is_none() {
        return;
    }
    let broker = OwnBroker::start();
    let config = config(&broker.address(), "ticks");
    let topic = Topic::make(&config.bootstrap_servers, config.alerts_topic.clone(), 1, &[]);
    let mut sink = KafkaAlerts::open(&config, 0..2, 0..0).unwrap();
    write(&mut sink, &minute(0, 2));
    let mut minutes = 1;
    // The second time for longer than a transaction may be open.
    for away in [Duration::ZERO, Duration::from_secs(45)] {
        let written = AtomicU64::new(minutes);
        let killed = std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                until("some alerts", || (written.load(Ordering::Relaxed) > minutes + 20).then_some(()));
                broker.kill();
                Instant::now()
            });
            // Without a pause, so that it dies within a transaction.
            let failed = loop {
                match sink.write(&minute(written.load(Ordering::Relaxed), 2)) {
                    Ok(()) => written.fetch_add(1, Ordering::Relaxed),
                    Err(error) => break error,
                };
            };
            assert_eq!(failed.action(), Action::Retry, "{}", chain(&failed));
            killer.join().unwrap()
        });
        minutes = written.into_inner();
        while killed.elapsed() < away {
            let error = sink.write(&minute(minutes, 2)).unwrap_err();
            assert_eq!(error.action(), Action::Retry, "{}", chain(&error));
        }
        broker.run(&["up", "kafka"]);
        write(&mut sink, &minute(minutes, 2));
        minutes += 1;
    }
    write(&mut sink, &minute(minutes, 2));
    once_each(&topic, minutes + 1);
}
