//! `tallow produce` as a process.

use std::process::{ChildStdin, ExitStatus, Stdio};
use tallow_testing::process::Tallow;
use tallow_testing::wait::until as eventually;

/// Waits until `ask` returns `true`.
pub(crate) fn until(what: &str, mut ask: impl FnMut() -> bool) {
    eventually(what, || ask().then_some(()));
}

/// `tallow produce`, killed when dropped.
pub(crate) struct Producing {
    tallow: Tallow,
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
        Producing { tallow }
    }

    /// Returns the standard error output so far.
    pub(crate) fn said(&self) -> String {
        self.tallow.said()
    }

    /// Waits until the log contains `words`.
    pub(crate) fn says(&self, words: &str) {
        until(words, || self.said().contains(words));
    }

    /// Takes the standard input of the process.
    pub(crate) fn input(&mut self) -> ChildStdin {
        self.tallow.input()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) {
        self.tallow.signal(signal);
    }

    /// Waits until the process has ended, and returns its status and its log.
    pub(crate) fn ended(self) -> (ExitStatus, String) {
        self.tallow.ended()
    }

    /// Waits until the process has ended with exit code 0, and returns its log.
    pub(crate) fn succeeds(self) -> String {
        let (status, said) = self.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }

    /// Waits until the process has ended with exit code 1, and returns the last line of its log.
    pub(crate) fn fails(self) -> String {
        let (status, said) = self.ended();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said.trim_end().lines().last().unwrap_or_default().to_owned()
    }
}
