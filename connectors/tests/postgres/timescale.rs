//! TimescaleDB itself, where the server has the extension: hypertables, policies, and what has been
//! compressed.
#![allow(clippy::print_stderr, reason = "what is skipped is said")]

use super::{Database, candle, config, symbol};
use postgres::Client;
use tallow_connectors::stores::postgres::{
    PostgresConfig, PostgresHistory, PostgresSink, Share, Timescale, migrate,
};
use tallow_model::store::{CandleQuery, Direction, History, Sink, Span};
use tallow_model::{EventTime, Interval, MINUTE_MS, SettledCandle, Step};
use tokio::runtime::Runtime;

const DAY_MINUTES: u64 = 24 * 60;
/// A Monday: 2026-01-05T00:00:00Z, in minutes since the epoch.
const MONDAY: u64 = 1_767_571_200 / 60;

/// A database on a server with the extension, or `None` after saying that the test is skipped.
fn database() -> Option<(Database, Client)> {
    let database = Database::create()?;
    let mut client = database.connect();
    let there = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')";
    if client.query_one(there, &[]).unwrap().get(0) {
        return Some((database, client));
    }
    // No package of Debian has it, so it is never required.
    eprintln!("skipped: the server has no TimescaleDB");
    None
}

fn used(config: &PostgresConfig) -> usize {
    match migrate(config).unwrap().timescale {
        Timescale::Used { policies: true, changes, .. } => changes,
        other => panic!("{other:?}"),
    }
}

fn texts(client: &mut Client, query: &str) -> Vec<String> {
    client.query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn number(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).unwrap().get(0)
}

/// Every hypertable, and every policy with its age.
fn shape(client: &mut Client) -> Vec<String> {
    let shape = "SELECT hypertable_name || ' of ' || time_interval FROM timescaledb_information.hypertables
            JOIN timescaledb_information.dimensions USING (hypertable_schema, hypertable_name)
        UNION ALL SELECT hypertable_name || ' ' || proc_name || ' ' ||
                COALESCE(config ->> 'compress_after', config ->> 'drop_after')
            FROM timescaledb_information.jobs WHERE hypertable_name IS NOT NULL
        ORDER BY 1";
    texts(client, shape)
}

/// Writes candles of one minute, all at once.
fn write(sink: &mut PostgresSink, candles: Vec<SettledCandle>) {
    sink.write(&[Step { candles, ..Step::default() }]).unwrap();
}

/// A day of candles, one each ten minutes.
fn day(name: &str, day: u64) -> Vec<SettledCandle> {
    let minutes = (0..DAY_MINUTES).step_by(10).map(|minute| MONDAY + day * DAY_MINUTES + minute);
    minutes.map(|minute| candle(name, minute, 100.0 + (minute % 97) as f64)).collect()
}

#[test]
fn tables_are_hypertables_with_the_policies_of_the_settings() {
    let Some((database, mut client)) = database() else { return };
    let first = PostgresConfig { keep_1m_days: 30, ..config(&database.url()) };
    assert!(used(&first) > 0);
    assert_eq!(
        shape(&mut client),
        [
            "price_aggregates_15m of 84 days",
            "price_aggregates_15m policy_compression 7 days",
            "price_aggregates_1m of 7 days",
            "price_aggregates_1m policy_compression 7 days",
            "price_aggregates_1m policy_retention 30 days",
            "price_aggregates_5m of 28 days",
            "price_aggregates_5m policy_compression 7 days",
        ]
    );
    assert_eq!(used(&first), 0, "it is as the settings say");
    let second = PostgresConfig {
        compress_after_days: 3,
        keep_1m_days: 0,
        keep_5m_days: 90,
        ..config(&database.url())
    };
    assert!(used(&second) > 0);
    assert_eq!(
        shape(&mut client),
        [
            "price_aggregates_15m of 84 days",
            "price_aggregates_15m policy_compression 3 days",
            "price_aggregates_1m of 7 days",
            "price_aggregates_1m policy_compression 3 days",
            "price_aggregates_5m of 28 days",
            "price_aggregates_5m policy_compression 3 days",
            "price_aggregates_5m policy_retention 90 days",
        ]
    );
    assert_eq!(used(&second), 0);
}

