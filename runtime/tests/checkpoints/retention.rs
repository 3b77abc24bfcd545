//! The removal of old checkpoints.

use crate::fixture::{id, newest, store_in, write, write_parts};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tallow_dataflow::CheckpointId;
use tallow_model::MINUTE_MS;
use tempfile::tempdir;

/// The minutes of the checkpoints of which there is something.
fn kept(folder: &Path) -> Vec<u64> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let minutes = names.map(|name| name.split_once('-').unwrap().0.parse::<u64>().unwrap() / MINUTE_MS);
    minutes.collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn the_newest_three_stay() {
    let dir = tempdir().unwrap();
    for minute in 1..=9 {
        write(&store_in(dir.path()), id(minute), 2);
        let oldest = minute.saturating_sub(2).max(1);
        assert_eq!(kept(dir.path()), (oldest..=minute).collect::<Vec<_>>());
        assert_eq!(newest(&store_in(dir.path())), Some(id(minute)));
    }
}

#[test]
fn what_is_not_complete_counts_for_nothing_and_goes_with_what_is_as_old() {
    let dir = tempdir().unwrap();
    let store = store_in(dir.path());
    for minute in [1, 2, 3] {
        write(&store, id(minute), 2);
    }
    for minute in [4, 5, 6, 7] {
        write_parts(&store, id(minute), 0..1, 2);
    }
    assert_eq!(kept(dir.path()), [1, 2, 3, 4, 5, 6, 7], "three are complete");
    for minute in [8, 9] {
        write(&store, id(minute), 2);
    }
    assert_eq!(kept(dir.path()), [3, 4, 5, 6, 7, 8, 9]);
    write(&store, id(10), 2);
    assert_eq!(kept(dir.path()), [8, 9, 10]);
}

#[test]
fn only_the_process_of_worker_0_removes() {
    let dir = tempdir().unwrap();
    let store = store_in(dir.path());
    for minute in 1..=5 {
        write_parts(&store, id(minute), 0..1, 2);
        write_parts(&store, id(minute), 1..2, 2);
    }
    // The process of worker 0 stored its part of the fifth before that was complete.
    assert_eq!(kept(dir.path()), [2, 3, 4, 5]);
    write_parts(&store, id(6), 1..2, 2);
    assert_eq!(kept(dir.path()), [2, 3, 4, 5, 6]);
}

#[test]
fn a_checkpoint_that_was_found_damaged_keeps_no_whole_one_from_staying() {
    let dir = tempdir().unwrap();
    for minute in 1..=3 {
        write(&store_in(dir.path()), id(minute), 1);
    }
    for minute in [2, 3] {
        let CheckpointId { frontier, run } = id(minute);
        fs::write(dir.path().join(format!("{:020}-{run:032x}/part-00000-of-00001", frontier.0)), "x")
            .unwrap();
    }
    let store = store_in(dir.path());
    assert_eq!(newest(&store), Some(id(1)));
    write(&store, id(4), 1);
    assert_eq!(kept(dir.path()), [1, 2, 3, 4], "two are whole");
    write(&store, id(5), 1);
    write(&store, id(6), 1);
    assert_eq!(kept(dir.path()), [4, 5, 6]);
}

#[test]
fn what_a_killed_writer_left_half_written_is_removed_in_time() {
    let dir = tempdir().unwrap();
    let CheckpointId { frontier, run } = id(1);
    let folder = dir.path().join(format!("{:020}-{run:032x}", frontier.0));
    fs::create_dir(&folder).unwrap();
    // That is how the client calls a file that it has not finished.
    fs::write(folder.join("part-00000-of-00001#1"), "half").unwrap();
    assert_eq!(newest(&store_in(dir.path())), None);
    for minute in 2..=4 {
        write(&store_in(dir.path()), id(minute), 1);
    }
    assert_eq!(kept(dir.path()), [2, 3, 4]);
}

#[test]
fn nothing_else_in_the_folder_is_touched() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("0-notes.txt");
    fs::write(&file, "mine").unwrap();
    for minute in 1..=5 {
        write(&store_in(dir.path()), id(minute), 1);
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}
