//! The deck of faults: all of them in a random order, then all of them again.

use super::progress::say;
use anyhow::{Result, bail};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::str::FromStr;

/// Kind of injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `kill -9` of a dataflow process.
    KillOne,
    /// `kill -9` of all dataflow processes.
    KillAll,
    /// `kill -9` of Redis, which comes back empty.
    KillRedis,
    /// An immediate stop of PostgreSQL, which recovers as after a crash.
    KillPostgres,
    /// `kill -9` of the Kafka broker.
    KillKafka,
    /// SIGSTOP of a dataflow process for 15 s.
    Stop,
    /// A full disk under the checkpoints.
    FullDisk,
    /// `kill -9` of all processes, and the newest checkpoint truncated.
    Truncate,
    /// `kill -9` of all processes, and a bit of the newest checkpoint flipped.
    Flip,
    /// A stop or `kill -9` of everything, and a start with another number of processes or workers.
    Rescale,
}

impl Fault {
    const ALL: [(Fault, &'static str); 10] = [
        (Fault::KillOne, "kill-one"),
        (Fault::KillAll, "kill-all"),
        (Fault::KillRedis, "kill-redis"),
        (Fault::KillPostgres, "kill-postgres"),
        (Fault::KillKafka, "kill-kafka"),
        (Fault::Stop, "stop"),
        (Fault::FullDisk, "full-disk"),
        (Fault::Truncate, "truncate"),
        (Fault::Flip, "flip"),
        (Fault::Rescale, "rescale"),
    ];

    /// Whether the fault ends dataflow processes.
    pub(super) fn ends_processes(self) -> bool {
        matches!(self, Fault::KillOne | Fault::KillAll | Fault::Truncate | Fault::Flip | Fault::Rescale)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Fault::ALL.iter().find(|(fault, _)| fault == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let names = Fault::ALL.map(|(_, name)| name).join(", ");
        let found = Fault::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(fault, _)| *fault).ok_or_else(|| format!("{text:?} is none of {names}"))
    }
}

/// The faults, and those that remain of this round.
pub(super) struct Deck {
    faults: Vec<Fault>,
    left: Vec<Fault>,
}

impl Deck {
    /// Creates a deck of the faults in `only`, or of all if it is empty. A full disk needs a small
    /// one.
    pub(super) fn new(only: &[Fault], has_small_disk: bool) -> Result<Deck> {
        let all = Fault::ALL.map(|(fault, _)| fault);
        let mut faults = if only.is_empty() { all.to_vec() } else { only.to_vec() };
        if !has_small_disk {
            say("no full disk is injected: checkpoints are not on a small file system of their own")?;
            faults.retain(|fault| *fault != Fault::FullDisk);
        }
        if faults.is_empty() {
            bail!("no fault to inject");
        }
        Ok(Deck { faults, left: Vec::new() })
    }

    /// Returns the next fault.
    pub(super) fn draw(&mut self, random: &mut ChaCha8Rng) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.faults);
            self.left.shuffle(random);
        }
        self.left.pop().unwrap_or(Fault::KillAll)
    }
}
