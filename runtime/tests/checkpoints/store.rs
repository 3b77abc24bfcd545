//! The choice of the checkpoint that a start resumes from.

use crate::faulty::Faulty;
use crate::fixture::{
    PATIENCE, assert_shares, config_of, id, newest, origin, part, store_in, write, write_parts, writer,
};
use std::fs;
use std::path::{Path, PathBuf};
use tallow_dataflow::{CheckpointId, Settings};
use tallow_model::error::chain;
use tallow_runtime::checkpoint::{CheckpointConfig, CheckpointStore, Origin, PartHead};
use tempfile::tempdir;

/// The folder of a checkpoint.
fn folder_of(folder: &Path, id: CheckpointId) -> PathBuf {
    folder.join(format!("{:020}-{:032x}", id.frontier.0, id.run))
}

fn part_of(folder: &Path, id: CheckpointId, worker: usize, workers: usize) -> PathBuf {
    folder_of(folder, id).join(format!("part-{worker:05}-of-{workers:05}"))
}

#[test]
fn a_checkpoint_is_taken_up_by_any_number_of_workers() {
    let dir = tempdir().unwrap();
    let url = "memory:///".to_owned();
    let memory = CheckpointConfig { url, ..CheckpointConfig::default() };
    for store in [store_in(dir.path()), CheckpointStore::open(&memory, origin()).unwrap()] {
        assert_eq!(newest(&store), None);
        for (minute, workers) in [(1, 1), (2, 3), (3, 2)] {
            write(&store, id(minute), workers);
            assert_shares(&store.newest().unwrap().unwrap(), id(minute), workers);
        }
    }
}

#[test]
fn a_folder_is_made_and_found_again() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("not/there yet");
    write(&store_in(&folder), id(1), 2);
    assert!(part_of(&folder, id(1), 1, 2).is_file());
    let url = format!("file://{}", folder.display());
    let by_url = CheckpointConfig { url, ..CheckpointConfig::default() };
    assert_eq!(newest(&CheckpointStore::open(&by_url, origin()).unwrap()), Some(id(1)));
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = chain(&CheckpointStore::open(&config_of(&file.join("below")), origin()).unwrap_err());
    assert!(error.contains("create folder") && error.contains("file/below"), "{error}");
}

#[test]
fn the_name_tells_a_checkpoint_from_one_of_the_same_frontier_and_run() {
    let (one, other) = (tempdir().unwrap(), tempdir().unwrap());
    let name = |folder: &Path| store_in(folder).newest().unwrap().unwrap().name();
    write(&store_in(one.path()), id(1), 2);
    write(&store_in(other.path()), id(1), 2);
    assert_eq!(name(one.path()), name(other.path()));
    let again = CheckpointId { frontier: id(1).frontier, run: id(1).run + 1 };
    write(&store_in(other.path()), again, 2);
    assert_ne!(name(one.path()), name(other.path()));
}

#[test]
fn of_the_same_frontier_the_later_run_counts() {
    let dir = tempdir().unwrap();
    let store = store_in(dir.path());
    let later = CheckpointId { run: id(1).run + 1, ..id(1) };
    write(&store, later, 1);
    write(&store, id(1), 2);
    assert_shares(&store.newest().unwrap().unwrap(), later, 1);
}

/// Damages the newest of three checkpoints, and then the one before it too.
fn assert_falls_back(damage: impl Fn(&Path)) {
    let dir = tempdir().unwrap();
    for minute in 1..=3 {
        write(&store_in(dir.path()), id(minute), 3);
    }
    for minute in [3, 2] {
        damage(&part_of(dir.path(), id(minute), 1, 3));
        let found = store_in(dir.path()).newest().unwrap().unwrap();
        assert_shares(&found, id(minute - 1), 3);
    }
}

#[test]
fn a_missing_part_makes_an_older_checkpoint_count() {
    assert_falls_back(|part| fs::remove_file(part).unwrap());
}

#[test]
fn a_truncated_part_makes_an_older_checkpoint_count() {
    assert_falls_back(|part| {
        let bytes = fs::read(part).unwrap();
        fs::write(part, &bytes[..bytes.len() - 1]).unwrap();
    });
    assert_falls_back(|part| fs::write(part, "").unwrap());
}

#[test]
fn a_flipped_bit_makes_an_older_checkpoint_count() {
    assert_falls_back(|part| {
        let mut bytes = fs::read(part).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(part, bytes).unwrap();
    });
}

#[test]
fn a_part_under_another_name_makes_an_older_checkpoint_count() {
    assert_falls_back(|part| {
        let other = part.with_file_name("part-00000-of-00003");
        fs::copy(other, part).unwrap();
    });
}

