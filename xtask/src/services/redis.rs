//! Redis as a process of this machine: a cache that keeps nothing on disk.

use super::daemon;
use super::folder::{Folder, connect};
use super::service::Service;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::process::Command;

pub(super) fn start(folder: &Folder) -> Result<()> {
    let port = folder.allot("redis")?.to_string();
    let data = folder.path().join("redis");
    std::fs::create_dir_all(&data).with_context(|| format!("make the folder {}", data.display()))?;
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no", "--dir"])
        .arg(data);
    daemon::spawn(folder, Service::Redis, &mut command)?;
    daemon::await_answer(folder, Service::Redis, answers)
}

pub(super) fn answers(folder: &Folder) -> bool {
    let ping = || {
        let mut stream = connect(folder.port("redis")?).ok()?;
        stream.write_all(b"PING\r\n").ok()?;
        let mut reply = [0; 7];
        stream.read_exact(&mut reply).ok()?;
        Some(&reply == b"+PONG\r\n")
    };
    ping().unwrap_or(false)
}
