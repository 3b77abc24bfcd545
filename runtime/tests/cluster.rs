//! Processes that look for each other, here as threads: those that belong together, those that do
//! not, and strangers.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tallow_dataflow::Workers;
use tallow_model::Error;
use tallow_model::error::chain;
use tallow_runtime::cluster::{Cluster, Handshake, connect};
use tallow_testing::ports::free_addresses;
use tallow_testing::wait::LIMIT;

fn hello() -> Handshake {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Handshake {
        program: "1.2.3".to_owned(),
        settings: vec![setting("lateness", "900"), setting("topic", "prices")],
        checkpoint: "60000".to_owned(),
    }
}

/// A process that looks for the others.
struct Process {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Option<Workers>, Error>>,
}

impl Process {
    fn start(cluster: Cluster, hello: Handshake) -> Process {
        Process::start_for(cluster, hello, LIMIT)
    }

    fn start_for(cluster: Cluster, hello: Handshake, limit: Duration) -> Process {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || connect(&cluster, &hello, &stop, limit)
        });
        Process { stop, thread }
    }

    fn of(addresses: &[String], process: usize) -> Process {
        Process::start(member(addresses, process), hello())
    }

    /// The connections, by the number of the other process.
    fn meets(self) -> Workers {
        self.thread.join().unwrap().unwrap_or_else(|error| panic!("{}", chain(&error))).unwrap()
    }

    /// The bytes that it sends instead.
    fn fails(self) -> String {
        match self.thread.join().unwrap() {
            Ok(workers) => panic!("no error: {:?}", workers.map(|it| it.peers.len())),
            Err(error) => chain(&error),
        }
    }
}

fn member(addresses: &[String], process: usize) -> Cluster {
    Cluster { threads: 2, process, addresses: addresses.to_vec() }
}

/// Connects as soon as somebody listens.
fn visit(address: &str) -> TcpStream {
    let deadline = Instant::now() + LIMIT;
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                return stream;
            }
            Err(error) => assert!(Instant::now() < deadline, "connect to {address}: {error}"),
        }
        std::thread::yield_now();
    }
}

/// A hello as it goes over the wire.
fn framed(json: &str) -> Vec<u8> {
    let length = u32::try_from(json.len()).unwrap().to_be_bytes();
    [b"tallow\0\x01", &length[..], json.as_bytes()].concat()
}

/// The handshake of another process of this cluster, to be sent by hand.
fn words(process: usize, to: usize, processes: usize) -> String {
    format!(
        r#"{{"program":"1.2.3","encoding":"{}","process":{process},"to":{to},"processes":{processes},"threads":2,
            "settings":[["lateness","900"],["topic","prices"]],"checkpoint":"60000"}}"#,
        tallow_dataflow::WIRE_FORMAT
    )
}

