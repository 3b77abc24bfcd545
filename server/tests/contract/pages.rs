//! Pages of candles: together they are the whole range, even if candles settle between two pages.
//! Also filled gaps and rolled-up windows.

use crate::market::{self, CORRECTED, DAY, MINUTES, QUIET};
use crate::sides::Both;
use serde_json::{Value, json};
use tallow_model::Interval;
use tallow_testing::samples::{HOUR, MIDNIGHT, MINUTE, candle, corrected, step};
use tallow_testing::server::http::Reply;

fn rows(reply: &Reply) -> Vec<Value> {
    reply.json().as_array().unwrap().clone()
}

/// The start of a window in milliseconds.
fn start(row: &Value) -> u64 {
    let time: jiff::Timestamp = row["window_start"].as_str().unwrap().parse().unwrap();
    time.as_millisecond() as u64
}

/// The address of the next page, after checking that `Link` and `X-Next-Cursor` agree.
fn next(reply: &Reply) -> Option<String> {
    let link = reply.headers.get("link").map(|link| link.to_str().unwrap());
    assert_eq!(link.is_some(), reply.header("x-has-more") == "true", "{reply:?}");
    let link = link?;
    assert!(link.ends_with("; rel=\"next\""), "{link}");
    if link.contains("cursor=") {
        assert!(link.contains(&format!("cursor={}", reply.header("x-next-cursor"))), "{link}");
    }
    Some(link[1..link.find('>').unwrap()].to_owned())
}

