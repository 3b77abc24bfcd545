//! Several processes of one pipeline: the store is complete up to the slowest of them.

use super::{Database, candle, migrated, step};
use tallow_connectors::stores::postgres::{PostgresConfig, PostgresSink, Share};
use tallow_model::error::{Action, chain};
use tallow_model::store::Sink;
use tallow_model::{EventTime, MINUTE_MS};

fn open(config: &PostgresConfig, process: usize, processes: usize) -> PostgresSink {
    // Two workers each.
    PostgresSink::open(config, Share { process, processes, workers: 2 * process..2 * process + 2 }).unwrap()
}

/// Moves both workers of a process to `seconds`.
fn advance(sink: &mut PostgresSink, process: usize, minute: u64) {
    let name = ["BTC", "ETH"][process];
    let steps = [0, 1].map(|worker| step(2 * process + worker, vec![candle(name, minute - 1, 1.0)]));
    sink.write(&steps).unwrap();
}

fn through(minute: u64) -> Option<EventTime> {
    Some(EventTime(minute * MINUTE_MS + 1_000))
}

/// The recorded progress of each process in seconds.
fn recorded(database: &Database) -> Vec<Option<i64>> {
    let rows = "SELECT EXTRACT(EPOCH FROM stored_through)::INT8 FROM sink_progress ORDER BY process";
    database.connect().query(rows, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn what_is_stored_is_what_all_processes_have_stored() {
    let Some((database, config)) = migrated() else { return };
    let mut first = open(&config, 0, 2);
    assert_eq!(recorded(&database), [None, None]);
    advance(&mut first, 0, 9);
    assert_eq!(first.stored_through(), through(9));
    assert_eq!(recorded(&database), [Some(541), None]);

    // Nothing is known to be complete before the other has spoken. The first says again how far it
    // is.
    let mut second = open(&config, 1, 2);
    assert_eq!(second.stored_through(), None);
    advance(&mut second, 1, 5);
    advance(&mut first, 0, 9);
    assert_eq!(recorded(&database), [Some(541), Some(301)]);
    advance(&mut first, 0, 10);
    assert_eq!(recorded(&database), [Some(601), Some(301)]);
    assert_eq!(open(&config, 1, 2).stored_through(), through(5));
}

#[test]
fn another_number_of_processes_begins_where_all_were() {
    let Some((database, config)) = migrated() else { return };
    let mut sinks = [open(&config, 0, 2), open(&config, 1, 2)];
    advance(&mut sinks[0], 0, 9);
    advance(&mut sinks[1], 1, 5);
    drop(sinks);

    // The symbols of both are now one process's, and half of them are complete only to where the
    // slower one was.
    assert_eq!(open(&config, 0, 1).stored_through(), through(5));
    assert_eq!(recorded(&database), [Some(301)]);
    assert_eq!(open(&config, 2, 3).stored_through(), through(5));
    assert_eq!(recorded(&database), [Some(301), Some(301), Some(301)]);
}

#[test]
fn a_process_that_is_none_of_the_pipeline_any_more_stops() {
    let Some((database, config)) = migrated() else { return };
    let mut left_over = open(&config, 1, 2);
    let _now = open(&config, 0, 1);
    let error = left_over.write(&[2, 3].map(|worker| step(worker, vec![candle("ETH", 1, 1.0)]))).unwrap_err();
    assert_eq!(error.action(), Action::Stop);
    assert!(chain(&error).ends_with("is written by a pipeline without process 1"), "{}", chain(&error));
    // And has left nothing behind.
    let rows = "SELECT COUNT(*) FROM price_aggregates_1m";
    assert_eq!(database.connect().query_one(rows, &[]).unwrap().get::<_, i64>(0), 0);
}

#[test]
fn a_process_beyond_their_number_is_refused() {
    let Some((_database, config)) = migrated() else { return };
    let error = PostgresSink::open(&config, Share { process: 2, processes: 2, workers: 4..6 }).unwrap_err();
    assert_eq!(chain(&error), "2 processes have no process 2");
}

#[test]
fn progress_alone_is_recorded_once_a_minute_of_event_time() {
    let Some((database, config)) = migrated() else { return };
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let mut frontier = |seconds: u64| {
        let step = tallow_model::Step { frontier: Some(EventTime(seconds * 1_000)), ..Default::default() };
        sink.write(&[step]).unwrap();
        recorded(&database)
    };
    assert_eq!(frontier(61), [Some(61)]);
    for second in 62..=120 {
        assert_eq!(frontier(second), [Some(61)]);
    }
    assert_eq!(frontier(121), [Some(121)]);
}
