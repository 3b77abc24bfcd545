//! Regular clients of the server: some send requests, some listen to a WebSocket.

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, timeout};

/// Longest wait of a customer. A customer whom an attack shuts out waits for good; one on a busy
/// machine waits for seconds.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time between two requests of a customer.
const REQUEST_INTERVAL: Duration = Duration::from_millis(50);
/// Number of customers that send requests, and of customers that listen.
const ASKING: usize = 4;
const LISTENING: usize = 4;
/// Paths that customers request in turn.
const PATHS: [&str; 4] = [
    "/api/v1/latest/BTC",
    "/api/v1/latest/all",
    "/api/v1/historical/ETH?limit=100",
    "/api/v1/alerts?limit=10",
];

/// Results of the customers since the last report.
#[derive(Default)]
pub struct Served {
    /// Duration of each response.
    pub answers: Vec<Duration>,
    /// Number of price updates.
    pub updates: u64,
    /// Failures that customers have met.
    pub failures: Vec<String>,
}

impl Served {
    /// Returns the given quantile of the response times.
    pub fn at(&self, share: f64) -> Duration {
        let mut answers = self.answers.clone();
        answers.sort();
        let place = (answers.len() as f64 * share).ceil() as usize;
        answers.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// The running customers.
pub struct Customers {
    tasks: JoinSet<()>,
    served: Arc<Mutex<Served>>,
}

impl Customers {
    /// Starts the customers.
    ///
    /// # Errors
    /// Returns an error if the system has no trusted certificates, which the client loads even if
    /// it needs none.
    pub fn start(server: SocketAddr) -> Result<Customers> {
        let served = Arc::<Mutex<Served>>::default();
        let client = reqwest::Client::builder().timeout(RESPONSE_TIMEOUT).build().context("make a client")?;
        let mut tasks = JoinSet::new();
        for number in 0..ASKING {
            tasks.spawn(ask(client.clone(), server, number, served.clone()));
        }
        for _ in 0..LISTENING {
            let served = served.clone();
            tasks.spawn(async move {
                loop {
                    let Err(error) = listen(server, &served).await;
                    lock(&served).failures.push(format!("listening: {error:#}"));
                }
            });
        }
        Ok(Customers { tasks, served })
    }

    /// Takes the results since the last call.
    pub fn served(&self) -> Served {
        std::mem::take(&mut *lock(&self.served))
    }

    /// Stops the customers.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

fn lock(served: &Mutex<Served>) -> std::sync::MutexGuard<'_, Served> {
    served.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask(client: reqwest::Client, server: SocketAddr, number: usize, served: Arc<Mutex<Served>>) {
    let mut turns = tokio::time::interval(REQUEST_INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for path in PATHS.iter().cycle().skip(number) {
        turns.tick().await;
        let start = Instant::now();
        let answer = async {
            let answer = client.get(format!("http://{server}{path}")).send().await?.error_for_status()?;
            answer.bytes().await
        };
        match answer.await {
            Ok(_) => lock(&served).answers.push(start.elapsed()),
            Err(error) => lock(&served).failures.push(format!("{path}: {error:#}")),
        }
    }
}

/// Listens to all prices until nothing arrives for seconds or the connection ends.
async fn listen(server: SocketAddr, served: &Mutex<Served>) -> Result<std::convert::Infallible> {
    let stream = timeout(RESPONSE_TIMEOUT, TcpStream::connect(server)).await.context("not accepted")??;
    let handshake = tokio_tungstenite::client_async(format!("ws://{server}/ws/prices/ALL"), stream);
    let (mut socket, _) = timeout(RESPONSE_TIMEOUT, handshake).await.context("no handshake")??;
    loop {
        match timeout(RESPONSE_TIMEOUT, socket.next()).await.context("no update")? {
            Some(message) => lock(served).updates += u64::from(message?.is_text()),
            None => bail!("the connection has ended"),
        }
    }
}
