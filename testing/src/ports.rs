//! Free ports for programs that listen later than the test chooses their ports.

use std::net::TcpStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// The lowest port. The system hands out higher ports to connections and to listeners that name no
/// port, so another program could take such a port between the choice and the use. The scripts
/// take their ports from 20000 on.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;

/// Returns a port of 127.0.0.1 that nothing listens at and that no other caller in this process
/// gets.
///
/// # Panics
///
/// If no port of the range is free.
pub fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // Processes that run side by side begin at different ports.
    let next = NEXT.get_or_init(|| AtomicU16::new((std::process::id() % 100) as u16 * 100));
    for _ in 0..COUNT {
        let port = FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT;
        // Connecting, and not listening: a program that another thread starts at this moment would
        // inherit the listener and keep the port taken.
        if TcpStream::connect(("127.0.0.1", port)).is_err() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

/// Returns `count` addresses of this machine with free ports.
pub fn free_addresses(count: usize) -> Vec<String> {
    (0..count).map(|_| format!("127.0.0.1:{}", free_port())).collect()
}
