//! The `tallow` program as a process: started, queried over HTTP, stopped or killed.

use crate::wait::{LIMIT, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A process of the `tallow` program, killed when dropped.
pub struct Tallow {
    child: Child,
    stderr: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Tallow {
    /// Starts the program with arguments and settings; settings of the environment are left out.
    pub fn start(arguments: &[&str], settings: &[(&str, &str)]) -> Tallow {
        Tallow::start_with(arguments, settings, Stdio::null())
    }

    /// Starts the program with a standard input.
    pub fn start_with(arguments: &[&str], settings: &[(&str, &str)], input: Stdio) -> Tallow {
        Tallow::spawn(crate::program::tallow(), arguments, settings, input)
    }

    /// Starts the program under the limits that a shell command sets.
    pub fn start_limited(limits: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Tallow {
        let tallow = crate::program::tallow();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{limits} && exec \"$0\" \"$@\"")).arg(tallow.get_program());
        for (name, _) in tallow.get_envs().filter(|(_, value)| value.is_none()) {
            shell.env_remove(name);
        }
        Tallow::spawn(shell, arguments, settings, Stdio::null())
    }

    fn spawn(mut command: Command, arguments: &[&str], settings: &[(&str, &str)], input: Stdio) -> Tallow {
        let mut child = command
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
        Tallow { child, stderr, listener: Some(listener) }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the log if the process has ended.
    pub fn still_runs(&mut self) {
        let ended = self.child.try_wait().expect("a status");
        assert!(ended.is_none(), "ended with {ended:?}: {}", self.said());
    }

    /// Waits until the log contains `words`.
    pub fn says(&mut self, words: &str) {
        until(words, || {
            let said = self.said().contains(words);
            if !said {
                self.still_runs();
            }
            said.then_some(())
        });
    }

    /// Takes the standard input of the process.
    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    /// Returns the standard error output so far.
    pub fn said(&self) -> String {
        self.stderr.lock().expect("not poisoned").clone()
    }

    /// Returns the address of the server once it is in the log.
    pub fn address(&self) -> Option<SocketAddr> {
        let said = self.said();
        let (_, after) = said.split_once("http://127.0.0.1:")?;
        let port: String = after.chars().take_while(char::is_ascii_digit).collect();
        after.contains('\n').then(|| SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port"))))
    }

    /// Returns the status and the body of `GET path`.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.get_with(path, "")
    }

    /// Returns the status and the body of `GET path` with further header lines, each with its line
    /// end.
    pub fn get_with(&self, path: &str, headers: &str) -> (u16, String) {
        let (head, body) = self.exchange(path, headers);
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, body)
    }

    /// Returns the value of a header of `GET path`, which must succeed.
    pub fn header(&self, path: &str, name: &str) -> Option<String> {
        let (head, _) = self.exchange(path, "");
        assert_eq!(head.split(' ').nth(1), Some("200"), "{path}: {head}");
        let value = |line: &str| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        head.lines().find_map(value)
    }

    /// Returns the head and the body of the response to `GET path`.
    fn exchange(&self, path: &str, headers: &str) -> (String, String) {
        let address = self.address().expect("an address");
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket");
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    /// Returns the JSON of `GET path`, which must succeed.
    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Sends a signal by its name.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits until the process has ended, and returns its status and its log.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let status = until("ended", || self.child.try_wait().expect("a status"));
        let listener = self.listener.take().expect("a listener");
        listener.join().expect("its stderr");
        (status, self.said())
    }

    /// Waits until the process has ended with exit code 0, and returns its log.
    pub fn stop_by_itself(self) -> String {
        let (status, said) = self.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }

    /// Stops the program as Ctrl-C does, and returns its log. The exit code must be 0.
    pub fn stop(self) -> String {
        self.signal("INT");
        self.stop_by_itself()
    }

    /// Kills the process at once.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

impl Drop for Tallow {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
