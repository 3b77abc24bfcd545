//! Ports for what is to listen later than the test chooses.
#![allow(dead_code, reason = "some tests want ports and some want addresses")]

use std::net::TcpStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what the system hands out to connections and to listeners that name no port: one of those could be taken by
/// anybody between the choice and the use. The scripts take their ports from 20000 on.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;

/// A port of 127.0.0.1 that nothing listens at and that no other caller in this process gets.
pub(crate) fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // Processes that run side by side begin at places of their own.
    let next = NEXT.get_or_init(|| AtomicU16::new((std::process::id() % 100) as u16 * 100));
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        // Not by listening there: a program that another thread starts at this moment would have a copy of the listener,
        // and keep it until it has closed it.
        if TcpStream::connect(("127.0.0.1", port)).is_err() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

/// As many addresses of this machine, with such ports.
pub(crate) fn free_addresses(count: usize) -> Vec<String> {
    (0..count).map(|_| format!("127.0.0.1:{}", free_port())).collect()
}
