//! Missing or unprepared services: one line says what to do.

use tallow_testing::pipeline::PipelineFixture;
use tallow_testing::process::Tallow;
use tallow_testing::wait::until;

/// The exit code and the last line of a command that must not start.
fn refused(process: Tallow) -> (Option<i32>, String) {
    let (status, said) = process.ended();
    assert!(!said.contains("panicked"), "{said}");
    (status.code(), said.trim_end().lines().last().unwrap_or_default().to_owned())
}

#[test]
fn what_has_not_been_prepared_is_told_with_the_command_that_does_it() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    let (code, line) = refused(place.start(&["run"], &[]));
    assert!(code == Some(1) && line.contains("tallow migrate"), "{line}");
    // A server tells of its own, and works once that has been done.
    let mut serve = place.start(&["serve"], &[]);
    serve.says("listening");
    let state = || serve.json("/health")["services"]["postgres"].as_str().unwrap().to_owned();
    assert!(state().contains("tallow migrate"), "{}", state());
    place.migrate();
    until("health", || (state() == "healthy").then_some(()));
    let missing = [("TALLOW__KAFKA__TOPIC", "no-such-topic")];
    let (code, line) = refused(place.start(&["run"], &missing));
    assert!(code == Some(1) && line.contains("no-such-topic") && line.contains("tallow migrate"), "{line}");
}

#[test]
fn a_service_that_is_not_there_is_named_without_its_password() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let cases = [
        ("TALLOW__POSTGRES__URL", "postgres://tallow:hunter2@127.0.0.1:1/tallow", "127.0.0.1:1/tallow"),
        ("TALLOW__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1", "127.0.0.1:1"),
    ];
    for (name, value, shown) in cases {
        let (status, said) = place.start(&["run"], &[(name, value)]).ended();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(shown) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_cluster_that_cannot_be_is_bad_usage() {
    let (hosts, _) = tallow_testing::pipeline::hosts(1);
    let hosts = hosts.path().to_str().unwrap();
    let file = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    };
    let (twice, no_port) = (file("a:2101\nb:2101\na:2101"), file("a:2101\nb:0\n"));
    let [twice, no_port] = [&twice, &no_port].map(|it| it.path().to_str().unwrap());
    let cases: [(&[&str], &str); 5] = [
        (&["run", "-n", "3", "--hostfile", twice], "\"a:2101\" is listed twice"),
        (&["run", "-n", "2", "--hostfile", no_port], "\"b:0\" is not host:port"),
        (&["run", "-n", "2", "-p", "2"], "process 2 is out of range: the 2 processes are numbered from 0"),
        (&["run", "-n", "2", "--hostfile", hosts], "the file has 1 hosts, 2 are needed"),
        (&["run", "-n", "2", "--hostfile", "/no/such/file"], "read the hosts in /no/such/file"),
    ];
    for (arguments, expected) in cases {
        let (code, line) = refused(Tallow::start(arguments, &[]));
        assert!(code == Some(2) && line.contains(expected), "{line}");
    }
}