#[test]
fn tables_with_rows_become_hypertables_that_have_them() {
    let Some((database, mut client)) = database() else { return };
    let config = config(&database.url());
    used(&config);
    // As a database of before the server had the extension: without it, and with rows.
    let plain = "DROP TABLE price_aggregates_1m; CREATE TABLE price_aggregates_1m
            (LIKE price_aggregates_5m INCLUDING ALL)";
    client.batch_execute(plain).unwrap();
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    write(&mut sink, (0..20).flat_map(|it| day("BTC", it)).collect());
    let rows = number(&mut client, "SELECT COUNT(*) FROM price_aggregates_1m");
    assert!(used(&config) > 0);
    assert_eq!(number(&mut client, "SELECT COUNT(*) FROM price_aggregates_1m"), rows);
    assert!(number(&mut client, "SELECT COUNT(*) FROM SHOW_CHUNKS('price_aggregates_1m')") >= 3);
    // The sink that was open all the while goes on.
    write(&mut sink, day("BTC", 20));
    assert!(number(&mut client, "SELECT COUNT(*) FROM price_aggregates_1m") > rows);
}

/// The statements that a server would get.
fn answers(config: &PostgresConfig) -> Vec<String> {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let history = PostgresHistory::open(config).unwrap();
        let mut answers = Vec::new();
        for (window_ms, direction, limit, offset) in [
            (MINUTE_MS, Direction::Ascending, 10_000, 0),
            (MINUTE_MS, Direction::Descending, 100, 50),
            (60 * MINUTE_MS, Direction::Descending, 1_000, 3),
            (DAY_MINUTES * MINUTE_MS, Direction::Ascending, 1_000, 0),
        ] {
            let span = Span { base: Interval::OneMinute, window_ms };
            let query = CandleQuery {
                from: Some(EventTime((MONDAY + DAY_MINUTES / 2) * MINUTE_MS)),
                direction,
                limit,
                offset,
                counted: true,
                ..CandleQuery::all(symbol("BTC"), span)
            };
            let page = history.candles(&query).await.unwrap();
            assert!(page.rows.len() > 10, "{query:?}");
            answers.push(format!("{query:?}: {page:?}"));
            answers.push(format!("{query:?}: {:?}", history.stats(&query).await.unwrap()));
        }
        answers
    })
}

#[test]
fn what_has_been_compressed_is_read_corrected_and_written_again_as_before() {
    let Some((database, mut client)) = database() else { return };
    let config = config(&database.url());
    used(&config);
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let everything = || ["BTC", "ETH"].into_iter().flat_map(|name| (0..30).flat_map(move |it| day(name, it)));
    write(&mut sink, everything().collect());
    // Of what time has gone past, so that roll-ups are over.
    let (newest, frontier) =
        (MONDAY + 31 * DAY_MINUTES, Some(EventTime((MONDAY + 40 * DAY_MINUTES) * MINUTE_MS)));
    sink.write(&[Step { candles: vec![candle("BTC", newest, 1.0)], frontier, ..Step::default() }]).unwrap();
    let before = answers(&config);
    let compress = "SELECT COUNT(COMPRESS_CHUNK(chunk)) FROM SHOW_CHUNKS('price_aggregates_1m') AS chunk";
    assert!(number(&mut client, compress) >= 5);
    assert_eq!(answers(&config), before);

    // A replay: the same rows again, into chunks that are compressed.
    let rows = "SELECT MD5(STRING_AGG(it::TEXT, '|' ORDER BY crypto_id, window_start)) FROM price_aggregates_1m AS it";
    let untouched = texts(&mut client, rows);
    write(&mut sink, everything().collect());
    assert_eq!(texts(&mut client, rows), untouched);
    assert_eq!(answers(&config), before);

    // A correction, an older version, and a candle that was not there.
    let minute = MONDAY + 2 * DAY_MINUTES;
    let mut corrected = candle("BTC", minute, 777.0);
    (corrected.candle.count, corrected.revision) = (2, 1);
    let new = candle("BTC", minute + 1, 778.0);
    write(&mut sink, vec![corrected, new]);
    write(&mut sink, vec![candle("BTC", minute, 1.0)]);
    let stored = format!(
        "SELECT CONCAT_WS(' ', close_price, trade_count, revision) FROM price_aggregates_1m JOIN cryptocurrencies ON id = crypto_id
         WHERE symbol = 'BTC' AND window_start BETWEEN TO_TIMESTAMP({0}) AND TO_TIMESTAMP({0} + 60) ORDER BY window_start",
        minute * 60
    );
    assert_eq!(texts(&mut client, &stored), ["777 2 1", "778 1 0"]);
    let count = "SELECT COUNT(*) FROM price_aggregates_1m";
    assert_eq!(number(&mut client, count), everything().count() as i64 + 2);
    assert_ne!(answers(&config), before);
}

