//! The handshake: the first messages between two processes, which decide whether they belong
//! together.
//!
//! ```text
//! handshake   "tallow" 0 1 · length: u32 big-endian, at most 64 KiB · JSON   from both sides
//! verdict                    length                                 · JSON   from the accepting side
//! ```
//!
//! The messages are JSON, because two different versions must still be able to tell each other so.

use super::members::Cluster;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The first bytes of a handshake, which tell it from another program's traffic.
const MAGIC: [u8; 8] = *b"tallow\0\x01";

/// The most bytes of a message.
const MAX_MESSAGE: usize = 1 << 16;

/// The properties that must be the same in all processes, beside the numbers of processes and
/// threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The version of the program.
    pub program: String,
    /// The settings that must be the same, by name.
    pub settings: Vec<(String, String)>,
    /// The name of the checkpoint that the process resumes from; empty for none.
    pub checkpoint: String,
}

/// A handshake as it is sent. A field that another version does not send is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Introduction {
    pub(super) program: String,
    /// The encoding of records on their way between the processes.
    pub(super) encoding: String,
    /// The sender's own number, and the number that it believes to address.
    pub(super) process: usize,
    pub(super) to: usize,
    pub(super) processes: usize,
    pub(super) threads: usize,
    pub(super) settings: Vec<(String, String)>,
    pub(super) checkpoint: String,
}

impl Introduction {
    /// Returns the introduction of this process to the process `to`.
    pub(super) fn of(cluster: &Cluster, handshake: &Handshake, to: usize) -> Introduction {
        Introduction {
            program: handshake.program.clone(),
            encoding: tallow_dataflow::WIRE_FORMAT.to_owned(),
            process: cluster.process,
            to,
            processes: cluster.processes(),
            threads: cluster.threads,
            settings: handshake.settings.clone(),
            checkpoint: handshake.checkpoint.clone(),
        }
    }

    /// Returns the differences from `theirs`, in words; empty if the two belong together.
    pub(super) fn differences(&self, theirs: &Introduction) -> String {
        let mut said = String::new();
        let mut differs = |name: &str, here: Option<&str>, there: Option<&str>| {
            if here != there {
                let shown = |value: Option<&str>| match value {
                    None => "not set".to_owned(),
                    Some("") => "empty".to_owned(),
                    Some(value) => in_a_line(value),
                };
                let separator = if said.is_empty() { "" } else { ", " };
                let name = in_a_line(name);
                let _ = write!(said, "{separator}{name} is {} here and {} there", shown(here), shown(there));
            }
        };
        differs(
            "the number of processes",
            Some(&self.processes.to_string()),
            Some(&theirs.processes.to_string()),
        );
        // The process is the one that it was taken for.
        differs("its number", Some(&self.to.to_string()), Some(&theirs.process.to_string()));
        differs(
            "the number that it has for this one",
            Some(&self.process.to_string()),
            Some(&theirs.to.to_string()),
        );
        differs("the program's version", Some(&self.program), Some(&theirs.program));
        differs("the encoding", Some(&self.encoding), Some(&theirs.encoding));
        differs("the number of threads", Some(&self.threads.to_string()), Some(&theirs.threads.to_string()));
        let find = |settings: &[(String, String)], name: &str| {
            settings.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        for (name, value) in &self.settings {
            differs(name, Some(value), find(&theirs.settings, name).as_deref());
        }
        for (name, value) in &theirs.settings {
            if find(&self.settings, name).is_none() {
                differs(name, None, Some(value));
            }
        }
        differs("the checkpoint", Some(&self.checkpoint), Some(&theirs.checkpoint));
        said
    }
}

/// Returns a text of another process in a form that is safe in a log: its sender may be anything
/// that speaks this protocol.
fn in_a_line(text: &str) -> String {
    let shown = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    text.chars().take(200).map(shown).collect()
}

/// The verdict of the side that was connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// The reason for a refusal; `None` if the connection is accepted.
    pub(super) refused: Option<String>,
}

pub(super) async fn send_introduction(stream: &mut TcpStream, ours: &Introduction) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    append_message(&mut bytes, ours)?;
    stream.write_all(&bytes).await
}

