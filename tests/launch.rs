//! `tallow launch`: several processes of the pipeline, killed, refused, stopped, and left alone by
//! whoever looks after them.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use tallow_testing::pipeline::{OPENS, PipelineFixture};
use tallow_testing::ports::free_port;
use tallow_testing::process::Tallow;
use tallow_testing::wait::until;

/// Settings without a Kafka: a process looks for a broker for seconds before it gives up.
const NOWHERE: [(&str, &str); 3] = [
    ("TALLOW__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1"),
    ("TALLOW__RUN__LISTEN", "127.0.0.1:0"),
    ("TALLOW__CHECKPOINT__URL", ""),
];

/// The ids of the processes that were started, in the order in which they were.
fn started(launch: &Tallow) -> Vec<(usize, u32)> {
    let of = |line: &str| {
        let (_, line) = line.split_once("process started process=")?;
        let (number, pid) = line.split_once(" pid=")?;
        Some((number.parse().unwrap(), pid.parse().unwrap()))
    };
    launch.said().lines().filter_map(of).collect()
}

/// The ids of the processes of the start with this number, counted from 0.
fn processes(launch: &mut Tallow, start: usize, count: usize) -> Vec<u32> {
    let started = until("the processes to be started", || {
        launch.still_runs();
        Some(started(launch)).filter(|started| started.len() >= (start + 1) * count)
    });
    let these = &started[start * count..(start + 1) * count];
    assert_eq!(these.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
    these.iter().map(|(_, pid)| *pid).collect()
}

fn signal(pid: u32, signal: &str) {
    let sent = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
    assert!(sent.unwrap().success(), "{signal} to {pid}");
}

/// Whether there is no such process any more; one that has ended and that nobody has asked for yet
/// is none.
fn is_gone(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('Z'))
}

/// The process group of a process.
fn group(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(2).unwrap().parse().unwrap()
}

fn are_gone(pids: &[u32]) {
    for pid in pids {
        until("the process to be gone", || is_gone(*pid).then_some(()));
    }
}

#[test]
fn when_a_process_is_killed_all_start_again_and_the_results_are_those_of_a_backtest() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let mut launch = place.start(&["launch", "-n", "2", "-w", "1"], &[]);
    let first = processes(&mut launch, 0, 2);
    let flags = ["--speed", "120", "--disorder", "--start", OPENS, "--duration", "60m"];
    let produce = place.produce(&flags);
    // In the middle of it, once something has been written.
    until("an alert", || (!place.alerts().read().is_empty()).then_some(()));
    signal(first[1], "KILL");
    launch.says("process has ended, ending the others process=1 status=signal: 9 (SIGKILL)");
    let second = processes(&mut launch, 1, 2);
    are_gone(&first);
    produce.stop_by_itself();
    for number in 0..2 {
        until("the second start to catch up", || {
            launch.still_runs();
            let prefix = format!("{number}| ");
            let said = launch.said();
            let (_, since) = said.split_once("starting all processes again").unwrap();
            let caught_up = |line: &str| line.starts_with(&prefix) && line.contains("caught up with the log");
            since.lines().any(caught_up).then_some(())
        });
    }
    let expected = place.backtest();
    place.agrees(&expected);
    once_each(&place, expected.path());
    launch.stop();
    are_gone(&second);
}

/// Each version of an alert is in the topic once, and there is one of every alert of the backtest.
fn once_each(place: &PipelineFixture, expected: &std::path::Path) {
    let mut versions = BTreeSet::new();
    for record in place.alerts().read() {
        let alert: serde_json::Value = serde_json::from_slice(&record.payload.unwrap()).unwrap();
        let text = |name: &str| alert[name].as_str().unwrap().to_owned();
        assert!(versions.insert((text("alert_id"), text("settled_at"))), "twice: {alert}");
    }
    let sent: BTreeSet<&str> = versions.iter().map(|(id, _)| &**id).collect();
    let alerts = std::fs::read_to_string(expected.join("alerts.csv")).unwrap();
    let expected: BTreeSet<&str> =
        alerts.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert!(!expected.is_empty());
    assert_eq!(sent, expected);
}

