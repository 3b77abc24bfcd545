//! `tallow run` and `tallow serve` on the real Kafka, PostgreSQL and Redis, fed by `tallow produce`
//! and by others.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod cluster;
mod outages;
mod refusals;

use std::io::Write;
use std::process::{Command, Stdio};
use tallow_testing::pipeline::{OPENS, PipelineFixture, hosts};
use tallow_testing::process::Tallow;
use tallow_testing::services;
use tallow_testing::wait::until;

#[test]
fn the_demo_agrees_row_for_row() {
    if services::kafka().is_none() {
        return;
    }
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/demo"))
        .env("TALLOW_BIN", env!("CARGO_BIN_EXE_tallow"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("everything agrees"), "{said}\n{complained}");
}

/// Messages of another client in the shape of the contract: every form of a price, a time and a
/// volume.
const FOREIGN: [(&str, &str); 4] = [
    (
        "BTC",
        r#"{"symbol":"BTC","price_usd":95750.12,"size":0.5,"trade_id":1,"side":"buy","timestamp":"2025-11-16T05:30:31.120Z"}"#,
    ),
    ("btc", r#"{"symbol":"btc","price":95760.5,"size":0.25,"timestamp":1763271041000}"#),
    (
        "ETH",
        r#"{"symbol":"ETH","coin_id":"ethereum","price_usd":3150.25,"volume_24h":78701577213.28,"market_cap":1.9e12,"price_change_24h":-1.42,"last_updated":1763271030,"timestamp":"2025-11-16T05:30:31.120Z","producer_id":"someone","message_id":"ETH-1"}"#,
    ),
    ("BTC", r#"{"symbol":"BTC","price_usd":95700,"size":1,"timestamp":"2025-11-16T05:32:00Z"}"#),
];

#[test]
fn messages_of_another_client_become_candles() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let mut run = place.run(&[]);
    let mut serve = place.serve(&run);
    let brokers = &place.setting("TALLOW__KAFKA__BOOTSTRAP_SERVERS");
    let mut kcat = Command::new("kcat")
        .args(["-P", "-b", brokers, "-t", &place.setting("TALLOW__KAFKA__TOPIC"), "-K", "\t", "-z", "snappy"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kcat, which scripts/services installs");
    let mut input = kcat.stdin.take().unwrap();
    FOREIGN.iter().for_each(|(key, line)| writeln!(input, "{key}\t{line}").unwrap());
    writeln!(input, "BTC\tno tick").unwrap();
    drop(input);
    assert!(kcat.wait().unwrap().success());

    let path = "/api/v1/historical/BTC?order_by=asc&limit=1";
    let candles = until("the closed candle", || {
        run.still_runs();
        let (status, body) = serve.get(path);
        (status == 200).then_some(body)
    });
    let candle = &serde_json::from_str::<serde_json::Value>(&candles).unwrap()[0];
    assert_eq!(candle["window_start"], "2025-11-16T05:30:00Z", "{candle}");
    for (name, value) in [
        ("open_price", 95_750.12),
        ("high_price", 95_760.5),
        ("low_price", 95_750.12),
        ("close_price", 95_760.5),
        ("volume_sum", 0.75),
        ("trade_count", 2.0),
    ] {
        assert_eq!(candle[name].as_f64(), Some(value), "{name}: {candle}");
    }
    // A quote without a size has a rolling volume.
    let latest = serve.json("/api/v1/latest/ETH");
    assert_eq!(
        (latest["close"].as_f64(), latest["volume_sum"].as_f64()),
        (Some(3_150.25), Some(78_701_577_213.28))
    );
    assert_eq!(serve.header("/api/v1/latest/ETH", "x-data-source").as_deref(), Some("redis"));

    let dead = place.dead_letters();
    let dead = until("the dead letter", || Some(dead.read()).filter(|dead| !dead.is_empty()));
    let header =
        |name: &str| dead[0].headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    assert_eq!((dead.len(), dead[0].payload.as_deref()), (1, Some(&b"no tick"[..])));
    assert_eq!(header("reason").as_deref(), Some(&b"malformed"[..]));
    serve.still_runs();
    serve.stop();
    let said = run.stop();
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
}

#[test]
fn two_processes_fill_the_tables_as_one_does_and_a_restart_changes_nothing() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    place.produce(&["--speed", "max", "--start", OPENS, "--duration", "60m", "--disorder"]).stop_by_itself();
    let (hosts, _) = hosts(2);
    let process = |number: &str| {
        place.start_run(&["-w", "1", "-n", "2", "-p", number, "--hostfile", hosts.path().to_str().unwrap()])
    };
    let mut processes = [process("0"), process("1")];
    processes.iter_mut().for_each(|process| process.says("caught up with the log"));
    let expected = place.backtest();
    place.agrees(&expected);
    let alerts = place.alerts();
    let before = alerts.read();
    assert!(!before.is_empty());
    processes.into_iter().for_each(Tallow::kill);

    // One process alone reads everything again; no row changes, and no alert is sent again.
    let mut run = place.run(&["-w", "2"]);
    run.says("caught up with the log");
    place.agrees(&expected);
    assert_eq!(alerts.read(), before);
    run.stop();
}
