//! `fanout-bench`: the speed at which updates reach many WebSocket clients, the cost of a client,
//! and the effect of slow clients on the others.
//!
//! The server is a process of its own, with the embedded stores. Every 250 ms it publishes the open
//! one-minute candle of each symbol, stamped with the clock, and every eighth time it closes that
//! candle and opens the next. The clients are in this process. Each client checks that it receives
//! every closed candle of its subscription. Some clients read nothing at all.

use anyhow::{Context, Result, bail};
use clap::Parser;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tallow_benches::fanout::{Clients, Dialect, Fleet, FleetPlan, raise_file_limit, serve};
use tallow_benches::usage::{self, Usage};

/// Measures the fan-out of updates to WebSocket clients.
#[derive(Parser)]
struct Arguments {
    /// Number of clients that read their updates
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// Number of clients that read nothing
    #[arg(long, default_value_t = 100)]
    deaf: usize,
    /// Number of symbols, over which the clients are spread
    #[arg(long, default_value_t = 8)]
    symbols: usize,
    /// Dialect of the clients
    #[arg(long, value_enum, default_value_t = Dialect::Tallow)]
    dialect: Dialect,
    /// Subscribe every client to all symbols
    #[arg(long)]
    all: bool,
    /// Publish all symbols at the same moment, instead of one after the other
    #[arg(long)]
    burst: bool,
    /// Time for which updates count, in seconds: every candle is open for two
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..))]
    seconds: u64,
    /// Another build of this program to run the server, for a comparison
    #[arg(long)]
    server: Option<PathBuf>,
    /// Run the server until standard input ends
    #[arg(long, hide = true)]
    serve: bool,
}

/// The server's process.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(arguments: &Arguments) -> Result<Server> {
        let program = match &arguments.server {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("find this program")?,
        };
        let mut child = Command::new(&program)
            .args(["--serve", "--symbols", &arguments.symbols.to_string()])
            .args(["--clients", &(arguments.clients + arguments.deaf).to_string()])
            .args(arguments.burst.then_some("--burst"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start the server {}", program.display()))?;
        let mut address = String::new();
        let stdout = child.stdout.take().context("the output of the server")?;
        BufReader::new(stdout).read_line(&mut address)?;
        if address.is_empty() {
            bail!("the server has ended with {}", child.wait()?);
        }
        Ok(Server { child, address: address.trim().to_owned() })
    }

    fn usage(&self) -> Result<Usage> {
        usage::of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server ends with its input. A failure can't be reported from here.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    raise_file_limit((arguments.clients + arguments.deaf) as u64 + 256)?;
    if arguments.serve {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        return runtime.block_on(serve(arguments.symbols, arguments.clients, arguments.burst));
    }
    let server = Server::start(&arguments)?;
    let before = server.usage()?.memory;
    let fleet = Arc::new(Fleet::default());
    let plan = FleetPlan {
        dialect: arguments.dialect,
        hearing: arguments.clients,
        deaf: arguments.deaf,
        symbols: arguments.symbols,
        all: arguments.all,
    };
    let clients = Clients::connect(&server.address, &fleet, &plan)?;
    let own = || usage::of(std::process::id());
    let (connected, own_connected) = (server.usage()?, own()?);
    fleet.counts.store(true, Ordering::Relaxed);
    // The sleep is the measured time.
    std::thread::sleep(Duration::from_secs(arguments.seconds));
    fleet.counts.store(false, Ordering::Relaxed);
    let (after, own_after) = (server.usage()?, own()?);
    let lost = clients.finish()?;
    drop(server);

    let all = arguments.clients + arguments.deaf;
    let per_client = |bytes: u64| bytes.saturating_sub(before) as f64 / all as f64 / 1024.0;
    let seconds = arguments.seconds as f64;
    let cores = |from: Usage, to: Usage| (to.processor - from.processor).as_secs_f64() / seconds;
    let figures = fleet.figures();
    writeln!(
        std::io::stdout(),
        "{:?} dialect, {} clients of {}, {} that accept nothing, {} symbols every 250 ms{}, {} s\n\
         \x20 frames received     {:.0}/s\n\
         \x20 publish to client   p50 {} ms, p99 {} ms, p99.9 {} ms, max {} ms\n\
         \x20 closed candles      {} received, {} lost\n\
         \x20 clients closed      {}\n\
         \x20 server's memory     {:.1} KiB a client once connected, {:.1} KiB at the end\n\
         \x20 processor           server {:.2}, clients {:.2} of a core",
        arguments.dialect,
        arguments.clients,
        if arguments.all { "all symbols" } else { "one symbol each" },
        arguments.deaf,
        arguments.symbols,
        if arguments.burst { ", all at once" } else { "" },
        arguments.seconds,
        figures.updates as f64 / seconds,
        figures.at(0.5),
        figures.at(0.99),
        figures.at(0.999),
        figures.at(1.0),
        figures.closed,
        lost.candles,
        lost.clients,
        per_client(connected.memory),
        per_client(after.memory),
        cores(connected, after),
        cores(own_connected, own_after),
    )?;
    if lost.candles > 0 || lost.clients > 0 {
        bail!("clients that took in everything have lost something");
    }
    Ok(())
}
