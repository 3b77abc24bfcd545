//! Several processes of `tallow run`: when one is gone the others say so and end, and only
//! processes that belong together begin.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tallow_testing::pipeline::{self, OPENS, PipelineFixture};
use tallow_testing::process::Tallow;
use tallow_testing::wait::until;

/// The processes of a cluster on one pipeline.
struct Cluster<'a> {
    place: &'a PipelineFixture,
    hosts: tempfile::NamedTempFile,
    addresses: Vec<String>,
}

impl Cluster<'_> {
    fn on(place: &PipelineFixture, processes: usize) -> Cluster<'_> {
        let (hosts, addresses) = pipeline::hosts(processes);
        Cluster { place, hosts, addresses }
    }

    fn start(&self, number: usize, settings: &[(&str, &str)]) -> Tallow {
        let (processes, number) = (self.addresses.len().to_string(), number.to_string());
        let hosts = self.hosts.path().to_str().unwrap();
        self.place.start(&["run", "-w", "1", "-n", &processes, "-p", &number, "--hostfile", hosts], settings)
    }

    /// Starts all processes and waits until they are ready.
    fn run(&self) -> Vec<Tallow> {
        let mut all: Vec<Tallow> = (0..self.addresses.len()).map(|number| self.start(number, &[])).collect();
        all.iter_mut().for_each(|process| process.says("ready"));
        all
    }

    /// The last line of a process that has lost another one.
    fn gone(&self, number: usize, detail: &str) -> String {
        format!("tallow: process {number} at {} is gone: {detail}", self.addresses[number])
    }
}

/// The exit code and the last line of a process, which must end by itself.
fn ends(process: Tallow) -> (Option<i32>, String) {
    let (status, said) = process.ended();
    assert!(!said.contains("panicked") && !said.contains("timely"), "{said}");
    (status.code(), said.trim_end().lines().last().unwrap_or_default().to_owned())
}

#[test]
fn a_process_that_is_killed_ends_the_others_whether_they_are_busy_or_not() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let cluster = Cluster::on(&place, 3);
    let [first, second, third] = cluster.run().try_into().ok().unwrap();
    second.kill();
    // Whoever notices it first ends; the other may hear of it from there before it notices by
    // itself.
    let itself = cluster.gone(1, "connection closed");
    let mut noticed = 0;
    for (survivor, other) in [(first, 2), (third, 0)] {
        let (code, said) = ends(survivor);
        assert_eq!(code, Some(1), "{said}");
        assert!(said == itself || said == cluster.gone(other, "it has lost process 1"), "{said}");
        noticed += usize::from(said == itself);
    }
    assert!(noticed > 0);

    let cluster = Cluster::on(&place, 2);
    let [first, second] = cluster.run().try_into().ok().unwrap();
    let mut produce = place.produce(&["--speed", "600", "--rate", "50", "--start", OPENS]);
    until("records", || (first.json("/api/v1/stats")["records_in"].as_u64().unwrap() > 10_000).then_some(()));
    first.kill();
    assert_eq!(ends(second), (Some(1), cluster.gone(0, "connection closed")));
    produce.still_runs();
}

#[test]
fn a_stop_of_one_is_a_loss_for_the_others_and_a_stop_of_all_is_none() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let cluster = Cluster::on(&place, 2);
    let [first, second] = cluster.run().try_into().ok().unwrap();
    first.signal("TERM");
    assert_eq!(ends(first).0, Some(0));
    assert_eq!(ends(second), (Some(1), cluster.gone(0, "it has been stopped")));

    let all = cluster.run();
    all.iter().for_each(|process| process.signal("TERM"));
    for process in all {
        let (code, line) = ends(process);
        assert_eq!(code, Some(0), "{line}");
    }
}

#[test]
fn a_process_that_is_stopped_for_a_while_is_not_lost() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let cluster = Cluster::on(&place, 2);
    let [mut first, mut second] = cluster.run().try_into().ok().unwrap();
    let _produce = place.produce(&["--speed", "600", "--rate", "50", "--start", OPENS]);
    let records = |process: &Tallow| process.json("/api/v1/stats")["records_in"].as_u64().unwrap();
    until("records", || (records(&second) > 1_000).then_some(()));
    second.signal("STOP");
    let stopped = Instant::now();
    until("15 s to be over", || {
        first.still_runs();
        (stopped.elapsed() > Duration::from_secs(15)).then_some(())
    });
    second.signal("CONT");
    let before = (records(&first), records(&second));
    until("both to read on", || (records(&first) > before.0 && records(&second) > before.1).then_some(()));
    first.still_runs();
    second.still_runs();
}

#[test]
fn processes_that_do_not_belong_together_say_what_differs() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let cluster = Cluster::on(&place, 2);
    let first = cluster.start(0, &[]);
    let second = cluster.start(1, &[("TALLOW__DATAFLOW__ALLOWED_LATENESS_MS", "60000")]);
    let lateness = "dataflow.allowed_lateness_ms is";
    let (code, line) = ends(second);
    assert_eq!(code, Some(1));
    assert_eq!(
        line,
        format!(
            "tallow: process 1 does not fit process 0 at {}: {lateness} 60000 here and 900000 there",
            cluster.addresses[0]
        )
    );
    let (code, line) = ends(first);
    assert_eq!(code, Some(1));
    assert!(line.starts_with("tallow: process 0 does not fit process 1 at 127.0.0.1:"), "{line}");
    assert!(line.ends_with(&format!(": {lateness} 900000 here and 60000 there")), "{line}");
}

#[test]
fn a_process_waits_at_its_own_address_and_for_one_that_is_gone_again() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let cluster = Cluster::on(&place, 3);
    let mut first = cluster.start(0, &[]);
    let second = cluster.start(1, &[]);
    // It connects to the first, and waits for the third.
    first.says("connected");
    let elsewhere = cluster.addresses[0].replace("127.0.0.1", "127.0.0.2");
    assert_eq!(TcpStream::connect(elsewhere).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    // A stranger is dropped.
    TcpStream::connect(&cluster.addresses[0]).unwrap().write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    first.says("no process of this cluster");
    second.kill();
    first.says("is gone again");
    let mut rest = [cluster.start(1, &[]), cluster.start(2, &[])];
    first.says("ready");
    rest.iter_mut().for_each(|process| process.says("ready"));
    let again = cluster.start(0, &[]);
    let (code, line) = ends(again);
    assert!(code == Some(1) && line.contains("is this one running already?"), "{line}");
    first.still_runs();
    drop(rest);
    drop(first);

    // And a stop ends the wait.
    let mut alone = cluster.start(1, &[]);
    alone.says("waiting for it");
    alone.stop();
}