/// The rows of all pages from this one on; every page but the last has `limit` rows.
async fn walk(both: &Both, target: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut page) = (Vec::new(), Some(target.to_owned()));
    while let Some(target) = page {
        let reply = both.get(&target).await;
        let some = rows(&reply);
        assert_eq!(reply.header("x-returned-count"), some.len().to_string());
        page = next(&reply);
        assert!(some.len() == limit || page.is_none(), "{target}: {}", some.len());
        all.extend(some);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_together_are_the_whole_range() {
    let both = Both::start().await;
    for query in [
        "",
        "&fill=previous",
        "&interval=5m",
        "&interval=1h&fill=previous",
        "&start_time=2025-11-17T00:25:00Z",
    ] {
        for order in ["asc", "desc"] {
            let target = format!("/api/v1/historical/BTC?order_by={order}{query}");
            let whole = both.get(&format!("{target}&limit=1000")).await;
            assert_eq!(whole.header("x-has-more"), "false");
            let whole = rows(&whole);
            for paging in ["", "&offset=0"] {
                assert_eq!(
                    walk(&both, &format!("{target}&limit=7{paging}"), 7).await,
                    whole,
                    "{target}{paging}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_by_cursor_show_each_window_once_while_corrections_arrive() {
    for order in ["asc", "desc"] {
        let mut both = Both::start().await;
        let late = |minute: u64| candle("BTC", Interval::OneMinute, DAY + minute * MINUTE, 1, 90_000.5);
        let mut arriving = vec![
            // Missing windows before and behind any page, windows at the ends of pages, and newer
            // ones.
            vec![late(QUIET[0]), corrected(&market::minute(10), 7.25)],
            vec![corrected(&market::minute(119), 7.5), corrected(&market::minute(4), 7.75)],
            vec![late(QUIET[3]), late(MINUTES), corrected(&market::minute(60), 8.0)],
            vec![late(QUIET[1]), corrected(&market::minute(CORRECTED), 8.25)],
        ]
        .into_iter();
        let (mut seen, mut totals) = (Vec::new(), Vec::new());
        let mut page = Some(format!("/api/v1/historical/BTC?limit=10&order_by={order}"));
        while let Some(target) = page {
            let reply = both.get(&target).await;
            seen.extend(rows(&reply).iter().map(start));
            totals.push(reply.header("x-total-count").parse::<u64>().unwrap());
            page = next(&reply);
            if let Some(candles) = arriving.next() {
                both.write(&[step(candles, vec![])]);
            }
        }
        assert!(arriving.next().is_none(), "each step arrived between two pages");
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if order == "desc" {
            sorted.reverse();
        }
        assert_eq!(seen, sorted, "{order}: each window once, in order");
        let settled_before =
            (0..MINUTES).filter(|minute| !QUIET.contains(minute)).map(|minute| DAY + minute * MINUTE);
        assert!(settled_before.clone().all(|start| seen.contains(&start)), "{order}: no window is missing");
        let count = settled_before.count() as u64;
        assert_eq!((totals[0], *totals.last().unwrap()), (count, count + 4));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_are_filled_at_the_previous_close() {
    let both = Both::start().await;
    let reply = both.get("/api/v1/historical/BTC?fill=previous&order_by=asc&limit=1000").await;
    let filled = rows(&reply);
    assert_eq!(reply.header("x-total-count"), MINUTES.to_string());
    let starts: Vec<u64> = filled.iter().map(start).collect();
    assert_eq!(starts, (0..MINUTES).map(|minute| DAY + minute * MINUTE).collect::<Vec<u64>>());
    for (minute, row) in (0..).zip(&filled) {
        if !QUIET.contains(&minute) {
            assert!(row["trade_count"].as_u64().unwrap() > 0, "{row}");
            continue;
        }
        let close = &filled[minute as usize - 1]["close_price"];
        for price in ["open_price", "high_price", "low_price", "close_price", "avg_price"] {
            assert_eq!(&row[price], close, "{row}");
        }
        let rest =
            json!([row["vwap"], row["volume_sum"], row["quote_volume"], row["trade_count"], row["revision"]]);
        assert_eq!(rest, json!([null, 0.0, 0.0, 0, 0]));
    }
    let corrected = &filled[CORRECTED as usize];
    assert_eq!((&corrected["revision"], &corrected["close_price"]), (&json!(1), &json!(95_000.000_000_12)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_has_the_rows_of_the_json_array() {
    let both = Both::start().await;
    for query in ["limit=1000", "fill=previous&order_by=asc", "interval=1d", "interval=4h&order_by=asc"] {
        let array = rows(&both.get(&format!("/api/v1/historical/BTC?{query}")).await);
        let table = both.get(&format!("/api/v1/historical/BTC?{query}&format=csv")).await;
        assert_eq!(table.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(table.header("x-returned-count"), array.len().to_string());
        let mut reader = csv::Reader::from_reader(&table.body[..]);
        let names = reader.headers().unwrap().clone();
        assert_eq!(
            names,
            "symbol,window_start,window_end,open_price,high_price,low_price,close_price,avg_price,vwap,volume_sum,\
             quote_volume,trade_count,revision"
                .split(',')
                .collect::<csv::StringRecord>()
        );
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), array.len());
        for (record, row) in records.iter().zip(&array) {
            for (name, cell) in names.iter().zip(record) {
                let expected = &row[name];
                let shown = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
                assert_eq!(if cell.is_empty() { "null" } else { cell }, shown, "{name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn longer_windows_are_rolled_up_from_quarters() {
    let both = Both::start().await;
    let quarters = rows(&both.get("/api/v1/historical/BTC?interval=15m&order_by=asc&limit=1000").await);
    for (name, window) in [("1h", HOUR), ("4h", 4 * HOUR), ("1d", 24 * HOUR)] {
        let whole =
            rows(&both.get(&format!("/api/v1/historical/BTC?interval={name}&order_by=asc&limit=1000")).await);
        // Two hours of the second day are settled.
        let expected: Vec<u64> = (0..)
            .map(|number| MIDNIGHT + number * window)
            .take_while(|at| at + window <= DAY + 2 * HOUR)
            .collect();
        assert_eq!(whole.iter().map(start).collect::<Vec<u64>>(), expected, "{name}");
        for row in &whole {
            let within = |quarter: &&Value| (start(row)..start(row) + window).contains(&start(quarter));
            let parts: Vec<&Value> = quarters.iter().filter(within).collect();
            let numbers = |field: &str| -> Vec<f64> {
                parts.iter().map(|part| part[field].as_f64().unwrap()).collect()
            };
            let (first, last) = (parts[0], parts[parts.len() - 1]);
            assert_eq!(
                (&row["open_price"], &row["close_price"]),
                (&first["open_price"], &last["close_price"])
            );
            assert_eq!(row["high_price"], json!(numbers("high_price").into_iter().fold(f64::MIN, f64::max)));
            assert_eq!(row["low_price"], json!(numbers("low_price").into_iter().fold(f64::MAX, f64::min)));
            assert_eq!(row["trade_count"].as_f64().unwrap(), numbers("trade_count").iter().sum::<f64>());
            for field in ["volume_sum", "quote_volume"] {
                let (found, sum) = (row[field].as_f64().unwrap(), numbers(field).iter().sum::<f64>());
                assert!((found - sum).abs() <= 1e-12 * sum, "{name} {field}: {found} is not {sum}");
            }
        }
    }
}
