//! The laws of `tallow_model::version`, on random series with corrections, losses and restarts.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;
use tallow_model::version::{Arrival, Sequence, Version};
use tallow_model::{Candle, EventTime, Interval, Price, SettledCandle};

/// Versions of few windows, so that many are of the same one.
fn version() -> impl Strategy<Value = Version> {
    (0..4_u64, any::<bool>(), 1..5_u64, 0..3_u32).prop_map(|(minute, is_closed, ticks, revision)| Version {
        window_start: EventTime(minute * 60_000),
        is_closed,
        ticks,
        revision: if is_closed { revision } else { 0 },
    })
}

fn versions() -> impl Strategy<Value = Vec<Version>> {
    prop::collection::vec(version(), 0..40)
}

/// Publishes the versions; returns the updates by number.
fn publish(publisher: &mut Sequence, versions: &[Version]) -> Vec<(u64, Version)> {
    let admit = |version: &Version| Some((publisher.admit(*version)?.seq, *version));
    versions.iter().filter_map(admit).collect()
}

/// Follows every update that is no duplicate; returns those.
fn follow(reader: &mut Sequence, updates: &[(u64, Version)]) -> Vec<(u64, Version)> {
    let mut followed = Vec::new();
    for (seq, version) in updates {
        if reader.judge(*seq, *version) != Arrival::Duplicate {
            reader.follow(*seq, *version);
            followed.push((*seq, *version));
        }
    }
    followed
}

