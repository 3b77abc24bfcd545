//! The command line of Tallow.

mod config;

fn main() -> anyhow::Result<()> {
    config::Config::load(None)?.check()
}
