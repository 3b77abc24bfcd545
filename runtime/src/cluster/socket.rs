//! A connection to another process, after the handshake.

use socket2::{SockRef, TcpKeepalive};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tallow_dataflow::Link;

/// The time that sent bytes may wait for the other machine before the connection counts as lost. It
/// is longer than the 15 s for which a process may be stopped: a stopped process does not read, and
/// once its buffers are full its machine takes nothing more.
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(16);
/// The time between probes of a silent connection. Without an answer it is lost after
/// `UNACKNOWLEDGED_TIMEOUT` too.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(4);

/// The connection.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// The listener of this process. It accepts nobody any more, but keeps the port taken as long
    /// as there are connections, so that the same process can't be started a second time.
    pub(super) _taken: Arc<TcpListener>,
}

impl Link for Socket {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.stream).write(bytes)
    }

    fn close(&self) {
        // An error means that the connection is closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Sends without delay, and lets the system notice that the other machine has vanished without
/// closing the connection.
pub(super) fn prepare(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEPALIVE_INTERVAL).with_interval(KEEPALIVE_INTERVAL),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT))?;
    Ok(())
}
