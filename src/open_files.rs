//! The limit of open files. A connection is an open file: a server with too many of them leaves
//! none to the log and the stores, which then fail for good.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tallow_server::ServerSettings;

/// The number of files that are reserved for everything but the clients of the server: the log, the
/// stores, connections to services. At most half of all files are reserved.
const RESERVE: u64 = 256;

/// Raises the limit as far as the system allows, and lowers the limits of the server if they exceed
/// it.
pub(crate) fn provide(settings: ServerSettings) -> ServerSettings {
    let Some(files) = raise() else { return settings };
    let fitted = fit(&settings, files);
    if fitted != settings {
        let (max_connections, max_websockets) = (fitted.max_connections, fitted.max_websockets);
        tracing::warn!(
            files,
            max_connections,
            max_websockets,
            "limits of the server lowered: the system allows too few open files, see ulimit -Hn"
        );
    }
    fitted
}

/// Raises the soft limit to the hard limit. Returns the resulting limit, `None` if there is none.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, current, "limit of open files not raised");
            current
        }
    }
}

/// Returns the settings with connections and WebSocket clients lowered, in proportion, until they
/// fit into `files`.
fn fit(settings: &ServerSettings, files: u64) -> ServerSettings {
    let room = u128::from(files - RESERVE.min(files / 2));
    let wanted = settings.max_connections as u128 + settings.max_websockets as u128;
    if wanted <= room {
        return settings.clone();
    }
    // A share is at most the whole, which is a `usize`.
    let share = |limit: usize| (limit as u128 * room / wanted) as usize;
    ServerSettings {
        max_connections: share(settings.max_connections).max(1),
        max_websockets: share(settings.max_websockets),
        ..settings.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(max_connections: usize, max_websockets: usize, files: u64) -> (usize, usize) {
        let settings = ServerSettings { max_connections, max_websockets, ..Default::default() };
        let fitted = fit(&settings, files);
        (fitted.max_connections, fitted.max_websockets)
    }

    #[test]
    fn limits_that_fit_stay_and_others_are_lowered_alike() {
        assert_eq!(fitted(1024, 1024, 1 << 20), (1024, 1024));
        assert_eq!(fitted(1024, 1024, 2048 + RESERVE), (1024, 1024));
        assert_eq!(fitted(1024, 1024, 1024), (384, 384));
        assert_eq!(fitted(300, 100, 512), (192, 64));
        assert_eq!(fitted(usize::MAX, 0, 1024), (768, 0));
    }

    #[test]
    fn of_few_files_half_are_for_clients() {
        assert_eq!(fitted(1024, 1024, 400), (100, 100));
        assert_eq!(fitted(1, 1024, 20), (1, 9));
    }
}