pub(super) async fn receive_introduction(stream: &mut TcpStream) -> io::Result<Introduction> {
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC {
        return Err(no_hello("it does not begin as one"));
    }
    receive_message(stream).await
}

pub(super) async fn send_verdict(stream: &mut TcpStream, verdict: &Verdict) -> io::Result<()> {
    let mut bytes = Vec::new();
    append_message(&mut bytes, verdict)?;
    stream.write_all(&bytes).await
}

pub(super) async fn receive_verdict(stream: &mut TcpStream) -> io::Result<Verdict> {
    receive_message(stream).await
}

fn append_message(bytes: &mut Vec<u8>, message: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).ok().filter(|length| *length as usize <= MAX_MESSAGE);
    let length = length.ok_or_else(|| no_hello(&format!("it would have {} bytes", json.len())))?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&json);
    Ok(())
}

async fn receive_message<T: DeserializeOwned>(stream: &mut TcpStream) -> io::Result<T> {
    let length = stream.read_u32().await? as usize;
    if length > MAX_MESSAGE {
        return Err(no_hello(&format!("it has {length} bytes")));
    }
    let mut json = vec![0; length];
    stream.read_exact(&mut json).await?;
    serde_json::from_slice(&json).map_err(|error| no_hello(&error.to_string()))
}

fn no_hello(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a handshake: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Introduction, Introduction) {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let handshake = Handshake {
            program: "0.1.0".to_owned(),
            settings: vec![setting("kafka.topic", "prices"), setting("rules", "1")],
            checkpoint: "60000-1".to_owned(),
        };
        let addresses = vec!["a:1".to_owned(), "b:2".to_owned()];
        let of = |process| Cluster { threads: 2, process, addresses: addresses.clone() };
        (Introduction::of(&of(0), &handshake, 1), Introduction::of(&of(1), &handshake, 0))
    }

    #[test]
    fn processes_of_one_cluster_differ_in_nothing() {
        let (here, there) = pair();
        assert_eq!(here.differences(&there), "");
        assert_eq!(there.differences(&here), "");
    }

    #[test]
    fn each_difference_is_named_with_both_values_on_both_sides() {
        type Change = fn(&mut Introduction);
        let cases: [(Change, &str, &str, &str); 8] = [
            (|it| it.program = "0.2.0".to_owned(), "the program's version", "0.1.0", "0.2.0"),
            (|it| it.processes = 3, "the number of processes", "2", "3"),
            (|it| it.threads = 4, "the number of threads", "2", "4"),
            (|it| it.checkpoint.clear(), "the checkpoint", "60000-1", "empty"),
            (|it| it.settings[0].1 = "others".to_owned(), "kafka.topic", "prices", "others"),
            (|it| drop(it.settings.remove(1)), "rules", "1", "not set"),
            (|it| it.settings.push(("new".to_owned(), "x\ny".to_owned())), "new", "not set", "x\u{fffd}y"),
            (|it| it.encoding = "other".to_owned(), "the encoding", tallow_dataflow::WIRE_FORMAT, "other"),
        ];
        for (change, name, one, other) in cases {
            let (here, mut there) = pair();
            change(&mut there);
            assert_eq!(here.differences(&there), format!("{name} is {one} here and {other} there"));
            assert_eq!(there.differences(&here), format!("{name} is {other} here and {one} there"));
        }
    }

    #[test]
    fn a_process_that_is_another_one_than_expected_is_told() {
        let (here, mut there) = pair();
        there.process = 0;
        assert_eq!(here.differences(&there), "its number is 1 here and 0 there");
        assert_eq!(there.differences(&here), "the number that it has for this one is 0 here and 1 there");
    }

    #[test]
    fn a_hello_of_a_version_that_says_less_can_be_read() {
        let older: Introduction =
            serde_json::from_str(r#"{"program":"0.0.1","surprise":[1]}"#).expect("read");
        let (here, _) = pair();
        assert!(here.differences(&older).contains("the program's version is 0.1.0 here and 0.0.1 there"));
    }
}