#[test]
fn a_replay_of_more_rows_than_a_statement_may_decompress_by_default_is_taken() {
    let Some((database, mut client)) = database() else { return };
    let config = config(&database.url());
    used(&config);
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let symbols: Vec<String> = (0..11).map(|number| format!("COIN{number}")).collect();
    // More than the 100,000 of `timescaledb.max_tuples_decompressed_per_dml_transaction`, in one
    // transaction.
    let everything = |count: u32| -> Vec<SettledCandle> {
        let of = |name: &String| -> Vec<SettledCandle> {
            let minutes = (0..10_000).map(|minute| candle(name, MONDAY + minute, 1.0));
            let mut candles: Vec<SettledCandle> = minutes.collect();
            candles.iter_mut().for_each(|it| it.candle.count = count);
            candles
        };
        symbols.iter().flat_map(of).collect()
    };
    write(&mut sink, everything(1));
    let compress = "SELECT COUNT(COMPRESS_CHUNK(chunk)) FROM SHOW_CHUNKS('price_aggregates_1m') AS chunk";
    assert!(number(&mut client, compress) >= 1);
    write(&mut sink, everything(2));
    let rows = "SELECT COUNT(*) FROM price_aggregates_1m WHERE trade_count = 2";
    assert_eq!(number(&mut client, rows), 110_000);
    assert_eq!(number(&mut client, "SELECT COUNT(*) FROM price_aggregates_1m"), 110_000);
}

#[test]
fn the_policies_compress_and_drop_what_is_old() {
    let Some((database, mut client)) = database() else { return };
    let config = PostgresConfig { compress_after_days: 7, keep_1m_days: 60, ..config(&database.url()) };
    used(&config);
    let mut sink = PostgresSink::open(&config, Share::whole(1)).unwrap();
    let now = number(&mut client, "SELECT EXTRACT(EPOCH FROM NOW())::INT8 / 60").unsigned_abs();
    for age in [100, 40, 0] {
        write(&mut sink, (0..60).map(|it| candle("BTC", now - age * DAY_MINUTES - it, 1.0)).collect());
    }
    let jobs = "SELECT job_id FROM timescaledb_information.jobs WHERE hypertable_name = 'price_aggregates_1m'
        ORDER BY proc_name DESC";
    for job in client.query(jobs, &[]).unwrap() {
        client.batch_execute(&format!("CALL run_job({})", job.get::<_, i32>(0))).unwrap();
    }
    let chunks = "SELECT STRING_AGG(CASE WHEN is_compressed THEN 'compressed' ELSE 'plain' END, ' ' ORDER BY range_start)
        FROM timescaledb_information.chunks WHERE hypertable_name = 'price_aggregates_1m'";
    let chunks = texts(&mut client, chunks).remove(0);
    let kinds: Vec<&str> = chunks.split(' ').collect();
    assert!(kinds.first() == Some(&"compressed") && kinds.last() == Some(&"plain"), "{chunks}");
    let oldest = "SELECT EXTRACT(DAY FROM NOW() - MIN(window_start))::INT8 FROM price_aggregates_1m";
    assert_eq!(number(&mut client, oldest), 40);
    assert_eq!(number(&mut client, "SELECT COUNT(*) FROM price_aggregates_1m"), 120);
}