#[test]
fn parts_that_do_not_go_together_make_an_older_checkpoint_count() {
    let dir = tempdir().unwrap();
    let store = store_in(dir.path());
    write(&store, id(1), 2);
    // A partition in both parts.
    let both = writer(&store, 0..2);
    let (head, pieces) = part(id(2), 1, 2);
    let partitions = part(id(2), 0, 2).0.partitions;
    both.submit((PartHead { partitions, ..head }, pieces), Vec::new()).unwrap();
    both.submit(part(id(2), 0, 2), Vec::new()).unwrap();
    both.close(PATIENCE).unwrap();
    assert_eq!(newest(&store), Some(id(1)));
    // Parts taken under different settings.
    let mut origin = origin();
    origin.meaning[0].1 = "2".to_owned();
    let other = CheckpointStore::open(&config_of(dir.path()), origin).unwrap();
    write_parts(&store, id(3), 0..1, 2);
    write_parts(&other, id(3), 1..2, 2);
    assert_eq!(newest(&store), Some(id(1)));
}

#[test]
fn checkpoints_of_which_none_can_be_read_are_not_passed_over() {
    let dir = tempdir().unwrap();
    for minute in 1..=2 {
        write(&store_in(dir.path()), id(minute), 1);
        fs::write(part_of(dir.path(), id(minute), 0, 1), "damaged").unwrap();
    }
    let error = chain(&store_in(dir.path()).newest().unwrap_err());
    assert_eq!(error.matches("part-00000-of-00001 is damaged: it has 7 bytes only").count(), 2, "{error}");
    assert!(error.contains("--from-scratch") && error.contains(&*dir.path().to_string_lossy()), "{error}");
}

#[test]
fn a_run_that_ended_within_its_first_checkpoint_is_started_anew() {
    let dir = tempdir().unwrap();
    write_parts(&store_in(dir.path()), id(1), 1..2, 2);
    assert_eq!(newest(&store_in(dir.path())), None);
}

#[test]
fn other_settings_are_named_with_both_values_and_what_to_do() {
    let dir = tempdir().unwrap();
    write(&store_in(dir.path()), id(1), 1);
    let mut origin = origin();
    origin.source = "kafka:other".to_owned();
    origin.meaning[1].1 = "5.5".to_owned();
    origin.meaning[2].0 = "anomalies.fewest".to_owned();
    let error = CheckpointStore::open(&config_of(dir.path()), origin).unwrap().newest().unwrap_err();
    let error = chain(&error);
    for words in [
        "the source was kafka:crypto-prices and is kafka:other",
        "anomalies.threshold was 4 and is 5.5",
        "anomalies.fewest was not there and is 20",
        "anomalies.min_samples was 20 and is not there",
        "set them back",
        "--from-scratch",
        "checkpoint.url",
    ] {
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    }
    assert!(!error.contains("rules"), "{error}");
}

#[test]
fn a_graph_with_another_threshold_does_not_take_up_a_checkpoint() {
    let dir = tempdir().unwrap();
    let store = |settings: &Settings| {
        let origin = Origin::of("kafka:crypto-prices".to_owned(), settings);
        CheckpointStore::open(&config_of(dir.path()), origin).unwrap()
    };
    let mut settings = Settings::default();
    write(&store(&settings), id(1), 1);
    assert_eq!(newest(&store(&settings)), Some(id(1)));
    settings.anomalies.threshold = 4.5;
    let error = chain(&store(&settings).newest().unwrap_err());
    assert!(error.contains("settings: anomalies.threshold was 4 and is 4.5; set them back"), "{error}");
}

#[test]
fn other_settings_are_not_got_round_by_an_older_checkpoint() {
    let dir = tempdir().unwrap();
    write(&store_in(dir.path()), id(1), 1);
    let mut origin = origin();
    origin.meaning[1].1 = "5".to_owned();
    let other = CheckpointStore::open(&config_of(dir.path()), origin).unwrap();
    write(&other, id(2), 1);
    assert_eq!(newest(&other), Some(id(2)));
    let error = chain(&store_in(dir.path()).newest().unwrap_err());
    assert!(error.contains("anomalies.threshold was 5 and is 4"), "{error}");
}

#[test]
fn from_scratch_removes_all_checkpoints_and_nothing_else() {
    let dir = tempdir().unwrap();
    let store = store_in(dir.path());
    store.register_run(7, 2).unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    write(&store, id(1), 2);
    write_parts(&store, id(2), 0..1, 2);
    assert_eq!(store.discard_all().unwrap(), 2);
    assert_eq!(store.discard_all().unwrap(), 0);
    assert_eq!(newest(&store), None);
    assert!(!folder_of(dir.path(), id(1)).exists());
    assert!(dir.path().join("notes.txt").exists() && dir.path().join("folder").exists());
    assert_eq!(store.most_workers().unwrap(), 2);
}

#[test]
fn the_most_workers_of_any_run_are_known_to_later_ones() {
    let (_faulty, memory) = Faulty::store([]);
    let dir = tempdir().unwrap();
    for store in [memory, store_in(dir.path())] {
        assert_eq!(store.most_workers().unwrap(), 0);
        store.register_run(1, 8).unwrap();
        // Every process of a run may register it.
        store.register_run(1, 8).unwrap();
        for run in 2..=9 {
            store.register_run(run, 2).unwrap();
        }
        assert_eq!(store.most_workers().unwrap(), 8);
        assert_eq!(newest(&store), None);
    }
    let left = fs::read_dir(dir.path().join("runs")).unwrap().count();
    assert_eq!(left, 4, "the newest three, and the one with the most workers");
}
