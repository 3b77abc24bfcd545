//! The rows of the tables, digit for digit, as another program reads them.

use super::{candle, migrated, step, symbol};
use postgres::Client;
use tallow_connectors::stores::postgres::{PostgresSink, Share, name_coins};
use tallow_model::coins::Coins;
use tallow_model::store::{MAX_KEPT_REJECTS, MAX_RAW_BYTES, Sink};
use tallow_model::{
    Alert, AlertStatus, EventTime, MINUTE_MS, Price, Reject, RejectReason, SettledAlert, Step,
};

fn texts(client: &mut Client, query: &str) -> Vec<String> {
    client.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn numbers_and_times_are_those_of_the_log() {
    let Some((database, config)) = migrated() else { return };
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let mut settled = candle("BTC", 29_387_850, 1_219.345_585_274_282_7);
    settled.candle.low = Price(1e-18);
    settled.candle.high = Price(1e12);
    settled.candle.close = Price(0.1 + 0.2);
    settled.candle.size_sum = 12_345_678_901_234_567_890_123;
    sink.write(&[step(0, vec![settled])]).unwrap();
    let row = "SELECT CONCAT_WS(' ', symbol, open_price, high_price, low_price, close_price, volume_sum, trade_count,
            revision, window_start AT TIME ZONE 'UTC', window_end AT TIME ZONE 'UTC', a.updated_at = window_end,
            created_at = window_end, is_active)
        FROM price_aggregates_1m AS a JOIN cryptocurrencies ON id = crypto_id";
    assert_eq!(
        texts(&mut database.connect(), row),
        [
            "BTC 1219.3455852742827 1000000000000 0.000000000000000001 0.30000000000000004 12345678.901234567890123 1 0 \
            2025-11-16 05:30:00 2025-11-16 05:31:00 t t t"
        ]
    );
}

#[test]
fn an_alert_carries_the_previous_close_and_the_close() {
    let Some((database, config)) = migrated() else { return };
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let alert = Alert {
        symbol: symbol("BTC"),
        window_start: EventTime(MINUTE_MS),
        open: Price(100.0),
        close: Price(103.53),
        previous_close: Price(100.1),
        z_score: Price(6.4),
        mean: Price(0.1),
        stddev: Price(0.2),
        samples: 60,
        threshold: Price(4.0),
        revision: 2,
    };
    let settled_at = EventTime(5 * MINUTE_MS);
    let settled = SettledAlert { alert, status: AlertStatus::Raised, settled_at };
    sink.write(&[Step { alerts: vec![settled], ..Step::default() }]).unwrap();
    let row = "SELECT CONCAT_WS(' ', alert_id, alert_type, severity, old_price, new_price, z_score, mean, stddev, samples,
            threshold, revision, status, EXTRACT(EPOCH FROM a.created_at)::INT8, EXTRACT(EPOCH FROM settled_at)::INT8)
        FROM price_alerts AS a";
    assert_eq!(
        texts(&mut database.connect(), row),
        ["BTC:1m:60000:zscore PRICE_SPIKE MEDIUM 100.1 103.53 6.4 0.1 0.2 60 4 2 raised 120 300"]
    );
}

