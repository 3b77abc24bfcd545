//! Storing parts: after the sinks, with retries, and without ever making the graph wait.

use crate::faulty::{Faulty, Turn};
use crate::fixture::{
    PATIENCE, assert_shares, id, newest, part, settings, store_in, until, until_problem, until_written,
    write, writer,
};
use crate::sink::{gated, give};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tallow_model::error::chain;
use tallow_runtime::checkpoint::{CheckpointStore, CheckpointWriter, WriterSettings};
use tempfile::tempdir;
use tokio::sync::Semaphore;

#[test]
fn a_stored_checkpoint_shows_in_the_status() {
    let dir = tempdir().unwrap();
    let store = store_in(dir.path());
    let writer = writer(&store, 0..2);
    assert_eq!(writer.status().last, None);
    assert!(writer.may_begin());
    writer.submit(part(id(1), 0, 2), Vec::new()).unwrap();
    assert!(!writer.may_begin(), "worker 1 has not given its part");
    writer.submit(part(id(1), 1, 2), Vec::new()).unwrap();
    until_written(&writer, 1);
    let status = writer.status();
    assert_eq!((status.last, status.given_up, status.problem.clone()), (Some(id(1)), 0, None));
    assert_eq!(status.bytes, store.newest().unwrap().unwrap().bytes);
    assert!(status.completed_at_ms.is_some() && status.encoding > Duration::ZERO, "{status:?}");
    assert!(status.duration > Duration::ZERO, "{status:?}");
    assert!(writer.may_begin());
    writer.close(PATIENCE).unwrap();
}

#[test]
fn a_part_waits_until_the_sinks_have_stored_what_came_before_it() {
    let (faulty, store) = Faulty::store([]);
    let (_sink, queue, go_on) = gated();
    let writer = writer(&store, 0..2);
    give(&queue);
    give(&queue);
    let ticket = queue.ticket();
    give(&queue);
    writer.submit(part(id(1), 0, 2), vec![ticket.clone(), queue.ticket()]).unwrap();
    // What comes to another sink, or to none, does not wait.
    writer.submit(part(id(1), 1, 2), Vec::new()).unwrap();
    until("the other worker's part is stored", || (faulty.tried() == 1).then_some(()));
    until("the part waits", || (writer.status().waiting_for_sinks == 1).then_some(()));
    for stored in 1..=3 {
        assert!(faulty.tried.lock().unwrap()[0].ends_with("part-00001-of-00002"));
        assert_eq!(faulty.tried(), 1, "the sink has stored {} of 3", stored - 1);
        assert!(!writer.may_begin());
        assert_eq!(ticket.is_stored().unwrap(), stored > 2);
        go_on.send(()).unwrap();
        until("the sink stores", || (queue.status().queue == 3 - stored).then_some(()));
    }
    until_written(&writer, 1);
    assert_shares(&store.newest().unwrap().unwrap(), id(1), 2);
}

#[test]
fn a_checkpoint_does_not_count_after_a_sink_has_failed() {
    let (faulty, store) = Faulty::store([]);
    let (_sink, queue, go_on) = gated();
    let writer = writer(&store, 0..1);
    give(&queue);
    writer.submit(part(id(1), 0, 1), vec![queue.ticket()]).unwrap();
    drop(go_on);
    until_problem(&writer, "sink gated: told to fail");
    assert_eq!((writer.status().given_up, faulty.tried()), (1, 0));
    assert!(writer.may_begin());
    assert!(queue.ticket().is_stored().is_err());
}

#[test]
fn a_ticket_ends_with_an_error_when_its_sink_is_closed_first() {
    let (sink, queue, go_on) = gated();
    let (_faulty, store) = Faulty::store([]);
    let writer = writer(&store, 0..1);
    give(&queue);
    let ticket = queue.ticket();
    writer.submit(part(id(1), 0, 1), vec![ticket.clone()]).unwrap();
    assert!(!ticket.is_stored().unwrap());
    assert!(sink.close(Duration::from_millis(1)).is_err());
    until_problem(&writer, "it was closed before everything was stored");
    assert!(ticket.is_stored().is_err());
    drop(go_on);
}