/// The JSON of a message, without the magic.
fn message(stream: &mut TcpStream) -> serde_json::Value {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut json = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Introduces itself as that process and hears the verdict: why it is refused, if it is.
fn introduce(stream: &mut TcpStream, words: &str) -> Option<String> {
    stream.write_all(&framed(words)).unwrap();
    let mut magic = [0; 8];
    stream.read_exact(&mut magic).unwrap();
    message(stream);
    message(stream)["refused"].as_str().map(str::to_owned)
}

#[test]
fn processes_meet_in_whatever_order_they_come_and_can_talk() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let addresses = free_addresses(3);
        let mut processes: Vec<(usize, Process)> =
            order.iter().map(|process| (*process, Process::of(&addresses, *process))).collect();
        processes.sort_by_key(|(process, _)| *process);
        let met: Vec<Workers> = processes.into_iter().map(|(_, process)| process.meets()).collect();
        for (process, workers) in met.iter().enumerate() {
            assert_eq!((workers.process, workers.threads), (process, 2));
            for peer in &workers.peers {
                assert_eq!(peer.address, addresses[peer.process]);
                let word = [u8::try_from(10 * process + peer.process).unwrap()];
                assert_eq!(peer.link.write(&word).unwrap(), 1);
            }
        }
        for (process, workers) in met.iter().enumerate() {
            let others: Vec<usize> = workers.peers.iter().map(|peer| peer.process).collect();
            assert_eq!(others, (0..3).filter(|other| *other != process).collect::<Vec<_>>());
            for peer in &workers.peers {
                let mut word = [0];
                assert_eq!(peer.link.read(&mut word).unwrap(), 1);
                assert_eq!(usize::from(word[0]), 10 * peer.process + process);
            }
        }
        met[0].peers[0].link.close();
        assert_eq!(met[1].peers[0].link.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_process_of_its_own_meets_nobody() {
    let cluster = Cluster { threads: 3, process: 0, addresses: Vec::new() };
    let workers = Process::start(cluster.clone(), hello()).meets();
    assert_eq!((workers.threads, workers.process, workers.peers.len()), (3, 0, 0));
    assert_eq!((cluster.processes(), cluster.workers()), (1, 0..3));
    assert_eq!(member(&free_addresses(2), 1).workers(), 2..4);
}

#[test]
fn what_differs_is_told_on_both_sides() {
    type Change = fn(&mut Cluster, &mut Handshake);
    let cases: [(Change, &str, [&str; 2]); 6] = [
        (|_, hello| hello.program = "1.2.4".to_owned(), "the program's version", ["1.2.3", "1.2.4"]),
        (|_, hello| hello.settings[0].1 = "60".to_owned(), "lateness", ["900", "60"]),
        (|_, hello| drop(hello.settings.pop()), "topic", ["prices", "not set"]),
        (|_, hello| hello.checkpoint.clear(), "the checkpoint", ["60000", "empty"]),
        (|cluster, _| cluster.threads = 3, "the number of threads", ["2", "3"]),
        (|cluster, _| cluster.addresses.extend(free_addresses(1)), "the number of processes", ["2", "3"]),
    ];
    for (change, name, [here, there]) in cases {
        let addresses = free_addresses(2);
        let (mut cluster, mut other) = (member(&addresses, 1), hello());
        change(&mut cluster, &mut other);
        let (first, second) = (Process::of(&addresses, 0), Process::start(cluster, other));
        let (first, second) = (first.fails(), second.fails());
        assert!(first.starts_with("process 0 does not fit process 1 at 127.0.0.1:"), "{first}");
        assert!(first.ends_with(&format!(": {name} is {here} here and {there} there")), "{first}");
        assert_eq!(
            second,
            format!(
                "process 1 does not fit process 0 at {}: {name} is {there} here and {here} there",
                addresses[0]
            )
        );
    }
}

#[test]
fn strangers_are_dropped_and_hold_up_nobody() {
    let addresses = free_addresses(2);
    let first = Process::of(&addresses, 0);
    // One says nothing, one stops in the middle, one announces too much, and one speaks of other
    // things.
    let _silent = visit(&addresses[0]);
    let mut slow = visit(&addresses[0]);
    slow.write_all(&framed(&words(1, 0, 2))[..20]).unwrap();
    let mut endless = visit(&addresses[0]);
    endless.write_all(&[b"tallow\0\x01", &u32::MAX.to_be_bytes()[..], &[b'x'; 100]].concat()).unwrap();
    let mut rubbish = visit(&addresses[0]);
    rubbish.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut no_json = visit(&addresses[0]);
    no_json.write_all(&framed("{\"program\":")).unwrap();
    for dropped in [&mut endless, &mut rubbish, &mut no_json] {
        // Nothing is said to them. Whether that is an end or a reset depends on what was left
        // unread.
        assert!(matches!(dropped.read(&mut [0; 100]), Ok(0) | Err(_)));
    }
    assert!(!first.thread.is_finished());
    let met = [first, Process::of(&addresses, 1)].map(Process::meets);
    assert!(met.iter().all(|workers| workers.peers.len() == 1));
}

#[test]
fn one_that_does_not_say_who_it_is_is_dropped_in_time() {
    let addresses = free_addresses(2);
    let first = Process::of(&addresses, 0);
    let mut silent = visit(&addresses[0]);
    // An error of the read's own time limit would mean that the connection is still open.
    match silent.read(&mut [0; 100]) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => {
            assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}")
        }
    }
    first.stop.store(true, Ordering::SeqCst);
    assert!(first.thread.join().unwrap().unwrap().is_none());
}

#[test]
fn two_that_claim_the_same_number_are_told() {
    let addresses = free_addresses(3);
    let first = Process::of(&addresses, 0);
    let mut one = visit(&addresses[0]);
    assert_eq!(introduce(&mut one, &words(1, 0, 3)), None);
    // Another machine has the same number, and finds its own address free.
    let elsewhere = [addresses[0].clone(), free_addresses(1).remove(0), addresses[2].clone()];
    let refused = Process::of(&elsewhere, 1).fails();
    let expected = format!(
        "process 0 at {} refuses: there is a process 1 already, connected from {}",
        addresses[0],
        one.local_addr().unwrap()
    );
    assert_eq!(refused, expected);
    assert!(!first.thread.is_finished());
    // On the same machine the second one can't even listen, nor once all have met.
    let is_told = || {
        let told = Process::of(&addresses, 0).fails();
        assert!(told.contains("is this one running already? as process 0 at"), "{told}");
    };
    is_told();
    let mut third = visit(&addresses[0]);
    assert_eq!(introduce(&mut third, &words(2, 0, 3)), None);
    let met = first.meets();
    is_told();
    drop(met);
    TcpListener::bind(&addresses[0]).unwrap();
}

