//! Several processes that work together, here as threads that talk over sockets as processes do.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod support;

use std::net::TcpListener;
use std::sync::Arc;
use support::{Collector, MockClock, Random, bounded, settle, tick, worker_io};
use tallow_dataflow::{Cluster, Settings, run};

const NOON: u64 = 1_700_006_400_000;

/// Addresses that nobody listens on.
fn free_addresses(count: usize) -> Vec<String> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

fn log() -> Vec<Vec<String>> {
    let mut random = Random(7);
    let symbols = ["BTC", "ETH", "SOL", "XRP", "ADA"];
    (0..4)
        .map(|_| {
            let mut ms = NOON;
            (0..3_000)
                .map(|_| {
                    ms += random.below(2_500);
                    let symbol = symbols[random.below(5) as usize];
                    tick(symbol, ms - random.below(15_000).min(ms - NOON), 9_000 + random.below(2_000), 5)
                })
                .collect()
        })
        .collect()
}

#[test]
fn two_processes_settle_what_one_does() {
    let log = log();
    let settings = Settings::default();
    let alone = settle(&log, 1, &settings);
    assert!(alone.candles.len() > 300 && alone.counts.late > 0);
    for threads in [1, 2] {
        let addresses = free_addresses(2);
        let topics = bounded(&log);
        let clock = Arc::new(MockClock::new(4_000_000_000_000));
        let collector = Collector::default();
        std::thread::scope(|scope| {
            for process in 0..2 {
                let cluster = Cluster { threads, process, addresses: addresses.clone() };
                assert_eq!(cluster.workers(), process * threads..(process + 1) * threads);
                let (topics, clock, outlet) = (topics.clone(), clock.clone(), collector.clone());
                let settings = &settings;
                scope.spawn(move || {
                    run(cluster, settings, Arc::default(), move |index, peers| {
                        assert_eq!((index / threads, peers), (process, 2 * threads));
                        worker_io(&topics, index, peers, &outlet, &clock)
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(collector.outcome(), alone);
    }
}
