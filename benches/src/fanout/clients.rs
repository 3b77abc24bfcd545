//! The clients of `fanout-bench`: two threads serve the sockets of all clients.
//!
//! A thread polls its sockets every 2 ms and is not woken by each frame: on one machine the server
//! would wake it frame by frame, and both would do little else. So a measured latency is at most 2
//! ms too high, and never too low.

use super::dialect::Dialect;
use super::socket::Socket;
use anyhow::{Context, Result, anyhow};
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tallow_model::Clock;
use tallow_model::clock::SystemClock;

/// Latencies from this many milliseconds on share one bucket.
const MOST_MS: usize = 60_000;
/// Number of threads that serve clients.
const THREADS: usize = 2;
/// Time between two polls of the sockets.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Number of readable sockets handled at a time.
const EVENTS: usize = 16 * 1024;
/// Size of the read buffer in bytes.
const BUFFER: usize = 64 * 1024;

/// Counters shared by all clients.
pub struct Fleet {
    /// Whether updates received now count.
    pub counts: AtomicBool,
    latencies: Vec<AtomicU64>,
    closed: AtomicU64,
}

impl Default for Fleet {
    fn default() -> Fleet {
        let latencies = (0..=MOST_MS).map(|_| AtomicU64::new(0)).collect();
        Fleet { counts: AtomicBool::new(false), latencies, closed: AtomicU64::new(0) }
    }
}

/// Figures of the clients.
pub struct Figures {
    /// Number of updates of open candles.
    pub updates: u64,
    /// Number of closed candles.
    pub closed: u64,
    latencies: Vec<u64>,
}

impl Fleet {
    /// Returns the figures so far.
    pub fn figures(&self) -> Figures {
        let latencies: Vec<u64> = self.latencies.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let closed = self.closed.load(Ordering::Relaxed);
        Figures { updates: latencies.iter().sum(), closed, latencies }
    }
}

impl Figures {
    /// Returns a quantile of the time from publishing to receiving, in milliseconds.
    pub fn at(&self, share: f64) -> usize {
        let mut left = (self.updates as f64 * share).ceil() as u64;
        let within = self.latencies.iter().position(|count| {
            left = left.saturating_sub(*count);
            left == 0
        });
        within.unwrap_or(MOST_MS)
    }
}

/// Losses of the clients that read everything.
#[derive(Default)]
pub struct Lost {
    /// Number of closed candles that were not received.
    pub candles: u64,
    /// Number of lost connections.
    pub clients: u64,
}

/// Parameters of the clients.
pub struct FleetPlan {
    /// Dialect of the clients.
    pub dialect: Dialect,
    /// Number of clients that read their updates.
    pub hearing: usize,
    /// Number of clients that read nothing.
    pub deaf: usize,
    /// Number of symbols.
    pub symbols: usize,
    /// Whether each client subscribes to all symbols, or to one.
    pub all: bool,
}

/// The connected clients.
pub struct Clients {
    threads: Vec<JoinHandle<Result<Vec<Client>>>>,
    end: Arc<AtomicBool>,
    /// Number of candles that a client receives at a time.
    series: usize,
    /// Sockets that are held open and never read.
    _deaf: Vec<Socket>,
}

/// One client and its newest candles.
struct Client {
    socket: Socket,
    is_lost: bool,
    /// The window of the newest closed candle of each symbol, in seconds.
    newest: HashMap<String, u64>,
    lost: u64,
}

