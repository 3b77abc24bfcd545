//! Clusters of processes, here groups of threads connected by sockets: they settle the same as one
//! process, and all end when one of them is lost.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use tallow_dataflow::{Link, Peer, RunError, Settings, Workers, run};
use tallow_testing::graph::{
    Collector, MemoryPartition, MockClock, Random, bounded, settle, tick, wait_for, worker_io,
};

const NOON: u64 = 1_700_006_400_000;

/// A connection within this machine.
#[derive(Clone)]
struct Socket(Arc<UnixStream>);

impl Link for Socket {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }
    fn close(&self) {
        // An error means that the other end has closed it already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn pair() -> (Socket, Socket) {
    let (here, there) = UnixStream::pair().unwrap();
    (Socket(Arc::new(here)), Socket(Arc::new(there)))
}

fn peer(process: usize, link: Socket) -> Peer {
    Peer { process, address: format!("machine-{process}:2101"), link: Arc::new(link) }
}

/// Returns processes that are connected to each other, and the connections of process 0.
fn cluster(processes: usize, threads: usize) -> (Vec<Workers>, Vec<Socket>) {
    let mut cluster: Vec<Workers> =
        (0..processes).map(|process| Workers { threads, process, peers: Vec::new() }).collect();
    let mut of_the_first = Vec::new();
    for low in 0..processes {
        for high in low + 1..processes {
            let (here, there) = pair();
            if low == 0 {
                of_the_first.push(here.clone());
            }
            cluster[low].peers.push(peer(high, here));
            cluster[high].peers.push(peer(low, there));
        }
    }
    (cluster, of_the_first)
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

/// Returns the number of threads that have panicked. None ever may: timely's own panics would
/// confuse an operator.
fn panics() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            COUNT.fetch_add(1, Ordering::SeqCst);
            usual(panic);
        }));
    });
    COUNT.load(Ordering::SeqCst)
}

/// A process that reads an endless log.
struct Process {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), RunError>>,
    settled: Collector,
}

impl Process {
    fn start(workers: Workers, stop: &Arc<AtomicBool>) -> Process {
        panics();
        // Every worker has a partition.
        let topics: Vec<MemoryPartition> = (0..8).map(MemoryPartition::new).collect();
        for (topic, second) in topics.iter().cycle().zip(0..800) {
            topic.push(tick("BTC", NOON + 1_000 * second, 9_000, 5));
        }
        let clock = Arc::new(MockClock::new(4_000_000_000_000));
        let (collector, stop) = (Collector::default(), Arc::clone(stop));
        let thread = std::thread::spawn({
            let (stop, output) = (Arc::clone(&stop), collector.clone());
            move || {
                let settings = Settings { idle_timeout_ms: 3_600_000, ..Settings::default() };
                run(workers, &settings, stop, move |index, peers| {
                    worker_io(&topics, index, peers, &output, &clock)
                })
            }
        });
        Process { stop, thread, settled: collector }
    }

    /// Waits for the end of the process and returns its error as text.
    fn ends(self) -> Result<(), String> {
        wait_for("the end", || self.thread.is_finished());
        let ended = self.thread.join().unwrap().map_err(|error| error.to_string());
        assert_eq!(panics(), 0);
        ended
    }
}

/// Starts each process with a stop signal of its own.
fn start(cluster: Vec<Workers>) -> Vec<Process> {
    cluster.into_iter().map(|workers| Process::start(workers, &Arc::default())).collect()
}

/// Waits until the cluster works. The candles of a symbol are settled by one worker of all
/// processes.
fn work(processes: &[Process]) {
    let settles = |process: &Process| !process.settled.outcome().candles.is_empty();
    wait_for("candles", || processes.iter().any(settles));
}

fn gone(process: usize, detail: &str) -> Result<(), String> {
    Err(format!("process {process} at machine-{process}:2101 is gone: {detail}"))
}