#[test]
fn processes_that_end_again_and_again_are_given_up_with_what_the_last_one_said() {
    // The second process finds its address taken, at once and each time; the one before it is free.
    let port = std::iter::from_fn(|| Some(free_port())).find(|port| free_port() == port + 1).unwrap() + 1;
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let first = format!("127.0.0.1:{}", port - 1);
    let settings = [&NOWHERE[..], &[("TALLOW__LAUNCH__MAX_FAILURES", "3")]].concat();
    let launch = Tallow::start(&["launch", "-n", "2", "--listen", &first], &settings);
    let (status, said) = launch.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(said.matches("process started").count(), 6, "{said}");
    let last = said.lines().last().unwrap();
    let gave_up =
        "tallow: the processes have ended 3 times in a row, none after 120 s or more; the last time: ";
    let problem = last.strip_prefix(gave_up).unwrap_or_else(|| panic!("{said}"));
    assert!(problem.contains(&format!("127.0.0.1:{port}")), "{last}");
    // Its own words, as it has said them.
    assert!(said.contains(&format!("1| tallow: {problem}\n")), "{said}");
    // A second, then two, of which at least a half is waited.
    let waits: Vec<f64> =
        said.lines().filter_map(|line| line.split_once("wait_seconds=")?.1.parse().ok()).collect();
    assert!(waits.len() == 2 && (0.5..=1.0).contains(&waits[0]) && (1.0..=2.0).contains(&waits[1]), "{said}");
}

#[test]
fn processes_that_have_run_for_long_enough_start_the_count_anew() {
    let settings =
        [&NOWHERE[..], &[("TALLOW__LAUNCH__MAX_FAILURES", "2"), ("TALLOW__LAUNCH__HEALTHY_MS", "1")]]
            .concat();
    let mut launch = Tallow::start(&["launch", "-n", "1"], &settings);
    for start in 0..4 {
        let pids = processes(&mut launch, start, 1);
        signal(pids[0], "KILL");
    }
    processes(&mut launch, 4, 1);
    launch.stop();
}

#[test]
fn what_the_processes_refuse_ends_it_with_2_and_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        tallow_testing::program::file(folder.path(), "tallow.toml", b"[kafka]\ngroup = \"launched\"\n");
    let arguments = ["--config", config.to_str().unwrap(), "launch", "-n", "2"];
    let mut launch = Tallow::start(&arguments, &NOWHERE);
    let first = processes(&mut launch, 0, 2);
    // Once both have something to say they have read their settings.
    until("both to have begun", || {
        let said = launch.said();
        ["0| ", "1| "].iter().all(|prefix| said.lines().any(|line| line.starts_with(prefix))).then_some(())
    });
    // Settings that were good at the start are not any more when the processes read them again.
    std::fs::write(&config, "[kafka]\ngruop = \"launched\"\n").unwrap();
    signal(first[0], "KILL");
    let (status, said) = launch.ended();
    assert_eq!(status.code(), Some(2), "{said}");
    assert_eq!(said.matches("process started").count(), 4, "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("tallow: ") && last.contains("gruop"), "{said}");
}

#[test]
fn what_it_can_see_itself_is_refused_before_anything_is_started() {
    for (arguments, setting, expected) in [
        (vec!["launch", "-n", "0"], ("NO_COLOR", "1"), "0 is not in 1..=65535"),
        (
            vec!["launch", "--listen", "127.0.0.1:65535"],
            ("NO_COLOR", "1"),
            "run.listen is 127.0.0.1:65535: there are not 2 ports from there on",
        ),
        (
            vec!["launch"],
            ("TALLOW__LAUNCH__MAX_FAILURES", "0"),
            "launch.max_failures: 0 is below the minimum of 1",
        ),
    ] {
        let (status, said) = Tallow::start(&arguments, &[setting]).ended();
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && !said.contains("process started"), "{said}");
    }
}