impl Clients {
    /// Connects the clients.
    ///
    /// # Errors
    /// Returns an error if a client is refused.
    pub fn connect(address: &str, fleet: &Arc<Fleet>, plan: &FleetPlan) -> Result<Clients> {
        let end = Arc::new(AtomicBool::new(false));
        let (mut threads, mut entrances) = (Vec::new(), Vec::new());
        for _ in 0..THREADS {
            let poll = Poll::new().context("ask the system for a way to look at many sockets")?;
            let (entrance, entering) = channel();
            entrances.push(entrance);
            let (fleet, end, dialect) = (fleet.clone(), end.clone(), plan.dialect);
            threads.push(std::thread::spawn(move || listen(poll, &entering, dialect, &fleet, &end)));
        }
        let mut deaf = Vec::new();
        for number in 0..plan.hearing + plan.deaf {
            let target = plan.dialect.target(number, plan.symbols, plan.all);
            let socket =
                Socket::connect(address, &target).with_context(|| format!("connect client {number}"))?;
            if number < plan.hearing {
                let entered = entrances[number % THREADS].send(socket);
                entered.map_err(|_| anyhow!("a thread of clients has failed"))?;
            } else {
                deaf.push(socket);
            }
        }
        let series = if plan.all { plan.symbols } else { 1 };
        Ok(Clients { threads, end, series, _deaf: deaf })
    }

    /// Ends the clients and returns their losses.
    ///
    /// # Errors
    /// Returns an error if a thread that served them has failed.
    pub fn finish(self) -> Result<Lost> {
        self.end.store(true, Ordering::Relaxed);
        let mut clients = Vec::new();
        for thread in self.threads {
            clients.extend(thread.join().map_err(|_| anyhow!("a thread of clients has panicked"))??);
        }
        let mut newest: HashMap<&str, u64> = HashMap::new();
        for (symbol, &start) in clients.iter().flat_map(|client| &client.newest) {
            let newest = newest.entry(symbol).or_default();
            *newest = start.max(*newest);
        }
        let mut lost = Lost::default();
        for client in &clients {
            lost.clients += u64::from(client.is_lost);
            lost.candles += client.lost + (self.series - client.newest.len()) as u64;
            // The newest candle may still be on its way.
            let behind = |(symbol, &start): (&String, &u64)| between(start, newest[symbol.as_str()]);
            lost.candles += client.newest.iter().map(behind).sum::<u64>();
        }
        Ok(lost)
    }
}

/// Serves the clients that are handed over, until the end.
fn listen(
    mut poll: Poll,
    entering: &Receiver<Socket>,
    dialect: Dialect,
    fleet: &Fleet,
    end: &AtomicBool,
) -> Result<Vec<Client>> {
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; BUFFER];
    let mut clients: Vec<Client> = Vec::new();
    while !end.load(Ordering::Relaxed) {
        for mut socket in entering.try_iter() {
            // Bytes that arrived before the registration count as an event too.
            poll.registry().register(&mut socket.stream, Token(clients.len()), Interest::READABLE)?;
            clients.push(Client::new(socket));
        }
        poll.poll(&mut events, Some(Duration::ZERO)).context("look at the sockets of clients")?;
        for event in &events {
            clients[event.token().0].hear(&mut buffer, dialect, fleet);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(clients)
}

impl Client {
    fn new(socket: Socket) -> Client {
        Client { socket, is_lost: false, newest: HashMap::new(), lost: 0 }
    }

    /// Reads the received updates. Windows of a symbol must close one after the other.
    fn hear(&mut self, buffer: &mut [u8], dialect: Dialect, fleet: &Fleet) {
        let received_ms = SystemClock.now_ms();
        let Client { socket, is_lost, newest, lost } = self;
        let counts = fleet.counts.load(Ordering::Relaxed);
        let heard = socket.read(buffer, |text| {
            let Some(update) = dialect.read(text) else { return };
            if update.is_closed {
                if let Some(before) = newest.get_mut(update.symbol) {
                    *lost += between(*before, update.window_start);
                    *before = update.window_start.max(*before);
                } else {
                    newest.insert(update.symbol.to_owned(), update.window_start);
                }
                fleet.closed.fetch_add(u64::from(counts), Ordering::Relaxed);
            } else if counts {
                let latency = received_ms.saturating_sub(update.published_ms) as usize;
                fleet.latencies[latency.min(MOST_MS)].fetch_add(1, Ordering::Relaxed);
            }
        });
        *is_lost |= heard.is_err();
    }
}

/// Returns the number of one-minute windows that start between two times in seconds.
fn between(before: u64, after: u64) -> u64 {
    (after.saturating_sub(before) / 60).saturating_sub(1)
}