#[test]
fn several_processes_settle_what_one_does() {
    let log = log();
    let settings = Settings::default();
    let alone = settle(&log, 1, &settings);
    assert!(alone.candles.len() > 300 && alone.counts.late > 0);
    for (processes, threads) in [(2, 1), (2, 2), (3, 1)] {
        let topics = bounded(&log);
        let clock = Arc::new(MockClock::new(4_000_000_000_000));
        let collector = Collector::default();
        panics();
        std::thread::scope(|scope| {
            for workers in cluster(processes, threads).0 {
                let (topics, clock, output) = (topics.clone(), clock.clone(), collector.clone());
                let (settings, process) = (&settings, workers.process);
                scope.spawn(move || {
                    run(workers, settings, Arc::default(), move |index, peers| {
                        assert_eq!((index / threads, peers), (process, processes * threads));
                        worker_io(&topics, index, peers, &output, &clock)
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(collector.outcome(), alone);
        assert_eq!(panics(), 0);
    }
}

#[test]
fn a_connection_that_breaks_ends_both_processes() {
    let (cluster, links) = cluster(2, 2);
    let processes = start(cluster);
    work(&processes);
    links[0].close();
    for (process, other) in processes.into_iter().zip([1, 0]) {
        assert_eq!(process.ends(), gone(other, "connection closed"));
    }
}

#[test]
fn a_process_that_is_lost_before_the_start_is_reported() {
    let (here, there) = pair();
    drop(there);
    let workers = Workers { threads: 1, process: 0, peers: vec![peer(1, here)] };
    assert_eq!(Process::start(workers, &Arc::default()).ends(), gone(1, "connection closed"));
}

#[test]
fn a_process_that_is_stopped_alone_ends_well_and_the_others_say_so() {
    let (cluster, _) = cluster(3, 1);
    let mut processes = start(cluster);
    work(&processes);
    let stopped = processes.remove(1);
    stopped.stop.store(true, Ordering::SeqCst);
    assert_eq!(stopped.ends(), Ok(()));
    // Each process gets the goodbye of the stopped process or of the third one, whichever comes
    // first.
    for (process, other) in processes.into_iter().zip([2, 0]) {
        let ended = process.ends();
        let expected = [gone(1, "it has been stopped"), gone(other, "it has lost process 1")];
        assert!(expected.contains(&ended), "{ended:?}");
    }
}

#[test]
fn processes_that_are_stopped_together_end_well() {
    let (cluster, _) = cluster(2, 2);
    let stop = Arc::default();
    let processes: Vec<Process> = cluster.into_iter().map(|workers| Process::start(workers, &stop)).collect();
    work(&processes);
    stop.store(true, Ordering::SeqCst);
    for process in processes {
        assert_eq!(process.ends(), Ok(()));
    }
}

#[test]
fn a_peer_that_neither_reads_nor_writes_does_not_hold_up_the_end() {
    let (here, _there) = pair();
    // Fill the socket, so that no more bytes fit.
    here.0.set_nonblocking(true).unwrap();
    while (&*here.0).write(&[0; 4096]).is_ok() {}
    here.0.set_nonblocking(false).unwrap();
    let process =
        Process::start(Workers { threads: 2, process: 0, peers: vec![peer(1, here)] }, &Arc::default());
    process.stop.store(true, Ordering::SeqCst);
    assert_eq!(process.ends(), Ok(()));
}

#[test]
fn an_unknown_goodbye_is_reported() {
    let (here, there) = pair();
    there.write_everything(&[[0, 0, 0, 0], [0, 0, 0, 9], [0, 0, 0, 0]].concat());
    let process =
        Process::start(Workers { threads: 1, process: 0, peers: vec![peer(1, here)] }, &Arc::default());
    assert_eq!(process.ends(), gone(1, "it sent a goodbye of unknown kind 9"));
}

impl Socket {
    fn write_everything(&self, bytes: &[u8]) {
        (&*self.0).write_all(bytes).unwrap();
    }
}

#[test]
fn connections_that_make_no_cluster_are_refused() {
    for (process, other) in [(0, 0), (0, 2), (2, 1)] {
        let (here, _there) = pair();
        let workers = Workers { threads: 1, process, peers: vec![peer(other, here)] };
        let refused = Process::start(workers, &Arc::default()).ends().unwrap_err();
        assert!(refused.contains("are no cluster"), "{refused}");
    }
}
