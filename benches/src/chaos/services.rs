//! Faults of the pipeline's services and of its checkpoints.

use super::pipeline::signal;
use super::plan::MAX_RECOVERY;
use super::progress::{say, until};
use anyhow::{Context, Result, bail};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The services that scripts/services has started, by their settings.
pub(super) struct Services {
    scripts: PathBuf,
    folder: PathBuf,
    postgres: String,
    brokers: String,
}

impl Services {
    /// Returns the services that the environment names.
    pub(super) fn new(scripts: &Path) -> Result<Services> {
        Ok(Services {
            scripts: scripts.to_owned(),
            folder: setting("TALLOW_SERVICES")?.into(),
            postgres: setting("TALLOW__POSTGRES__URL")?,
            brokers: setting("TALLOW__KAFKA__BOOTSTRAP_SERVERS")?,
        })
    }

    pub(super) fn postgres_url(&self) -> &str {
        &self.postgres
    }

    pub(super) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Kills a service by a signal and starts it again after a while.
    pub(super) fn kill(&self, service: &str, by: Signal, away: Duration) -> Result<()> {
        let file = self.folder.join(format!("{service}.pid"));
        let pid = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let pid = pid.trim().parse().context("the number of a process")?;
        signal(pid, by)?;
        // A large process takes time to end and listens until then, so it would be taken for a
        // running one.
        until("the service to end", MAX_RECOVERY, || Ok(has_ended(pid).then_some(())))?;
        std::thread::sleep(away);
        self.script("services", &["up", service])
    }

    /// Compares the tables with files.
    pub(super) fn compare(&self, expected: &Path) -> Result<(bool, String)> {
        let output = Command::new(self.scripts.join("compare")).arg(expected).output()?;
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Result<()> {
        let status = Command::new(self.scripts.join(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { bail!("{name} {arguments:?} has failed") }
    }
}

/// Whether a process has ended. It may remain as a zombie that its parent has not reaped.
fn has_ended(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// Returns a setting of the environment.
pub(super) fn setting(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set; see scripts/chaos"))
}

/// Whether a folder is a small file system of its own, which can be filled without harm to others.
pub(super) fn is_small_disk(folder: &Path) -> Result<bool> {
    std::fs::create_dir_all(folder)?;
    let above = folder.parent().context("the folder of checkpoints must be in another one")?;
    Ok(std::fs::metadata(folder)?.dev() != std::fs::metadata(above)?.dev())
}

/// Fills the disk of a folder and returns the file that does so.
pub(super) fn fill(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("filler");
    let mut file = std::fs::File::create(&path)?;
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![b'x'; size];
        loop {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error).with_context(|| format!("fill {}", path.display())),
            }
        }
    }
    Ok(path)
}

/// Truncates the newest checkpoint or flips a bit of it. Does nothing if there is no older one.
pub(super) fn damage_newest(folder: &Path, cut: bool, random: &mut ChaCha8Rng) -> Result<()> {
    let is_checkpoint = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_dir() && name.starts_with(|first: char| first.is_ascii_digit())
    };
    let mut checkpoints: Vec<PathBuf> = paths(folder)?.into_iter().filter(is_checkpoint).collect();
    checkpoints.sort();
    // Without an older checkpoint there would be nothing to start from.
    let [.., _, newest] = &checkpoints[..] else { return Ok(()) };
    let parts = paths(newest)?;
    if parts.is_empty() {
        return Ok(());
    }
    let part = &parts[random.random_range(0..parts.len())];
    let mut bytes = std::fs::read(part)?;
    let place = random.random_range(0..bytes.len().max(1));
    if cut {
        bytes.truncate(place);
    } else if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 1 << random.random_range(0..8);
    }
    std::fs::write(part, bytes).with_context(|| format!("damage {}", part.display()))?;
    say(&format!("  {} at byte {place}", part.display()))
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
