//! The clients of `fanout-bench`.

use anyhow::{Context, Result};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tallow_connectors::clock::SystemClock;
use tallow_dataflow::Clock;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Latencies from this many milliseconds on are counted as one.
const MOST_MS: usize = 60_000;
/// How many handshakes are under way at a time.
const HANDSHAKES: usize = 64;

/// The name of a symbol.
pub(super) fn name(number: usize) -> String {
    format!("FAN{number}")
}

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
    /// The time from publishing to receiving, in milliseconds, that this share of the updates did not exceed.
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

type Socket = WebSocketStream<TcpStream>;

/// Connected clients.
pub struct Clients {
    tasks: JoinSet<Lost>,
    ends: watch::Sender<bool>,
    /// They are held and nothing is read from them.
    deaf: Vec<Socket>,
}

impl Clients {
    /// Connects so many clients, each to one of the symbols or to all of them.
    ///
    /// # Errors
    /// When one is not let in.
    pub async fn connect(
        address: &str,
        fleet: &Arc<Fleet>,
        hearing: usize,
        deaf: usize,
        symbols: Option<usize>,
    ) -> Result<Clients> {
        let (ends, end) = watch::channel(false);
        let mut clients = Clients { tasks: JoinSet::new(), ends, deaf: Vec::new() };
        let at_a_time = Arc::new(Semaphore::new(HANDSHAKES));
        let mut handshakes = JoinSet::new();
        for number in 0..hearing + deaf {
            let permit = at_a_time.clone().acquire_owned().await?;
            let what = symbols.map_or_else(|| "ALL".to_owned(), |symbols| name(number % symbols));
            let (address, url) = (address.to_owned(), format!("ws://{address}/ws/prices/{what}"));
            handshakes.spawn(async move {
                let socket = handshake(&address, &url).await;
                drop(permit);
                (number, socket)
            });
            while let Some(done) = handshakes.try_join_next() {
                clients.admit(done?, hearing, fleet, &end)?;
            }
        }
        while let Some(done) = handshakes.join_next().await {
            clients.admit(done?, hearing, fleet, &end)?;
        }
        Ok(clients)
    }

    fn admit(
        &mut self,
        (number, socket): (usize, Result<Socket>),
        hearing: usize,
        fleet: &Arc<Fleet>,
        end: &watch::Receiver<bool>,
    ) -> Result<()> {
        let socket = socket.with_context(|| format!("connect client {number}"))?;
        if number < hearing {
            self.tasks.spawn(listen(socket, fleet.clone(), end.clone()));
        } else {
            self.deaf.push(socket);
        }
        Ok(())
    }

    /// Ends the clients, and says what they have lost.
    pub async fn finish(mut self) -> Lost {
        // Nobody left to hear it is as good as everyone having heard it.
        let _ = self.ends.send(true);
        let mut lost = Lost::default();
        while let Some(ended) = self.tasks.join_next().await {
            let own = ended.unwrap_or(Lost { clients: 1, ..Lost::default() });
            lost.candles += own.candles;
            lost.clients += own.clients;
        }
        lost
    }
}

async fn handshake(address: &str, url: &str) -> Result<Socket> {
    let stream = TcpStream::connect(address).await?;
    let config = WebSocketConfig::default().read_buffer_size(4 * 1024).write_buffer_size(0);
    Ok(client_async_with_config(url, stream, Some(config)).await?.0)
}

/// Counts what comes until the end. Windows of a symbol must close one after the other.
async fn listen(mut socket: Socket, fleet: Arc<Fleet>, mut end: watch::Receiver<bool>) -> Lost {
    let mut lost = Lost::default();
    let mut newest: HashMap<String, u64> = HashMap::new();
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            _ = end.wait_for(|end| *end) => return lost,
        };
        let Some(Ok(message)) = message else {
            lost.clients = 1;
            return lost;
        };
        // Pings, which the library answers.
        let Message::Text(text) = message else { continue };
        let received_ms = SystemClock.now_ms();
        if !text.starts_with(r#"{"type":"price_update""#) {
            continue;
        }
        if text.contains(r#""isClosed":true"#) {
            let (Some(symbol), Some(start)) = (field(&text, "symbol"), number(&text, "windowStart")) else {
                continue;
            };
            if let Some(before) = newest.insert(symbol.to_owned(), start) {
                lost.candles += (start.saturating_sub(before) / 60).saturating_sub(1);
            }
            if fleet.counts.load(Ordering::Relaxed) {
                fleet.closed.fetch_add(1, Ordering::Relaxed);
            }
        } else if let Some(published_ms) = number(&text, "eventTime")
            && fleet.counts.load(Ordering::Relaxed)
        {
            let latency = received_ms.saturating_sub(published_ms) as usize;
            fleet.latencies[latency.min(MOST_MS)].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The value of the first field of this name, as it stands there.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    let value = rest.strip_prefix("\":")?;
    Some(value[..value.find([',', '}'])?].trim_matches('"'))
}

fn number(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.parse().ok()
}
