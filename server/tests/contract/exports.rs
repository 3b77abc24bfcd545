//! Exports: they equal all pages together, even if candles settle while they are read.

use crate::market::DAY;
use crate::sides::Both;
use std::collections::BTreeSet;
use tallow_model::{Interval, SettledCandle};
use tallow_testing::samples::{MINUTE, candle, corrected, step};
use tallow_testing::server::Client;

/// The number of minutes of `LONG`: more than five parts of an export.
const LENGTH: u64 = 5_250;
/// The minutes of `LONG` that have no candle at first.
const QUIET: [u64; 4] = [3, 700, 4_600, 5_200];

fn long(minute: u64) -> SettledCandle {
    candle(
        "LONG",
        Interval::OneMinute,
        DAY + minute * MINUTE,
        1 + minute as u32 % 9,
        0.5 + minute as f64 / 64.0,
    )
}

async fn with_long() -> Both {
    let mut both = Both::start().await;
    let candles = (0..LENGTH).filter(|minute| !QUIET.contains(minute)).map(long).collect();
    both.write(&[step(candles, vec![])]);
    both
}

/// All pages in CSV, together under one header line.
async fn pages(client: Client, symbol: &str, query: &str, limit: usize) -> String {
    let mut next = Some(format!("/api/v1/historical/{symbol}?format=csv&limit={limit}&{query}"));
    let mut whole = String::new();
    while let Some(target) = next {
        let page = client.get(&target).await;
        let text = std::str::from_utf8(&page.body).unwrap();
        let names = text.find('\n').unwrap() + 1;
        whole.push_str(if whole.is_empty() { text } else { &text[names..] });
        let link = page.headers.get("link").map(|link| link.to_str().unwrap());
        next = link.map(|link| link[1..link.find('>').unwrap()].to_owned());
    }
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_all_pages_together() {
    let both = with_long().await;
    for client in both.clients() {
        for (symbol, range, limit) in [
            ("BTC", "interval=1m", 7),
            ("BTC", "interval=5m", 7),
            ("BTC", "interval=15m&start_time=2025-11-16T02:31:00Z&end_time=2025-11-17T01:31:00Z", 7),
            ("BTC", "interval=1h", 5),
            ("BTC", "interval=1d", 1),
            ("eth", "interval=1m", 10),
            ("LONG", "interval=1m", 1000),
            ("LONG", "interval=1m&start_time=2025-11-17T00:10:30Z&end_time=2025-11-19T12:00:00Z", 1000),
        ] {
            for order in ["asc", "desc"] {
                let query = format!("{range}&order_by={order}");
                let export = client.get(&format!("/api/v1/historical/{symbol}/export?{query}")).await;
                assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
                let expected = pages(client, symbol, &query, limit).await;
                assert!(
                    export.body == expected,
                    "{symbol} {query}: {} bytes of {}",
                    export.body.len(),
                    expected.len()
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_lines_are_the_objects_of_the_array() {
    let both = Both::start().await;
    for client in both.clients() {
        for query in ["interval=1m&order_by=asc", "interval=1h&order_by=desc"] {
            let export = client.get(&format!("/api/v1/historical/BTC/export?format=jsonl&{query}")).await;
            assert_eq!(export.header("content-type"), "application/jsonl");
            let array = client.get(&format!("/api/v1/historical/BTC?limit=1000&{query}")).await;
            let lines: Vec<&str> = std::str::from_utf8(&export.body).unwrap().lines().collect();
            assert!(export.body.ends_with(b"}\n"));
            assert_eq!(format!("[{}]", lines.join(",")), std::str::from_utf8(&array.body).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_has_each_window_once_while_candles_settle() {
    for order in ["asc", "desc"] {
        let mut both = with_long().await;
        let mut exports = Vec::new();
        for client in both.clients() {
            let path = format!("/api/v1/historical/LONG/export?order_by={order}");
            let mut export = client.begin(&path, &[]).await;
            let first = export.part().await.unwrap().unwrap();
            exports.push((first, export));
        }
        // Windows before the part that was sent, far behind it, at the ends of parts, and newer
        // than all.
        let late = QUIET.into_iter().chain([LENGTH, LENGTH + 1]).map(long);
        let again = [0, 999, 1000, 2999, 3000, 4800].map(|minute| corrected(&long(minute), 7.25));
        both.write(&[step(late.chain(again).collect(), vec![])]);

        for (first, export) in exports {
            let whole = [first, export.rest().await.unwrap()].concat();
            let mut reader = csv::Reader::from_reader(&whole[..]);
            let starts: Vec<u64> = reader
                .records()
                .map(|record| record.unwrap()[1].parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64)
                .map(|start| (start - DAY) / MINUTE)
                .collect();
            let in_order = |pair: &[u64]| if order == "asc" { pair[0] < pair[1] } else { pair[0] > pair[1] };
            assert!(starts.windows(2).all(in_order), "{order}: each window once, in order");
            let seen: BTreeSet<u64> = starts.into_iter().collect();
            let settled_before = (0..LENGTH).filter(|minute| !QUIET.contains(minute));
            assert!(
                settled_before.into_iter().all(|minute| seen.contains(&minute)),
                "{order}: no window is missing"
            );
            let [behind, before] = if order == "asc" { [5_200, 3] } else { [3, 5_200] };
            assert!(seen.contains(&behind) && !seen.contains(&before), "{order}: read while it was sent");
        }
    }
}