proptest! {
    #[test]
    fn numbers_grow_by_one_and_the_newest_version_never_becomes_older(versions in versions()) {
        let mut publisher = Sequence::default();
        for version in versions {
            let before = publisher;
            let Some(admission) = publisher.admit(version) else {
                prop_assert!(!version.is_closed, "a closed candle is always published");
                prop_assert_eq!(publisher, before);
                continue;
            };
            prop_assert_eq!(admission.seq, before.seq() + 1);
            prop_assert_eq!(publisher.seq(), admission.seq);
            prop_assert_eq!(admission.is_newest, before.is_newer(version));
            prop_assert_eq!(publisher.newest(), before.newest().max(Some(version)));
        }
    }

    #[test]
    fn an_open_candle_follows_no_closed_one_of_its_window(versions in versions()) {
        let updates = publish(&mut Sequence::default(), &versions);
        for (index, (_, version)) in updates.iter().enumerate().filter(|(_, (_, it))| !it.is_closed) {
            let closed = updates[..index].iter().filter(|(_, it)| it.is_closed);
            prop_assert!(closed.clone().all(|(_, it)| it.window_start < version.window_start));
        }
    }

    #[test]
    fn a_reader_of_every_update_stands_where_the_publisher_stands(versions in versions()) {
        let (mut publisher, mut reader) = (Sequence::default(), Sequence::default());
        for version in versions {
            if let Some(admission) = publisher.admit(version) {
                prop_assert_eq!(reader.judge(admission.seq, version), Arrival::Next);
                prop_assert_eq!(reader.missing_from(admission.seq), None);
                prop_assert_eq!(reader.follow(admission.seq, version), admission.is_newest);
            }
            prop_assert_eq!(reader, publisher);
        }
    }

    #[test]
    fn an_update_that_was_followed_before_is_a_duplicate(versions in versions()) {
        let updates = publish(&mut Sequence::default(), &versions);
        let mut reader = Sequence::default();
        for (count, (seq, version)) in updates.iter().enumerate() {
            reader.follow(*seq, *version);
            for (seq, version) in &updates[..=count] {
                prop_assert_eq!(reader.judge(*seq, *version), Arrival::Duplicate);
            }
        }
    }

    #[test]
    fn a_reader_knows_the_first_of_lost_updates(versions in versions(), kept in any::<prop::sample::Index>()) {
        let updates = publish(&mut Sequence::default(), &versions);
        prop_assume!(updates.len() > 2);
        let kept = kept.index(updates.len() - 2);
        let mut reader = Sequence::default();
        follow(&mut reader, &updates[..=kept]);
        for (seq, version) in &updates[kept + 2..] {
            prop_assert_eq!(reader.judge(*seq, *version), Arrival::Gap);
            prop_assert_eq!(reader.missing_from(*seq), Some(updates[kept + 1].0));
        }
    }

    #[test]
    fn a_publisher_that_resumes_opens_no_earlier_window(
        before in versions(),
        after in versions(),
    ) {
        let (mut publisher, mut reader) = (Sequence::default(), Sequence::default());
        follow(&mut reader, &publish(&mut publisher, &before));
        // The publisher replays everything, from the number and the newest version that the cache
        // kept.
        let mut resumed = Sequence::resume(publisher.seq(), publisher.newest());
        let replay: Vec<Version> = before.iter().chain(&after).copied().collect();
        for (seq, version) in publish(&mut resumed, &replay) {
            prop_assert_eq!(reader.judge(seq, version), Arrival::Next);
            // Of the newest window itself an open candle must be newer, until a later window opens.
            let newest = reader.newest().filter(|it| it.window_start == version.window_start);
            prop_assert!(version.is_closed || newest.is_none_or(|newest| version > newest));
            let first = publisher.newest().map(|newest| newest.window_start);
            prop_assert!(version.is_closed || first.is_none_or(|first| version.window_start >= first));
            reader.follow(seq, version);
        }
        prop_assert_eq!(reader.newest(), resumed.newest());
    }

    #[test]
    fn readers_follow_restarted_numbers_from_the_first_newer_update(
        before in versions(),
        after in versions(),
    ) {
        let (mut publisher, mut reader) = (Sequence::default(), Sequence::default());
        follow(&mut reader, &publish(&mut publisher, &before));
        let left = reader;
        let mut restarted = Sequence::default();
        let replay: Vec<Version> = before.iter().chain(&after).copied().collect();
        let updates = publish(&mut restarted, &replay);
        let followed = follow(&mut reader, &updates);
        // Everything that is newer than what readers had is followed; the newest is never lost.
        prop_assert_eq!(reader.newest(), left.newest().max(restarted.newest()));
        if let Some((first, version)) = followed.first() {
            prop_assert!(*first > left.seq() || left.is_newer(*version));
            let rest: Vec<_> = updates.iter().copied().filter(|(seq, _)| seq >= first).collect();
            prop_assert_eq!(followed, rest);
            prop_assert_eq!(reader.seq(), restarted.seq());
        }
    }

    #[test]
    fn a_store_moves_forward_only_and_takes_a_replay_without_change(
        written in prop::collection::vec((1..5_u32, 0..4_u32), 1..20),
    ) {
        let candles: Vec<SettledCandle> = written.iter().map(|(ticks, revision)| settled(*ticks, *revision)).collect();
        let mut stored = candles[0];
        for candle in &candles {
            let before = stored;
            stored.replace_if_newer(candle);
            prop_assert!(stored.version() >= before.version() || stored.candle.count > before.candle.count);
            prop_assert!(stored.revision >= before.revision);
        }
        prop_assert_eq!(Some(stored.candle.count), candles.iter().map(|it| it.candle.count).max());
        let once = stored;
        candles.iter().for_each(|candle| stored.replace_if_newer(candle));
        prop_assert_eq!(stored, once);
    }
}

fn settled(ticks: u32, revision: u32) -> SettledCandle {
    let price = Price(f64::from(ticks) + f64::from(revision) / 10.0);
    let candle = Candle {
        window_start: EventTime(60_000),
        open: price,
        high: price,
        low: price,
        close: price,
        count: ticks,
        sized: 0,
        price_sum: 0,
        size_sum: 0,
        notional_sum: 0,
        day_volume: None,
    };
    let symbol = "BTC".parse().unwrap();
    let settled_at = EventTime(120_000);
    SettledCandle { symbol, interval: Interval::OneMinute, candle, revision, settled_at }
}