#[test]
fn a_process_that_is_gone_again_is_waited_for_anew() {
    let addresses = free_addresses(3);
    let first = Process::of(&addresses, 0);
    for _ in 0..2 {
        let mut earlier = visit(&addresses[0]);
        assert_eq!(introduce(&mut earlier, &words(1, 0, 3)), None);
    }
    // The one in the middle loses the one below it, and connects again.
    first.stop.store(true, Ordering::SeqCst);
    first.thread.join().unwrap().unwrap();
    let listener = TcpListener::bind(&addresses[0]).unwrap();
    let second = Process::of(&addresses, 1);
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().unwrap();
        let mut magic = [0; 8];
        stream.read_exact(&mut magic).unwrap();
        assert_eq!(message(&mut stream)["process"], 1);
        stream.write_all(&framed(&words(0, 1, 3))).unwrap();
        stream.write_all(&framed(r#"{"refused":null}"#)[8..]).unwrap();
    }
    drop(listener);
    let met = [second, Process::of(&addresses, 0), Process::of(&addresses, 2)].map(Process::meets);
    assert!(met.iter().all(|workers| workers.peers.len() == 2));
}

#[test]
fn a_process_that_the_cluster_does_not_have_is_refused() {
    for claimed in [0, 2, 7] {
        let addresses = free_addresses(2);
        let first = Process::of(&addresses, 0);
        let refused = introduce(&mut visit(&addresses[0]), &words(claimed, 0, 2)).unwrap();
        assert!(
            refused.starts_with(&format!("process 0 of 2 has no process {claimed}, as 127.0.0.1:")),
            "{refused}"
        );
        assert_eq!(first.fails(), refused);
    }
}

#[test]
fn a_process_found_at_the_address_of_another_is_told() {
    let addresses = free_addresses(3);
    let swapped = [addresses[1].clone(), addresses[0].clone(), addresses[2].clone()];
    let (first, third) = (Process::of(&addresses, 0), Process::of(&swapped, 2));
    let told = third.fails();
    assert!(
        told.contains("does not fit process 1") && told.contains("its number is 1 here and 0 there"),
        "{told}"
    );
    let told = first.fails();
    assert!(told.contains("the number that it has for this one is 0 here and 1 there"), "{told}");
}

#[test]
fn a_stop_ends_the_wait() {
    let addresses = free_addresses(2);
    for process in [0, 1] {
        let waiting = Process::of(&addresses, process);
        waiting.stop.store(true, Ordering::SeqCst);
        assert!(waiting.thread.join().unwrap().unwrap().is_none());
    }
}

#[test]
fn who_does_not_come_in_time_is_named_with_the_reason() {
    let addresses = free_addresses(2);
    let limit = Duration::from_millis(300);
    let waits = |process| Process::start_for(member(&addresses, process), hello(), limit).fails();
    let second = waits(1);
    let expected =
        format!("wait for process 0 at {}: not there within 300ms: Connection refused", addresses[0]);
    assert!(second.starts_with(&expected), "{second}");
    assert_eq!(
        waits(0),
        format!("wait for process 1 at {}: not there within 300ms: it has not connected", addresses[1])
    );
}

#[test]
fn an_address_that_cannot_be_listened_at_is_told() {
    let own = |address: &str| {
        let addresses = [address.to_owned(), "127.0.0.1:1".to_owned()];
        Process::of(&addresses, 0).fails()
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let told = own(&taken);
    assert!(told.contains("running already? as process 0 at") && told.contains("in use"), "{told}");
    // An address of a network for documentation, which no machine has.
    let told = own("198.51.100.1:2101");
    assert!(told.contains("is it an address of this machine?"), "{told}");
    let told = own("no-such-host.invalid:2101");
    assert!(
        told.starts_with("listen for other processes as process 0 at no-such-host.invalid:2101: "),
        "{told}"
    );
}

#[test]
fn a_name_that_leads_nowhere_is_tried_again_and_told_in_the_end() {
    let addresses = ["no-such-host.invalid:2101".to_owned(), free_addresses(1).remove(0)];
    let told = Process::start_for(member(&addresses, 1), hello(), Duration::from_secs(2)).fails();
    assert!(
        told.starts_with("wait for process 0 at no-such-host.invalid:2101: not there within 2s: "),
        "{told}"
    );
}

#[test]
fn nobody_listens_at_another_address_than_that_of_the_host_file() {
    let addresses = free_addresses(2);
    let first = Process::of(&addresses, 0);
    drop(visit(&addresses[0]));
    let elsewhere = addresses[0].replace("127.0.0.1", "127.0.0.2");
    assert_eq!(TcpStream::connect(elsewhere).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    first.stop.store(true, Ordering::SeqCst);
    first.thread.join().unwrap().unwrap();
}

/// Another machine: a network of its own, with one cable to this one.
struct Machine {
    name: String,
    /// This end of the cable.
    cable: String,
    /// The addresses of this end and of the other one.
    ends: [String; 2],
}

impl Machine {
    /// None, which is said, where networks can't be made: that takes the rights of the
    /// administrator.
    fn make(number: u32) -> Option<Machine> {
        let id = std::process::id() % 10_000;
        let name = format!("tallow{id}x{number}");
        if !ip(&["netns", "add", &name]) {
            let _ = writeln!(std::io::stderr(), "skipped: ip can't make a network of its own here");
            return None;
        }
        // Of the range for measurements, which no network uses.
        let end = |last: u32| format!("198.18.{}.{}", id % 256, 4 * number + last);
        let [here, there] = ["a", "b"].map(|end| format!("t{id}x{number}{end}"));
        let machine = Machine { ends: [end(1), end(2)], cable: here.clone(), name };
        let addresses = machine.ends.clone().map(|address| format!("{address}/30"));
        let inside = |arguments: &[&str]| ip(&[&["-n", &machine.name], arguments].concat());
        assert!(ip(&["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", &machine.name]));
        assert!(ip(&["addr", "add", &addresses[0], "dev", &here]) && ip(&["link", "set", &here, "up"]));
        assert!(inside(&["addr", "add", &addresses[1], "dev", &there]));
        assert!(inside(&["link", "set", &there, "up"]));
        Some(machine)
    }

    /// A program there that connects to an address here, says this, and then listens.
    fn says(&self, address: &str, words: &[u8]) -> std::process::Child {
        let (host, port) = address.rsplit_once(':').unwrap();
        let script = "exec 3<>/dev/tcp/$0/$1; cat >&3; exec cat <&3 >/dev/null";
        let mut child = std::process::Command::new("ip")
            .args(["netns", "exec", &self.name, "bash", "-c", script, host, port])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(words).unwrap();
        child
    }

    /// Takes it off the network, as a power failure does: nothing comes from there any more, not
    /// even an end.
    fn vanish(&self) {
        // What arrives there is lost too, or its system would answer with a reset.
        for rule in ["to", "from"] {
            let address = if rule == "to" { &self.ends[0] } else { &self.ends[1] };
            assert!(ip(&["-n", &self.name, "rule", "add", rule, address, "blackhole", "priority", "0"]));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.name]);
        // The network itself is there for as long as something in it has an end to send.
        ip(&["link", "del", &self.cable]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    let output = std::process::Command::new("ip").args(arguments).stdin(std::process::Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn a_machine_that_vanishes_is_noticed_whether_anything_was_sent_to_it_or_not() {
    let vanishes = |number: u32, busy: bool| {
        let Some(machine) = Machine::make(number) else { return };
        let taken = TcpListener::bind((&*machine.ends[0], 0)).unwrap();
        let addresses = [taken.local_addr().unwrap().to_string(), format!("{}:2101", machine.ends[1])];
        drop(taken);
        let first = Process::of(&addresses, 0);
        drop(visit(&addresses[0]));
        let mut second = machine.says(&addresses[0], &framed(&words(1, 0, 2)));
        let link = Arc::clone(&first.meets().peers[0].link);
        machine.vanish();
        let vanished = Instant::now();
        if busy {
            link.write(&[7; 1000]).unwrap();
        }
        let error = link.read(&mut [0]).unwrap_err();
        let after = vanished.elapsed();
        assert!((10..25).contains(&after.as_secs()), "{error} after {after:?}, busy: {busy}");
        second.kill().unwrap();
        second.wait().unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| vanishes(1, false));
        scope.spawn(|| vanishes(2, true));
    });
}
