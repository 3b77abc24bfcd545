//! The real binary as a process that feeds a topic.

use std::cell::Cell;
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tallow_testing::process::Tallow;
use tallow_testing::wait::{LIMIT as EVERYTHING, until as eventually};

/// How long anything may take before a test gives up. Generous: several of these tests share the machine.
pub(crate) const LIMIT: Duration = EVERYTHING;

/// Asks again and again until it is so.
pub(crate) fn until(what: &str, mut ask: impl FnMut() -> bool) {
    eventually(what, LIMIT, || ask().then_some(()));
}

/// `tallow produce`, killed when dropped.
pub(crate) struct Producing {
    tallow: Tallow,
    asked_to_stop: Cell<Option<Instant>>,
}

impl Producing {
    /// Starts it with these flags.
    pub(crate) fn start(brokers: &str, topic: &str, arguments: &[&str]) -> Producing {
        Producing::start_with(brokers, topic, arguments, &[], Stdio::null())
    }

    /// Starts it with settings in its environment, and something on its standard input.
    pub(crate) fn start_with(
        brokers: &str,
        topic: &str,
        arguments: &[&str],
        settings: &[(&str, &str)],
        input: Stdio,
    ) -> Producing {
        let flags = ["produce", "--bootstrap", brokers, "--topic", topic];
        // The tests' own servers are on this machine.
        let settings = [&[("NO_PROXY", "*")][..], settings].concat();
        let tallow = Tallow::start_with(&[&flags[..], arguments].concat(), &settings, input);
        Producing { tallow, asked_to_stop: Cell::new(None) }
    }

    /// What it has said on stderr so far.
    pub(crate) fn said(&self) -> String {
        self.tallow.said()
    }

    /// Waits until it has said this.
    pub(crate) fn says(&self, words: &str) {
        until(words, || self.said().contains(words));
    }

    /// Its standard input.
    pub(crate) fn input(&mut self) -> ChildStdin {
        self.tallow.input()
    }

    /// Sends a signal by its name; it must then end within 5 s.
    pub(crate) fn signal(&self, signal: &str) {
        self.asked_to_stop.set(Some(Instant::now()));
        self.tallow.signal(signal);
    }

    /// Waits until it has ended; its status and all that it said.
    pub(crate) fn ended(self) -> (ExitStatus, String) {
        let ended = self.tallow.ended();
        if let Some(asked) = self.asked_to_stop.get() {
            assert!(asked.elapsed() < Duration::from_secs(5), "took {:?}", asked.elapsed());
        }
        ended
    }

    /// Waits until it has ended with exit code 0; all that it said.
    pub(crate) fn succeeds(self) -> String {
        let (status, said) = self.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }

    /// Waits until it has ended with exit code 1; the last line that it said.
    pub(crate) fn fails(self) -> String {
        let (status, said) = self.ended();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said.trim_end().lines().last().unwrap_or_default().to_owned()
    }
}