#[test]
fn a_restart_is_not_from_scratch_again_when_the_log_says_little() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let arguments = ["launch", "-n", "1", "-w", "1", "--from-scratch", "--listen", &listen.to_string()];
    let mut launch = place.start(&arguments, &[("TALLOW__LOGGING__LEVEL", "warn")]);
    // The supervisor is the only client that asks for this path.
    until("the supervisor to ask", || {
        launch.still_runs();
        metrics(listen).is_some_and(|metrics| metrics.contains("\"/ready\"")).then_some(())
    });
    let first = child(&launch).unwrap();
    signal(first, "KILL");
    launch.says("process has ended, ending the others process=0");
    until("the second start to answer", || {
        launch.still_runs();
        child(&launch).filter(|second| *second != first).and_then(|_| metrics(listen))
    });
    let said = launch.stop();
    assert_eq!(said.matches("starting from scratch, checkpoints removed").count(), 1, "{said}");
}

/// The id of the only process that a supervisor has started.
fn child(launch: &Tallow) -> Option<u32> {
    let children = Command::new("pgrep").args(["-P", &launch.id().to_string()]).output().unwrap();
    String::from_utf8(children.stdout).unwrap().lines().next()?.parse().ok()
}

/// The body of `/metrics`, if somebody listens there.
fn metrics(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(tallow_testing::wait::LIMIT)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    Some(response)
}

#[test]
fn a_signal_stops_the_processes_cleanly_and_one_that_does_not_hear_it_in_time() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    for suspended in [false, true] {
        let mut launch = place.start(&["launch", "-n", "2", "-w", "1"], &[]);
        let pids = processes(&mut launch, 0, 2);
        until("both to be ready", || {
            launch.still_runs();
            (launch.said().matches("tallow::commands::run: ready").count() == 2).then_some(())
        });
        // Ctrl-C at a terminal is for the supervisor alone, which tells them once.
        pids.iter().for_each(|pid| assert_eq!(group(*pid), *pid));
        if suspended {
            signal(pids[1], "STOP");
        }
        launch.signal("TERM");
        let (status, said) = launch.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(pids.iter().all(|pid| is_gone(*pid)));
        for number in 0..2 {
            let stopped = said
                .lines()
                .any(|line| line.starts_with(&format!("{number}| ")) && line.ends_with("run: stopped"));
            assert_eq!(stopped, !(suspended && number == 1), "process {number}: {said}");
        }
        assert_eq!(said.contains("process does not stop, killing it process=1"), suspended, "{said}");
    }
}

#[test]
fn a_supervisor_that_is_killed_leaves_no_process_behind() {
    let Some(place) = PipelineFixture::of_the_checkout() else { return };
    place.migrate();
    let mut launch = place.start(&["launch", "-n", "2", "-w", "1"], &[]);
    let pids = processes(&mut launch, 0, 2);
    until("both to be ready", || {
        (launch.said().matches("tallow::commands::run: ready").count() == 2).then_some(())
    });
    launch.kill();
    are_gone(&pids);
}

#[test]
fn lines_of_json_stay_lines_of_json_and_say_which_process_they_are_of() {
    let settings = [&NOWHERE[..], &[("TALLOW__LOGGING__FORMAT", "json")]].concat();
    let launch = Tallow::start(&["launch", "-n", "2"], &settings);
    let of = |number: u64| {
        let is = |line: &str| {
            let line: Option<serde_json::Value> = serde_json::from_str(line).ok();
            line.is_some_and(|line| line["process"] == number && line["fields"]["message"] == "starting")
        };
        until("a line of the process", || launch.said().lines().any(is).then_some(()));
    };
    (0..2).for_each(of);
    launch.signal("TERM");
    launch.ended();
}