#[test]
fn a_symbol_is_named_when_it_is_first_seen_and_by_whom_it_was_named_before() {
    let Some((database, config)) = migrated() else { return };
    let mut client = database.connect();
    let rows = "INSERT INTO cryptocurrencies (symbol, name, coingecko_id, created_at, updated_at) VALUES
        ('ETH', 'My ether', NULL, 'epoch', 'epoch'), ('SOL', NULL, NULL, 'epoch', 'epoch'),
        ('XRP', NULL, 'mine', 'epoch', 'epoch'), ('ODD', NULL, NULL, 'epoch', 'epoch')";
    client.batch_execute(rows).unwrap();
    let coins = Coins::with(&["my-coin:MINE:My coin", "matic-network:POL"].map(|coin| coin.parse().unwrap()));
    let seen = ["BTC", "ETH", "MINE", "POL", "STRANGE"].map(|name| candle(name, 1, 1.0)).to_vec();
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap().with_coins(coins.clone());
    sink.write(&[step(0, seen)]).unwrap();
    let called = "SELECT CONCAT_WS('|', symbol, COALESCE(name, '-'), COALESCE(coingecko_id, '-')) FROM cryptocurrencies
        ORDER BY symbol";
    assert_eq!(
        texts(&mut client, called),
        [
            "BTC|Bitcoin|bitcoin",
            "ETH|My ether|-",
            "MINE|My coin|my-coin",
            "ODD|-|-",
            "POL|POL|matic-network",
            "SOL|-|-",
            "STRANGE|-|-",
            "XRP|-|mine",
        ]
    );
    // What a migration fills in is what nobody has written.
    assert_eq!(name_coins(&config, &coins).unwrap(), 3);
    assert_eq!(name_coins(&config, &coins).unwrap(), 0);
    let named = texts(&mut client, called);
    assert_eq!(
        [&named[1], &named[5], &named[7]],
        ["ETH|My ether|ethereum", "SOL|Solana|solana", "XRP|XRP|mine"]
    );
    assert_eq!([&named[3], &named[6]], ["ODD|-|-", "STRANGE|-|-"]);
}

fn reject(offset: u64, raw: &[u8], detail: &str) -> Reject {
    Reject {
        partition: 1,
        offset,
        log_time: None,
        reason: RejectReason::Malformed,
        detail: detail.to_owned(),
        raw: raw.to_vec(),
    }
}

#[test]
fn a_reject_is_kept_once_with_its_bytes_and_a_long_one_with_its_beginning() {
    let Some((database, config)) = migrated() else { return };
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let long = vec![b'x'; MAX_RAW_BYTES + 7];
    for _ in 0..2 {
        sink.write_rejects(&[reject(5, b"\xff\0{", "has \0 in it"), reject(u64::MAX, &long, "")]).unwrap();
    }
    let rows = r#"SELECT CONCAT_WS(' ', "offset", reason, detail, LEFT(ENCODE(raw, 'hex'), 6), LENGTH(raw), raw_len)
        FROM rejects ORDER BY id"#;
    assert_eq!(
        texts(&mut database.connect(), rows),
        [
            "5 malformed has \u{fffd} in it ff007b 3 3".to_owned(),
            format!("{} malformed  787878 {MAX_RAW_BYTES} {}", i64::MAX, MAX_RAW_BYTES + 7)
        ]
    );
}

#[test]
fn a_log_that_is_made_anew_has_rejects_of_its_own_at_the_same_offsets() {
    let Some((database, config)) = migrated() else { return };
    // A row of before there was the column.
    let old = r#"INSERT INTO rejects (partition, "offset", reason, detail, raw, raw_len)
        VALUES (1, 7, 'malformed', '', 'old', 3)"#;
    database.connect().batch_execute(old).unwrap();
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let at = |log_time, raw: &[u8]| Reject { log_time: Some(EventTime(log_time)), ..reject(7, raw, "") };
    for _ in 0..2 {
        sink.write_rejects(&[at(1_000, b"old"), at(1_000, b"one"), at(2_000, b"one"), at(2_000, b"other")])
            .unwrap();
    }
    let rows = "SELECT CONCAT_WS(' ', CONVERT_FROM(raw, 'UTF8'), EXTRACT(EPOCH FROM log_time)::INT8) FROM rejects ORDER BY id";
    assert_eq!(texts(&mut database.connect(), rows), ["old", "one 1", "one 2", "other 2"]);
}

#[test]
fn only_the_newest_rejects_are_kept() {
    let Some((database, config)) = migrated() else { return };
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let most = MAX_KEPT_REJECTS as u64;
    let rejects: Vec<Reject> = (0..most + 10).map(|offset| reject(offset, b"{", "")).collect();
    // What comes again leaves gaps in the numbers, which must not count as rows.
    for part in [&rejects[..1_000], &rejects[..1_000], &rejects[1_000..]] {
        sink.write_rejects(part).unwrap();
    }
    let kept = r#"SELECT CONCAT_WS(' ', COUNT(*), MIN("offset")) FROM rejects"#;
    assert_eq!(texts(&mut database.connect(), kept), [format!("{most} 10")]);
}
