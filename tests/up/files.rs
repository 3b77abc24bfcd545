//! The limit of open files.

use super::process::SETTINGS;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use tallow_testing::process::Tallow;
use tallow_testing::wait::{LIMIT, until};

/// `tallow up` under this limit, once it serves.
fn limited(limits: &str, data: &Path) -> Tallow {
    let data = [("TALLOW__UP__DATA", data.to_str().unwrap()), ("TALLOW__UP__BACKFILL_HOURS", "0")];
    let mut tallow = Tallow::start_limited(limits, &["up"], &[&SETTINGS[..], &data[..]].concat());
    until("listens", || {
        tallow.still_runs();
        tallow.address().filter(|_| tallow.get("/health").0 == 200)
    });
    tallow
}

/// The body of the answer to `GET path`, which must succeed, on a connection that stays.
fn ask(connection: &mut BufReader<TcpStream>, path: &str) -> Vec<u8> {
    connection.get_mut().write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
    let mut head = String::new();
    while connection.read_line(&mut head).unwrap() > 2 {}
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    connection.read_exact(&mut body).unwrap();
    body
}

/// So many connections at a time, each of which has been answered.
fn answered(tallow: &Tallow, connections: usize) -> Vec<BufReader<TcpStream>> {
    let connect = |_| {
        let stream = TcpStream::connect(tallow.address().unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut connection = BufReader::new(stream);
        ask(&mut connection, "/health");
        connection
    };
    (0..connections).map(connect).collect()
}

#[test]
fn a_low_limit_of_open_files_is_raised_where_that_may_be() {
    let folder = tempfile::tempdir().unwrap();
    let tallow = limited("ulimit -Sn 100", folder.path());
    let connections = answered(&tallow, 150);
    drop(connections);
    let said = tallow.stop();
    assert!(!said.contains("WARN"), "{said}");
}

#[test]
fn where_it_may_not_the_limits_of_the_server_are_lowered_and_the_rest_works_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut tallow = limited("ulimit -n 160", folder.path());
    let said = tallow.said();
    for part in ["WARN", "too few open files", "files=160", "max_connections=40", "max_websockets=40"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut connections = answered(&tallow, 40);
    // Others wait in the queue of the system, where they take no file of the process.
    let address = tallow.address().unwrap();
    let waiting: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut records = || {
        let stats: Value = serde_json::from_slice(&ask(&mut connections[0], "/api/v1/stats")).unwrap();
        stats["records_in"].as_u64().filter(|records| *records > 0)
    };
    let first = until("records", &mut records);
    until("more of them", || records().filter(|records| *records > first));
    tallow.still_runs();
    drop(waiting);
    drop(connections);
    let said = tallow.stop();
    assert!(!said.contains("ERROR"), "{said}");
}
