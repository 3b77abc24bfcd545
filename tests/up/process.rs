//! `tallow up` as a process on a data folder and a free port.

use std::path::Path;
use tallow_testing::process::Tallow;
use tallow_testing::wait::until;

/// The settings that all tests start with: few symbols, some history, alerts on any odd minute.
pub(crate) const SETTINGS: [(&str, &str); 4] = [
    ("TALLOW__SERVER__LISTEN", "127.0.0.1:0"),
    ("TALLOW__UP__SYMBOLS", "BTC,ETH,SOL"),
    ("TALLOW__UP__BACKFILL_HOURS", "2"),
    ("TALLOW__ANOMALIES__THRESHOLD", "2.5"),
];

/// Starts it, settings on top of [`SETTINGS`].
pub(crate) fn spawn(data: &Path, settings: &[(&str, &str)]) -> Tallow {
    let data = [("TALLOW__UP__DATA", data.to_str().expect("a path that is text"))];
    Tallow::start(&["up"], &[&SETTINGS[..], &data[..], settings].concat())
}

/// Starts it and waits until it is ready.
pub(crate) fn ready(data: &Path, settings: &[(&str, &str)]) -> Tallow {
    let mut tallow = spawn(data, settings);
    until("ready", || {
        tallow.still_runs();
        tallow.address().filter(|_| tallow.get("/ready").0 == 200)
    });
    tallow
}
