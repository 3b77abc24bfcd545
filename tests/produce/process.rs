//! The real binary as a process that feeds a topic.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Generous: several of these tests share the machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Asks again and again until it is so.
pub(crate) fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !ask() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `tallow produce`, killed when dropped.
pub(crate) struct Producing {
    child: Child,
    stderr: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
    asked_to_stop: std::cell::Cell<Option<Instant>>,
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallow"));
        let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TALLOW__")) {
            command.env_remove(name);
        }
        for name in proxies {
            command.env_remove(name);
        }
        let mut child = command
            .args(["produce", "--bootstrap", brokers, "--topic", topic])
            .args(arguments)
            .env("NO_COLOR", "1")
            .envs(settings.iter().copied())
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let output = child.stderr.take().expect("its stderr");
        let stderr = Arc::new(Mutex::new(String::new()));
        let said = Arc::clone(&stderr);
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut said = said.lock().expect("not poisoned");
                said.push_str(&line);
                said.push('\n');
            }
        });
        Producing { child, stderr, listener: Some(listener), asked_to_stop: std::cell::Cell::new(None) }
    }

    /// What it has said on stderr so far.
    pub(crate) fn said(&self) -> String {
        self.stderr.lock().expect("not poisoned").clone()
    }

    /// Waits until it has said this.
    pub(crate) fn says(&self, words: &str) {
        until(words, || self.said().contains(words));
    }

    /// Its standard input.
    pub(crate) fn input(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    /// Sends a signal by its name; it must then end within 5 s.
    pub(crate) fn signal(&self, signal: &str) {
        self.asked_to_stop.set(Some(Instant::now()));
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits until it has ended; its status and all that it said.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                break status;
            }
            assert!(Instant::now() < deadline, "it did not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        };
        if let Some(asked) = self.asked_to_stop.get() {
            assert!(asked.elapsed() < Duration::from_secs(5), "took {:?}", asked.elapsed());
        }
        let listener = self.listener.take().expect("a listener");
        listener.join().expect("its stderr");
        (status, self.said())
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

impl Drop for Producing {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
