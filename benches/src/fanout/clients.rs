//! The clients of `fanout-bench`: two threads look after the sockets of all of them.
//!
//! A thread looks at its sockets every 2 ms instead of being woken by each frame: on one machine
//! the server would wake it, frame by frame, and both would do little else. So what is measured is
//! at most so much too late, never too early.

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

/// Latencies from this many milliseconds on are counted as one.
const MOST_MS: usize = 60_000;
/// Threads that look after clients.
const THREADS: usize = 2;
/// From one look at the sockets to the next.
const LOOK: Duration = Duration::from_millis(2);
/// How many sockets with something to read are looked at in one go.
const EVENTS: usize = 16 * 1024;
/// What is read from a socket at a time, in bytes.
const BUFFER: usize = 64 * 1024;

/// What all clients count together.
pub struct Fleet {
    /// Whether what is received now counts.
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

/// What the clients have counted.
pub struct Figures {
    /// Updates of open candles.
    pub updates: u64,
    /// Closed candles.
    pub closed: u64,
    latencies: Vec<u64>,
}

impl Fleet {
    /// What has been counted so far.
    pub fn figures(&self) -> Figures {
        let latencies: Vec<u64> = self.latencies.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let closed = self.closed.load(Ordering::Relaxed);
        Figures { updates: latencies.iter().sum(), closed, latencies }
    }
}

impl Figures {
    /// The time from publishing to receiving, in milliseconds, that this share of the updates did
    /// not exceed.
    pub fn at(&self, share: f64) -> usize {
        let mut left = (self.updates as f64 * share).ceil() as u64;
        let within = self.latencies.iter().position(|count| {
            left = left.saturating_sub(*count);
            left == 0
        });
        within.unwrap_or(MOST_MS)
    }
}

/// What clients that took in everything have lost.
#[derive(Default)]
pub struct Lost {
    /// Closed candles that they were not sent.
    pub candles: u64,
    /// Connections.
    pub clients: u64,
}

/// What there is to connect.
pub struct Plan {
    /// What clients speak.
    pub dialect: Dialect,
    /// Clients that take in what they are sent.
    pub hearing: usize,
    /// Clients that accept nothing.
    pub deaf: usize,
    /// Symbols that there are.
    pub symbols: usize,
    /// Whether each client asks for all symbols, or for one.
    pub all: bool,
}

/// Connected clients.
pub struct Clients {
    threads: Vec<JoinHandle<Result<Vec<Client>>>>,
    end: Arc<AtomicBool>,
    /// How many candles a client gets at a time.
    series: usize,
    /// They are held and nothing is read from them.
    _deaf: Vec<Socket>,
}

/// One client and what it has got.
struct Client {
    socket: Socket,
    is_lost: bool,
    /// The window of the newest closed candle of each symbol, in seconds.
    newest: HashMap<String, u64>,
    lost: u64,
}

impl Clients {
    /// Connects clients.
    ///
    /// # Errors
    /// When one is not let in.
    pub fn connect(address: &str, fleet: &Arc<Fleet>, plan: &Plan) -> Result<Clients> {
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

    /// Ends the clients, and says what they have lost.
    ///
    /// # Errors
    /// When a thread that looked after them has failed.
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
            // The last one may still be under way.
            let behind = |(symbol, &start): (&String, &u64)| between(start, newest[symbol.as_str()]);
            lost.candles += client.newest.iter().map(behind).sum::<u64>();
        }
        Ok(lost)
    }
}

/// Looks after the clients that enter, until the end.
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
            // What has come before is an event too.
            poll.registry().register(&mut socket.stream, Token(clients.len()), Interest::READABLE)?;
            clients.push(Client::new(socket));
        }
        poll.poll(&mut events, Some(Duration::ZERO)).context("look at the sockets of clients")?;
        for event in &events {
            clients[event.token().0].hear(&mut buffer, dialect, fleet);
        }
        std::thread::sleep(LOOK);
    }
    Ok(clients)
}

impl Client {
    fn new(socket: Socket) -> Client {
        Client { socket, is_lost: false, newest: HashMap::new(), lost: 0 }
    }

    /// Takes in what has come. Windows of a symbol must close one after the other.
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

/// How many windows of a minute start between these two, in seconds.
fn between(before: u64, after: u64) -> u64 {
    (after.saturating_sub(before) / 60).saturating_sub(1)
}
