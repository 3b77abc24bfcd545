//! Starts that are refused: each ends with exit code 1 and one line that says what was tried on
//! what.

use crate::process::{ready, spawn};
use std::net::TcpListener;
use std::path::Path;
use tallow_testing::wait::until;

/// The last line of a start that must fail.
fn refusal(data: &Path, settings: &[(&str, &str)]) -> String {
    let (status, said) = spawn(data, settings).ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said.trim_end().lines().last().unwrap_or_default().replace(&data.display().to_string(), "DATA")
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let data = folder.path().join("data");
    let said = refusal(&data, &[("TALLOW__SERVER__LISTEN", &address)]);
    assert!(said.contains(&format!("listen on {address}: Address already in use")), "{said}");
    assert!(!data.exists());
}

#[test]
fn a_certificate_that_is_of_no_use_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let certificate = folder.path().join("certificate.pem");
    let path = certificate.to_str().expect("a path");
    let settings = [("TALLOW__SERVER__TLS_CERTIFICATE", path), ("TALLOW__SERVER__TLS_KEY", path)];
    let said = refusal(&data, &settings);
    assert!(said.contains(&format!("set up TLS: read a certificate from {path}: ")), "{said}");
    std::fs::write(&certificate, "no PEM").expect("written");
    let said = refusal(&data, &settings);
    assert!(said.contains(&format!("set up TLS: read a certificate from {path}: no items found")), "{said}");
    assert!(!data.exists());
}

#[test]
fn a_data_folder_that_is_a_file_or_below_one_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "mine").expect("written");
    let said = refusal(&file, &[]);
    assert!(said.ends_with("keep data in DATA: it is not a folder"), "{said}");
    let said = refusal(&file.join("data"), &[]);
    assert!(said.contains("keep data in DATA: Not a directory"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "mine");
}

#[test]
fn a_folder_that_another_process_works_in_is_refused_and_the_other_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("TALLOW__UP__BACKFILL_HOURS", "0")];
    let first = ready(folder.path(), &settings);
    let said = refusal(folder.path(), &settings);
    assert!(said.ends_with("open log DATA/log: another process is writing it"), "{said}");
    until("a first candle", || (first.get("/api/v1/latest/BTC").0 == 200).then_some(()));
    first.stop();
}

#[test]
fn a_log_of_another_number_of_partitions_and_a_foreign_store_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("log")).expect("created");
    std::fs::write(folder.path().join("log/log.json"), r#"{"format":1,"partitions":5}"#).expect("written");
    let said = refusal(folder.path(), &[]);
    assert!(
        said.ends_with("open log DATA/log with 3 partitions: it has 5, which can't be changed"),
        "{said}"
    );

    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("tallow.db"), "no database".repeat(100)).expect("written");
    let said = refusal(folder.path(), &[]);
    assert!(said.ends_with("open database DATA/tallow.db: file is not a database"), "{said}");
}
