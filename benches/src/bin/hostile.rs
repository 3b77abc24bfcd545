//! `hostile`: a server under hostile traffic from three addresses, and customers on a fourth that
//! must not notice it.
//!
//! `tallow up` is attacked in fourteen ways at once, see
//! [`Attack`](tallow_benches::hostile::Attack). Meanwhile eight customers send requests and listen;
//! none of them may be refused, cut off or kept waiting for seconds. The server's memory must stay
//! within bounds, and afterwards the server must hold no more connections than before. More
//! attacking addresses would use all connections of the server, which only a proxy in front of it
//! can prevent.

use anyhow::{Context, Result, bail};
use clap::Parser;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tallow_benches::hostile::{Attacks, Customers, Served};
use tallow_benches::usage::{self, Usage};

/// Addresses of this machine from which the attacks come.
const SOURCES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3), Ipv4Addr::new(127, 0, 0, 4)];
/// Time between two measurements of the server's memory.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Bound of the server's additional memory in bytes.
const MEMORY: u64 = 256 << 20;
/// Time in which the server must close the last connections: longer than it waits for a request's
/// head.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(120);

/// Attacks a server and measures the effect on its customers.
#[derive(Parser)]
struct Arguments {
    /// Path of the program `tallow`
    #[arg(long)]
    tallow: PathBuf,
    /// Duration of the attacks in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Number of attackers of each kind from each address
    #[arg(long, default_value_t = 6)]
    attackers: usize,
    /// Seed of the random bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// `tallow up` with data of its own, killed when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Server {
    fn start(program: &PathBuf) -> Result<Server> {
        let data = tempfile::tempdir().context("make a folder for the server's data")?;
        let mut child = Command::new(program)
            .arg("up")
            .env("NO_COLOR", "1")
            .env("TALLOW__SERVER__LISTEN", "127.0.0.1:0")
            .env("TALLOW__UP__DATA", data.path())
            .env("TALLOW__UP__BACKFILL_HOURS", "2")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let log = BufReader::new(child.stderr.take().context("the server has no standard error")?);
        let mut lines = log.lines();
        let mut address = None;
        for line in lines.by_ref() {
            let line = line.context("read the log of the server")?;
            if let Some((_, url)) = line.split_once("listening url=") {
                address = Some(url.trim_matches('"').trim_start_matches("http://").parse()?);
            }
            if line.contains(" ready") {
                break;
            }
        }
        // The server's log must be read, because a full pipe would block the server. Failures are
        // passed on.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|line| line.contains("ERROR")) {
                // A closed standard error is ignored.
                let _ = writeln!(std::io::stderr(), "server: {line}");
            }
        });
        let Some(address) = address else { bail!("the server has ended with {}", child.wait()?) };
        Ok(Server { child, address, _data: data })
    }

    fn usage(&self) -> Result<Usage> {
        usage::of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended need not be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Watches the server for a while and returns its peak memory.
async fn watch(server: &Server, seconds: u64) -> Result<u64> {
    let mut most = 0;
    let mut looks = tokio::time::interval(POLL_INTERVAL);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        looks.tick().await;
        most = most.max(server.usage()?.memory);
    }
    Ok(most)
}

fn describe(served: &Served, seconds: f64) -> String {
    format!(
        "{:.0} answers/s, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms; {:.0} updates/s; {} failures",
        served.answers.len() as f64 / seconds,
        served.at(0.5).as_secs_f64() * 1e3,
        served.at(0.99).as_secs_f64() * 1e3,
        served.at(1.0).as_secs_f64() * 1e3,
        served.updates as f64 / seconds,
        served.failures.len(),
    )
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let server = Server::start(&arguments.tallow)?;
    let customers = Customers::start(server.address)?;
    let quiet_seconds = 3;
    // Responses during the warm-up do not count.
    watch(&server, 1).await?;
    customers.served();
    watch(&server, quiet_seconds).await?;
    let (before, quiet) = (server.usage()?, customers.served());

    let attacks = Attacks::start(server.address, &SOURCES, arguments.attackers, arguments.seed);
    let most = watch(&server, arguments.seconds).await?;
    let ends = attacks.stop().await;
    let (during, meanwhile) = (server.usage()?, customers.served());

    // The customers stop too: a customer that had to wait may have opened one more connection.
    let afterwards = customers.served();
    customers.stop().await;
    let over = Instant::now();
    while server.usage()?.sockets > before.sockets && over.elapsed() < RECOVERY_TIMEOUT {
        watch(&server, 1).await?;
    }
    let (after, recovery) = (server.usage()?, over.elapsed());

    let mut out = std::io::stdout();
    let seconds = arguments.seconds as f64;
    writeln!(out, "customers before   {}", describe(&quiet, quiet_seconds as f64))?;
    writeln!(out, "customers meanwhile {}", describe(&meanwhile, seconds))?;
    writeln!(
        out,
        "memory             {} MiB before, {} at most, {} after\nconnections        {} before, {} in the end, {} after {:.0} s\n\
         processor          {:.2} of a core\nattacks, by how they ended:",
        before.memory >> 20,
        most >> 20,
        after.memory >> 20,
        before.sockets,
        during.sockets,
        after.sockets,
        recovery.as_secs_f64(),
        (during.processor - before.processor).as_secs_f64() / seconds,
    )?;
    for (attack, ends) in &ends {
        let ends: Vec<String> = ends.iter().map(|(end, count)| format!("{end} × {count}")).collect();
        writeln!(out, "  {:<12} {}", format!("{attack:?}"), ends.join(", "))?;
    }
    let failures: Vec<String> = meanwhile.failures.into_iter().chain(afterwards.failures).collect();
    if let Some(failure) = failures.first() {
        bail!("customers were failed {} times, first: {failure}", failures.len());
    }
    if meanwhile.answers.is_empty() || meanwhile.updates == 0 {
        bail!("the customers got nothing");
    }
    if most > before.memory + MEMORY {
        bail!("the server took more than {} MiB on top", MEMORY >> 20);
    }
    if after.sockets > before.sockets {
        bail!("the server still holds connections {RECOVERY_TIMEOUT:?} after the last attack");
    }
    Ok(())
}