#[test]
fn a_part_is_tried_again_until_the_store_takes_it() {
    let turns = (0..20).map(|_| Turn::Fail("no space left on device"));
    let (faulty, store) = Faulty::store(turns);
    let writer = writer(&store, 0..1);
    writer.submit(part(id(1), 0, 1), Vec::new()).unwrap();
    let problem = until_problem(&writer, "no space left on device");
    assert!(problem.starts_with("write memory/") && !writer.may_begin(), "{problem}");
    until_written(&writer, 1);
    assert_eq!((writer.status().problem, faulty.tried()), (None, 21));
    assert_shares(&store.newest().unwrap().unwrap(), id(1), 1);
}

#[test]
fn a_part_that_was_stored_although_the_answer_was_lost_is_stored() {
    let (faulty, store) = Faulty::store([Turn::LoseAnswer]);
    write(&store, id(1), 1);
    assert_eq!(faulty.tried(), 2);
    assert_shares(&store.newest().unwrap().unwrap(), id(1), 1);
}

#[test]
fn a_part_that_does_not_read_back_is_written_again() {
    let (faulty, store) = Faulty::store([Turn::Corrupt, Turn::Corrupt]);
    let writer = writer(&store, 0..1);
    writer.submit(part(id(1), 0, 1), Vec::new()).unwrap();
    until_written(&writer, 1);
    assert_eq!((writer.status().problem, faulty.tried()), (None, 3));
    assert_shares(&store.newest().unwrap().unwrap(), id(1), 1);
}

#[test]
fn a_part_that_never_reads_back_is_given_up_and_removed() {
    let (_faulty, store) = Faulty::store([Turn::Corrupt, Turn::Corrupt, Turn::Corrupt]);
    let writer = writer(&store, 0..1);
    writer.submit(part(id(1), 0, 1), Vec::new()).unwrap();
    until_problem(&writer, "did not read back");
    until("it is given up", || (writer.status().given_up == 1).then_some(()));
    assert!(writer.may_begin());
    assert_eq!(newest(&store), None);
    writer.submit(part(id(2), 0, 1), Vec::new()).unwrap();
    until_written(&writer, 1);
    assert_eq!(writer.status().problem, None);
    assert_eq!(newest(&store), Some(id(2)));
}

#[test]
fn while_a_part_is_written_only_the_newest_waits() {
    let go_on = Arc::new(Semaphore::new(0));
    let (faulty, store) = Faulty::store([Turn::Hang(Arc::clone(&go_on))]);
    let writer = writer(&store, 0..1);
    writer.submit(part(id(1), 0, 1), Vec::new()).unwrap();
    until("the first is being written", || (faulty.tried() == 1).then_some(()));
    for minute in 2..=9 {
        writer.submit(part(id(minute), 0, 1), Vec::new()).unwrap();
    }
    until("all but the newest are given up", || (writer.status().given_up == 7).then_some(()));
    assert!(!writer.may_begin());
    go_on.add_permits(1);
    until_written(&writer, 2);
    assert_eq!((faulty.tried(), writer.status().last), (2, Some(id(9))));
}

#[test]
fn a_part_that_can_not_be_stored_makes_way_for_a_newer_one() {
    let turns = (0..10_000).map(|_| Turn::Fail("unreachable"));
    let (faulty, store) = Faulty::store(turns);
    let writer = writer(&store, 0..1);
    writer.submit(part(id(1), 0, 1), Vec::new()).unwrap();
    until_problem(&writer, "unreachable");
    writer.submit(part(id(2), 0, 1), Vec::new()).unwrap();
    until("the newer one is tried", || {
        let tried = faulty.tried.lock().unwrap();
        tried.last().filter(|name| name.starts_with("00000000000000120000-")).map(drop)
    });
    assert_eq!(writer.status().given_up, 1);
}

