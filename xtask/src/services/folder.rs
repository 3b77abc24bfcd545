//! The folder of one set of instances: ports, numbers of processes, logs and data.

use anyhow::{Context, Result};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// The ports that instances get: below those that the system gives to outgoing connections.
const PORTS: std::ops::Range<u64> = 20_000..32_000;
/// The longest wait for a connection to this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The lock of a folder, held until it is dropped.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A lock that can't be released is released with the file.
        let _ = self.0.unlock();
    }
}

pub(super) struct Folder {
    path: PathBuf,
    allotting: Mutex<()>,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder> {
        let make = || {
            fs::create_dir_all(path)?;
            path.canonicalize()
        };
        let path = make().with_context(|| format!("make the folder {}", path.display()))?;
        Ok(Folder { path, allotting: Mutex::new(()) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that a service's output goes to.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.log"))
    }

    /// Opens the log of a service for appending. A process that gets the open file needs no right
    /// to enter the folder.
    pub(super) fn open_log(&self, name: &str) -> Result<File> {
        let path = self.log(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.with_context(|| format!("open {}", path.display()))
    }

    /// A number that identifies the folder among all folders of the machine.
    pub(super) fn number(&self) -> Result<String> {
        let command = "printf %s \"$1\" | cksum | cut -d ' ' -f 1";
        let path = self.path.as_os_str();
        let number =
            crate::process::output(std::process::Command::new("sh").args(["-c", command, "sh"]).arg(path))?;
        Ok(number.trim().to_owned())
    }

    /// Waits for the lock of the folder, which is released with the value.
    pub(super) fn lock(&self) -> Result<Lock> {
        let path = self.path.join("lock");
        let file = File::create(&path).and_then(|file| file.lock().map(|()| file));
        Ok(Lock(file.with_context(|| format!("lock {}", path.display()))?))
    }

    fn read_number<N: std::str::FromStr>(&self, file: &str) -> Option<N> {
        fs::read_to_string(self.path.join(file)).ok()?.trim().parse().ok()
    }

    fn write_number(&self, file: &str, number: impl std::fmt::Display) -> Result<()> {
        let path = self.path.join(file);
        fs::write(&path, format!("{number}\n")).with_context(|| format!("write {}", path.display()))
    }

    /// The port that was allotted to a name.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        self.read_number(&format!("{name}.port"))
    }

    /// Keeps the port of a name if nobody listens there, or finds another one.
    pub(super) fn allot(&self, name: &str) -> Result<u16> {
        // Services are started at the same time, and none listens yet.
        let _guard = self.allotting.lock();
        let others = self.other_ports(name)?;
        let is_free = |port: &u16| !others.contains(port) && !listens(*port);
        let kept = self.port(name).filter(is_free);
        let port =
            kept.unwrap_or_else(|| std::iter::repeat_with(random_port).find(is_free).unwrap_or_default());
        self.write_number(&format!("{name}.port"), port)?;
        Ok(port)
    }

    fn other_ports(&self, name: &str) -> Result<Vec<u16>> {
        let entries = fs::read_dir(&self.path).with_context(|| format!("list {}", self.path.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let others =
            names.filter_map(|it| it.strip_suffix(".port").filter(|it| *it != name).map(str::to_owned));
        Ok(others.filter_map(|other| self.port(&other)).collect())
    }

    /// The number of the process that was started under a name.
    pub(super) fn pid(&self, name: &str) -> Option<u32> {
        self.read_number(&format!("{name}.pid"))
    }

    pub(super) fn set_pid(&self, name: &str, pid: u32) -> Result<()> {
        self.write_number(&format!("{name}.pid"), pid)
    }

    pub(super) fn remove_pid(&self, name: &str) {
        let _ = fs::remove_file(self.path.join(format!("{name}.pid")));
    }

    /// The password of the database in a container, made at the first use.
    pub(super) fn password(&self) -> Result<String> {
        let path = self.path.join("postgres.password");
        if let Some(password) = fs::read_to_string(&path).ok().filter(|it| !it.is_empty()) {
            return Ok(password);
        }
        let password = random_hex()?;
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(password.as_bytes()));
        written.with_context(|| format!("write {}", path.display()))?;
        Ok(password)
    }
}

/// Whether somebody listens on a port of this machine.
pub(super) fn listens(port: u16) -> bool {
    connect(port).is_ok()
}

pub(super) fn connect(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_read_timeout(Some(CONNECT_TIMEOUT))?;
    stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
    Ok(stream)
}

fn random_port() -> u16 {
    let offset = RandomState::new().hash_one(()) % (PORTS.end - PORTS.start);
    (PORTS.start + offset) as u16
}

/// 128 random bits in hexadecimal digits.
pub(super) fn random_hex() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.context("read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
