//! Attacks on the server. Each kind is repeated from several addresses, by several attackers at a
//! time.

use anyhow::{Result, bail};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Time for which an attacker waits for a response, or holds a connection without using it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause between the bytes of a slow sender.
const BYTE_INTERVAL: Duration = Duration::from_millis(400);
/// Number of requests sent at once, whose responses are not read.
const PIPELINED: usize = 200;
/// Time for which those responses are left unread.
const UNREAD_TIME: Duration = Duration::from_secs(3);
/// Number of frames sent at once.
const FRAMES: usize = 1000;

/// Path at which a client subscribes to everything.
const ALL: &str = "/ws/prices/ALL";

/// A kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Connects and sends nothing.
    Silent,
    /// Sends the head of a request byte by byte.
    Slow,
    /// Sends random bytes.
    Noise,
    /// Requests a path of up to 100 kB.
    LongPath,
    /// Sends up to 100 kB of headers.
    LongHeaders,
    /// Announces a body of a terabyte and begins to send it.
    Body,
    /// Sends many requests at once and reads no response.
    Pipeline,
    /// Sends a request and hangs up.
    Abandon,
    /// Sends frames that break the WebSocket protocol.
    BadFrames,
    /// Announces a frame of an exabyte.
    LongFrame,
    /// Sends a message in fragments without end.
    Fragments,
    /// Sends pings and reads no pong.
    Pings,
    /// Subscribes to everything and reads nothing.
    Deaf,
    /// Resumes all subscriptions from the start and reads nothing.
    Returning,
}

impl Attack {
    /// All the kinds of attacks.
    pub const ALL: [Attack; 14] = [
        Attack::Silent,
        Attack::Slow,
        Attack::Noise,
        Attack::LongPath,
        Attack::LongHeaders,
        Attack::Body,
        Attack::Pipeline,
        Attack::Abandon,
        Attack::BadFrames,
        Attack::LongFrame,
        Attack::Fragments,
        Attack::Pings,
        Attack::Deaf,
        Attack::Returning,
    ];
}

/// Number of attacks by kind and end: the status or close code of the server, or none.
type Ends = BTreeMap<Attack, BTreeMap<String, u64>>;

/// The running attacks.
pub struct Attacks {
    attackers: JoinSet<()>,
    ends: Arc<Mutex<Ends>>,
}

impl Attacks {
    /// Starts a number of attackers of each kind from each address.
    pub fn start(server: SocketAddr, sources: &[Ipv4Addr], attackers: usize, seed: u64) -> Attacks {
        let ends = Arc::<Mutex<Ends>>::default();
        let mut tasks = JoinSet::new();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for attack in Attack::ALL {
            for source in sources {
                for _ in 0..attackers {
                    let (ends, source) = (ends.clone(), *source);
                    let mut random = ChaCha8Rng::from_rng(&mut random);
                    tasks.spawn(async move {
                        loop {
                            let end = match once(attack, source, server, &mut random).await {
                                Ok(end) => end,
                                Err(error) => format!("{error:#}"),
                            };
                            let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
                            *ends.entry(attack).or_default().entry(end).or_default() += 1;
                        }
                    });
                }
            }
        }
        Attacks { attackers: tasks, ends }
    }

