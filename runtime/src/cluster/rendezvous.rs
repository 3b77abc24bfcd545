//! Finds the other processes, and reports the missing ones meanwhile.
//!
//! A connection counts once both sides have seen each other's handshake and the side that was
//! connected to has agreed. Until all are connected, each connection is watched: a process that
//! disappears is waited for again. A peer that says something else, too much or nothing is dropped
//! with a warning, and holds up nobody.

use super::handshake::Handshake;
use super::handshake::{
    Introduction, Verdict, receive_introduction, receive_verdict, send_introduction, send_verdict,
};
use super::members::Cluster;
use super::socket::{Socket, prepare};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use socket2::SockRef;
use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tallow_dataflow::Peer;
use tallow_model::retry::{Backoff, BackoffSettings};
use tallow_model::{Action, Error};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

/// The time that one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The time that a handshake may take, and the verdict on it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The waits between attempts to connect.
const RETRY_BACKOFF: BackoffSettings =
    BackoffSettings { first: Duration::from_millis(50), longest: Duration::from_secs(1) };
/// The time between two looks at the stop signal and the connections.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The time between two reports of the missing processes.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// The greatest number of incoming connections that may be in their handshake at a time.
const MAX_HANDSHAKES: usize = 256;

/// Returns a connection to every other process; `None` if `stop` is set first.
pub(super) fn meet(
    cluster: &Cluster,
    handshake: &Handshake,
    stop: &AtomicBool,
    limit: Duration,
) -> Result<Option<Vec<Peer>>, Error> {
    let thread = |source| Error::Thread { name: "connections to other processes".to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(thread)?;
    let meeting = Rendezvous {
        cluster,
        handshake,
        met: cluster.addresses.iter().map(|_| None).collect(),
        problems: RefCell::new(vec![String::new(); cluster.processes()]),
    };
    let met = runtime.block_on(meeting.run(stop, limit));
    // Does not wait for a name that is still being looked up.
    runtime.shutdown_background();
    met
}

/// A connection that both sides have agreed upon.
struct PeerConnection {
    stream: TcpStream,
    address: SocketAddr,
}

impl PeerConnection {
    /// Returns whether the other side is still there, as far as can be seen without reading. It may
    /// have sent something already.
    fn is_there(&self) -> bool {
        match SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// The outcome of an attempt.
enum Event {
    /// A process that this one has connected to accepts the connection.
    Agreed(usize, PeerConnection),
    /// An incoming connection with a valid introduction.
    Introduced(PeerConnection, Box<Introduction>),
    /// An incoming connection without one.
    RejectedPeer(SocketAddr, io::Error),
    /// A process that does not belong to this cluster.
    Refused(Error),
}

type Attempts<'a> = FuturesUnordered<LocalBoxFuture<'a, Event>>;

struct Rendezvous<'a> {
    cluster: &'a Cluster,
    handshake: &'a Handshake,
    /// The connection of each process.
    met: Vec<Option<PeerConnection>>,
    /// The reason why each process could not be reached the last time.
    problems: RefCell<Vec<String>>,
}

impl Rendezvous<'_> {
    async fn run(mut self, stop: &AtomicBool, limit: Duration) -> Result<Option<Vec<Peer>>, Error> {
        let (cluster, handshake) = (self.cluster, self.handshake);
        let problems = std::mem::take(&mut self.problems);
        let dial = |process| dial(cluster, handshake, process, &problems).boxed_local();
        let listener = listen(cluster).await?;
        let start = Instant::now();
        let mut look = interval_at(start, POLL_INTERVAL);
        let mut tell = interval_at(start + REPORT_INTERVAL, REPORT_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = sleep_until(start + limit);
        tokio::pin!(end);
        let mut guests = Attempts::new();
        let mut dials: Attempts<'_> = (0..cluster.process).map(dial).collect();
        while self.missing().next().is_some() || !self.gone().is_empty() {
            let event = tokio::select! {
                accepted = listener.accept() => {
                    match accepted {
                        Ok((_, from)) if guests.len() >= MAX_HANDSHAKES => {
                            tracing::warn!(%from, "dropped a connection, too many have not said yet who they are");
                        }
                        Ok((stream, address)) => guests.push(greet(cluster, handshake, stream, address).boxed_local()),
                        Err(error) => {
                            // A connection that was closed at once, or no descriptors left: the
                            // listener itself is well.
                            tracing::warn!(%error, "can't accept a connection");
                            sleep(POLL_INTERVAL).await;
                        }
                    }
                    continue;
                }
                Some(event) = guests.next() => event,
                Some(event) = dials.next() => event,
                _ = look.tick() => {
                    if stop.load(Ordering::Relaxed) {
                        return Ok(None);
                    }
                    for process in self.gone() {
                        tracing::warn!(process, "is gone again");
                        self.met[process] = None;
                        if process < cluster.process {
                            dials.push(dial(process));
                        }
                    }
                    continue;
                }
                _ = tell.tick() => {
                    for process in self.missing() {
                        let problem = &problems.borrow()[process];
                        tracing::info!(process, address = cluster.addresses[process], problem, "waiting for it");
                    }
                    continue;
                }
                () = &mut end => {
                    let missing = self.missing().next().unwrap_or_default();
                    let problem = match &*problems.borrow()[missing] {
                        "" => "it has not connected".to_owned(),
                        problem => problem.to_owned(),
                    };
                    return Err(failed(
                        "wait for",
                        cluster.name(missing),
                        io::Error::new(io::ErrorKind::TimedOut, format!("not there within {limit:?}: {problem}")),
                    ));
                }
            };
            match event {
                Event::Agreed(process, met) => self.connected(process, met),
                Event::Introduced(met, theirs) => self.receive(met, &theirs).await?,
                Event::RejectedPeer(from, problem) => {
                    tracing::warn!(%from, %problem, "dropped a connection that is no process of this cluster");
                }
                Event::Refused(error) => return Err(error),
            }
        }
        self.peers(listener).map(Some)
    }

    /// Returns the processes without a connection.
    fn missing(&self) -> impl Iterator<Item = usize> {
        let missing = |(process, met): (usize, &Option<PeerConnection>)| met.is_none().then_some(process);
        self.met.iter().enumerate().filter_map(missing).filter(|process| *process != self.cluster.process)
    }

    /// Returns the processes that had a connection and lost it.
    fn gone(&self) -> Vec<usize> {
        let gone =
            |(process, met): (usize, &Option<PeerConnection>)| (!met.as_ref()?.is_there()).then_some(process);
        self.met.iter().enumerate().filter_map(gone).collect()
    }

    fn connected(&mut self, process: usize, met: PeerConnection) {
        tracing::info!(process, address = %met.address, "connected");
        self.met[process] = Some(met);
    }

    /// Accepts the connection of a process that has introduced itself, or refuses it with the
    /// reason.
    async fn receive(&mut self, mut met: PeerConnection, theirs: &Introduction) -> Result<(), Error> {
        let process = theirs.process;
        let misfit = misfit(self.cluster, self.handshake, process, &met.address.to_string(), theirs);
        let present = self.met.get(process).and_then(Option::as_ref).filter(|met| met.is_there());
        let refused = match (&misfit, present) {
            (Some(misfit), _) => Some(misfit.clone()),
            (None, Some(present)) => {
                Some(format!("there is a process {process} already, connected from {}", present.address))
            }
            (None, None) => None,
        };
        let verdict = Verdict { refused };
        let sent = timeout(HANDSHAKE_TIMEOUT, send_verdict(&mut met.stream, &verdict)).await;
        match (misfit, verdict.refused) {
            (Some(misfit), _) => return Err(Error::Invalid(misfit)),
            (None, Some(refused)) => {
                tracing::warn!(from = %met.address, refused, "refused a process");
            }
            // A process that disappears again is waited for again.
            (None, None) if matches!(sent, Ok(Ok(()))) => self.connected(process, met),
            (None, None) => {}
        }
        Ok(())
    }

    fn peers(self, listener: TcpListener) -> Result<Vec<Peer>, Error> {
        let failed = |source| failed("keep the address of", self.cluster.name(self.cluster.process), source);
        let taken = Arc::new(listener.into_std().map_err(failed)?);
        let mut peers = Vec::new();
        for (process, met) in self.met.into_iter().enumerate() {
            let Some(met) = met else { continue };
            let failed =
                |source| self::failed("take over the connection to", self.cluster.name(process), source);
            let stream = met.stream.into_std().map_err(failed)?;
            stream.set_nonblocking(false).map_err(failed)?;
            let address = self.cluster.addresses[process].clone();
            peers.push(Peer { process, address, link: Arc::new(Socket { stream, _taken: taken.clone() }) });
        }
        Ok(peers)
    }
}

/// Returns the reason why a process with this introduction does not belong to this one, if there is
/// one.
fn misfit(
    cluster: &Cluster,
    handshake: &Handshake,
    process: usize,
    at: &str,
    theirs: &Introduction,
) -> Option<String> {
    let ours = Introduction::of(cluster, handshake, process);
    let differences = ours.differences(theirs);
    if !differences.is_empty() {
        let here = cluster.process;
        return Some(format!("process {here} does not fit process {process} at {at}: {differences}"));
    }
    // Each process connects to those with a lower number.
    (!(cluster.process + 1..cluster.processes()).contains(&process)).then(|| {
        let (here, processes) = (cluster.process, cluster.processes());
        format!("process {here} of {processes} has no process {process}, as {at} calls itself, to wait for")
    })
}

/// Listens at this process's own address of the host file, and nowhere else.
async fn listen(cluster: &Cluster) -> Result<TcpListener, Error> {
    let address = &cluster.addresses[cluster.process];
    TcpListener::bind(address).await.map_err(|source| {
        let action = match source.kind() {
            io::ErrorKind::AddrInUse => "listen for other processes, is this one running already? as",
            io::ErrorKind::AddrNotAvailable => {
                "listen for other processes, is it an address of this machine? as"
            }
            _ => "listen for other processes as",
        };
        failed(action, cluster.name(cluster.process), source)
    })
}

/// Connects to a process with a lower number, until it succeeds.
async fn dial(
    cluster: &Cluster,
    handshake: &Handshake,
    process: usize,
    problems: &RefCell<Vec<String>>,
) -> Event {
    let mut backoff = Backoff::new(RETRY_BACKOFF);
    loop {
        let problem = match attempt(cluster, handshake, process).await {
            Ok(event) => return event,
            Err(error) => error.to_string(),
        };
        problems.borrow_mut()[process] = problem;
        sleep(backoff.next_wait()).await;
    }
}

/// Connects once. An error may pass by itself.
async fn attempt(cluster: &Cluster, handshake: &Handshake, process: usize) -> io::Result<Event> {
    let late = |what: &str| io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long"));
    let address = &cluster.addresses[process];
    let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let mut stream = connecting.map_err(|_| late("to connect"))??;
    let address = stream.peer_addr()?;
    if stream.local_addr()? == address {
        // A local port that nobody listens at can be connected with itself.
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    prepare(&SockRef::from(&stream))?;
    let talk = async {
        send_introduction(&mut stream, &Introduction::of(cluster, handshake, process)).await?;
        let theirs = receive_introduction(&mut stream).await?;
        let at = &cluster.addresses[process];
        let differences = Introduction::of(cluster, handshake, process).differences(&theirs);
        if !differences.is_empty() {
            let here = cluster.process;
            let misfit = format!("process {here} does not fit process {process} at {at}: {differences}");
            return Ok(Some(Error::Invalid(misfit)));
        }
        let refused = receive_verdict(&mut stream).await?.refused;
        Ok(refused.map(|refused| Error::Invalid(format!("{} refuses: {refused}", cluster.name(process)))))
    };
    let talked: io::Result<Option<Error>> =
        timeout(HANDSHAKE_TIMEOUT, talk).await.map_err(|_| late("the handshake"))?;
    Ok(match talked? {
        Some(error) => Event::Refused(error),
        None => Event::Agreed(process, PeerConnection { stream, address }),
    })
}

/// Reads the introduction of an incoming connection.
async fn greet(
    cluster: &Cluster,
    handshake: &Handshake,
    mut stream: TcpStream,
    address: SocketAddr,
) -> Event {
    let talk = async {
        prepare(&SockRef::from(&stream))?;
        let theirs = receive_introduction(&mut stream).await?;
        // A peer that dislikes the introduction is gone by now, and its own introduction is worth
        // reporting all the more.
        let _ = send_introduction(&mut stream, &Introduction::of(cluster, handshake, theirs.process)).await;
        Ok(theirs)
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, "it does not say who it is");
    match timeout(HANDSHAKE_TIMEOUT, talk).await.unwrap_or_else(|_| Err(late())) {
        Ok(theirs) => Event::Introduced(PeerConnection { stream, address }, Box::new(theirs)),
        Err(problem) => Event::RejectedPeer(address, problem),
    }
}
/// Returns the error of having `tried` something with a process: the cluster can't run without it.
fn failed(tried: &'static str, on: String, source: io::Error) -> Error {
    Error::External { tried, on, action: Action::Stop, source: source.into() }
}