#[test]
fn a_part_that_waits_for_a_sink_is_not_pushed_out_by_newer_ones() {
    let (_faulty, store) = Faulty::store([]);
    let (_sink, queue, go_on) = gated();
    let writer = writer(&store, 0..1);
    for minute in 1..=9 {
        give(&queue);
        writer.submit(part(id(minute), 0, 1), vec![queue.ticket()]).unwrap();
        until("the first is under way", || (writer.status().waiting_for_sinks == 1).then_some(()));
    }
    until("all but the newest are given up", || (writer.status().given_up == 7).then_some(()));
    go_on.send(()).unwrap();
    until_written(&writer, 1);
    assert_eq!(newest(&store), Some(id(1)));
    (2..=9).for_each(|_| go_on.send(()).unwrap());
    until_written(&writer, 2);
    assert_eq!(newest(&store), Some(id(9)));
}

#[test]
fn the_next_is_begun_after_the_pause_and_not_before() {
    let (_faulty, store) = Faulty::store([]);
    let with_pause = |min_pause| {
        let settings = WriterSettings { min_pause, ..settings(0..1) };
        let writer = CheckpointWriter::start(store.clone(), settings).unwrap();
        writer.submit(part(id(1), 0, 1), Vec::new()).unwrap();
        until_written(&writer, 1);
        writer
    };
    assert!(!with_pause(Duration::from_secs(3_600)).may_begin());
    let pause = Duration::from_millis(50);
    let start = Instant::now();
    let writer = with_pause(pause);
    until("the pause is over", || writer.may_begin().then_some(()));
    assert!(start.elapsed() >= pause);
}

#[test]
fn a_close_stores_what_is_under_way() {
    let (_faulty, store) = Faulty::store([Turn::Fail("not yet"), Turn::Fail("not yet")]);
    let writer = writer(&store, 0..3);
    for worker in 0..3 {
        writer.submit(part(id(1), worker, 3), Vec::new()).unwrap();
    }
    writer.close(PATIENCE).unwrap();
    assert_shares(&store.newest().unwrap().unwrap(), id(1), 3);
}

#[test]
fn a_close_does_not_wait_for_ever() {
    let (faulty, store) = Faulty::store([Turn::Hang(Arc::new(Semaphore::new(0)))]);
    let writer = writer(&store, 0..1);
    writer.submit(part(id(1), 0, 1), Vec::new()).unwrap();
    until("it is being written", || (faulty.tried() == 1).then_some(()));
    let error = chain(&writer.close(Duration::from_millis(10)).unwrap_err());
    assert!(error.contains("1 parts of a checkpoint were not stored in memory"), "{error}");
    assert_eq!(newest(&store), None);
}

#[test]
fn a_part_of_another_process_is_not_taken() {
    let (_faulty, store) = Faulty::store([]);
    let error = writer(&store, 2..4).submit(part(id(1), 1, 4), Vec::new()).unwrap_err();
    assert!(chain(&error).contains("worker 1 does not belong to the writer of workers 2..4"));
}

#[test]
fn processes_write_their_parts_at_the_same_time_and_any_of_them_completes_a_checkpoint() {
    let dir = tempdir().unwrap();
    let store = || store_in(dir.path());
    std::thread::scope(|scope| {
        for process in 0..3 {
            scope.spawn(move || {
                let workers = process * 2..process * 2 + 2;
                let store = store();
                let writer = writer(&store, workers.clone());
                for minute in 1..=8 {
                    for worker in workers.clone() {
                        writer.submit(part(id(minute), worker, 6), Vec::new()).unwrap();
                    }
                    until_written(&writer, minute);
                }
                writer.close(PATIENCE).unwrap();
            });
        }
    });
    assert_shares(&store_in(dir.path()).newest().unwrap().unwrap(), id(8), 6);
}

/// A store can be asked while a writer waits on it.
#[test]
fn a_store_answers_while_a_part_is_being_written() {
    let go_on = Arc::new(Semaphore::new(0));
    let (faulty, store) = Faulty::store([Turn::Hang(Arc::clone(&go_on))]);
    let writer = writer(&store, 0..1);
    writer.submit(part(id(1), 0, 1), Vec::new()).unwrap();
    until("it is being written", || (faulty.tried() == 1).then_some(()));
    let clone: CheckpointStore = store.clone();
    clone.register_run(1, 1).unwrap();
    assert_eq!((clone.most_workers().unwrap(), newest(&clone)), (1, None));
    go_on.add_permits(1);
    until_written(&writer, 1);
}