    /// Ends all attacks at once.
    pub async fn stop(mut self) -> Ends {
        self.attackers.shutdown().await;
        std::mem::take(&mut *self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs one attack and returns its end.
async fn once(
    attack: Attack,
    source: Ipv4Addr,
    server: SocketAddr,
    random: &mut ChaCha8Rng,
) -> Result<String> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    let mut stream = match timeout(RESPONSE_TIMEOUT, socket.connect(server)).await {
        Ok(connected) => connected?,
        Err(_) => bail!("not accepted"),
    };
    let stream = &mut stream;
    match attack {
        Attack::Silent => end(stream).await,
        Attack::Slow => {
            for byte in "GET /api/v1/latest/BTC HTTP/1.1\r\nhost: ".bytes().chain(std::iter::repeat(b'x')) {
                if stream.write_all(&[byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(BYTE_INTERVAL).await;
            }
            end(stream).await
        }
        Attack::Noise => {
            let mut noise = vec![0; random.random_range(1..4096)];
            random.fill(&mut noise[..]);
            say(stream, &noise).await
        }
        Attack::LongPath => {
            let path = "a".repeat(random.random_range(9_000..100_000));
            say(stream, format!("GET /{path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await
        }
        Attack::LongHeaders => {
            let value = "a".repeat(random.random_range(17_000..100_000));
            let head = format!("GET /api/v1/latest/BTC HTTP/1.1\r\nhost: x\r\nx-long: {value}\r\n\r\n");
            say(stream, head.as_bytes()).await
        }
        Attack::Body => {
            let head = "POST /api/v1/latest/BTC HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\n";
            say(stream, &[head.as_bytes(), &[0; 64 * 1024]].concat()).await
        }
        Attack::Pipeline => {
            let request =
                "GET /api/v1/historical/BTC?limit=1000 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(PIPELINED);
            let _ = timeout(UNREAD_TIME, stream.write_all(request.as_bytes())).await;
            tokio::time::sleep(UNREAD_TIME).await;
            Ok("left".to_owned())
        }
        Attack::Abandon => {
            stream.write_all(b"GET /api/v1/historical/BTC?limit=1000 HTTP/1.1\r\nhost: x\r\n\r\n").await?;
            // Resets the connection instead of closing it.
            stream.set_zero_linger()?;
            Ok("left".to_owned())
        }
        Attack::BadFrames => {
            upgrade(stream, ALL).await?;
            let frame: &[u8] = [
                // Not masked; a reserved opcode; a reserved bit; a fragmented ping; text that is no
                // UTF-8.
                &[0x81, 0x02, b'h', b'i'][..],
                &[0x83, 0x80, 1, 2, 3, 4],
                &[0xf1, 0x80, 1, 2, 3, 4],
                &[0x09, 0x80, 1, 2, 3, 4],
                &[0x81, 0x81, 0, 0, 0, 0, 0xff],
            ][random.random_range(0..5usize)];
            tell(stream, frame).await
        }
        Attack::LongFrame => {
            upgrade(stream, ALL).await?;
            let length = (1u64 << 60).to_be_bytes();
            tell(stream, &[&[0x82, 0xff][..], &length, &[0; 4], &[0; 16 * 1024]].concat()).await
        }
        Attack::Fragments => {
            upgrade(stream, ALL).await?;
            // The first fragment of a text, then endless further fragments of 100 bytes.
            let fragment = |first: u8| [&[first, 0x80 | 100, 0, 0, 0, 0][..], &[b'x'; 100]].concat();
            let all = [fragment(0x01), fragment(0x00).repeat(FRAMES)].concat();
            tell(stream, &all).await
        }
        Attack::Pings => {
            upgrade(stream, ALL).await?;
            let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(FRAMES);
            let _ = timeout(UNREAD_TIME, stream.write_all(&pings)).await;
            tokio::time::sleep(UNREAD_TIME).await;
            Ok("left".to_owned())
        }
        Attack::Deaf | Attack::Returning => {
            let path = if attack == Attack::Deaf { ALL } else { "/ws/prices/BTC?resume_from=0" };
            upgrade(stream, path).await?;
            tokio::time::sleep(RESPONSE_TIMEOUT).await;
            Ok("left".to_owned())
        }
    }
}

/// Sends bytes and reads the response. The server may hang up before it has read everything.
async fn say(stream: &mut TcpStream, bytes: &[u8]) -> Result<String> {
    let _ = timeout(RESPONSE_TIMEOUT, stream.write_all(bytes)).await;
    end(stream).await
}

/// Returns the server's end of the connection: the status of its response, or a close.
async fn end(stream: &mut TcpStream) -> Result<String> {
    let mut answer = [0; 12];
    match timeout(RESPONSE_TIMEOUT, stream.read_exact(&mut answer)).await {
        Ok(Ok(_)) => Ok(String::from_utf8_lossy(&answer[9..]).into_owned()),
        Ok(Err(_)) => Ok("closed".to_owned()),
        Err(_) => bail!("kept"),
    }
}

/// Opens a WebSocket connection.
async fn upgrade(stream: &mut TcpStream, path: &str) -> Result<()> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let status = end(stream).await?;
    if status != "101" {
        // The address has all its connections in use.
        bail!("{status}");
    }
    Ok(())
}

/// Sends frames and reads until the server closes with a code or without one.
async fn tell(stream: &mut TcpStream, frames: &[u8]) -> Result<String> {
    let _ = timeout(RESPONSE_TIMEOUT, stream.write_all(frames)).await;
    let mut received = Vec::new();
    match timeout(RESPONSE_TIMEOUT, stream.read_to_end(&mut received)).await {
        // A connection that is closed properly ends with four bytes: a close frame with a code and
        // no reason.
        Ok(_) => Ok(close_code(&received).map_or_else(|| "closed".to_owned(), |code| code.to_string())),
        Err(_) => bail!("kept"),
    }
}

/// Returns the code of the close frame that follows the response's head and other frames.
fn close_code(received: &[u8]) -> Option<u16> {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let mut rest = &received[head..];
    loop {
        let [first, length, ..] = *rest else { return None };
        let (skip, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(rest.get(2..10)?.try_into().ok()?)).ok()?),
            length => (2, usize::from(length)),
        };
        if first == 0x88 {
            return Some(u16::from_be_bytes(rest.get(skip..skip + 2)?.try_into().ok()?));
        }
        rest = rest.get(skip + length..)?;
    }
}
