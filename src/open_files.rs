//! How many files the process may have open. Connections are files, too: a server that takes more of them than there may be
//! leaves none to the log and the stores, which fail for good then.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tallow_server::ServerSettings;

/// How many files are for everything but the server's clients: the log, the stores, connections to services. Half of all
/// where there are few.
const RESERVE: u64 = 256;

/// Raises the limit as far as the system allows, and lowers the server's own limits where that is not enough for them.
pub(crate) fn provide(settings: ServerSettings) -> ServerSettings {
    // Without a limit there is nothing to do.
    let Some(files) = raise() else { return settings };
    let fitted = fit(&settings, files);
    if fitted != settings {
        let (max_connections, max_websockets) = (fitted.max_connections, fitted.max_websockets);
        tracing::warn!(
            files,
            max_connections,
            max_websockets,
            "the system allows too few open files for the limits of the server, which are lowered; see ulimit -Hn"
        );
    }
    fitted
}

/// Raises the limit that holds to the one up to which a process may. Gives how many files that are.
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

/// The settings with no more connections and WebSocket clients than so many files have room for, both lowered alike.
fn fit(settings: &ServerSettings, files: u64) -> ServerSettings {
    let room = u128::from(files - RESERVE.min(files / 2));
    let wanted = settings.max_connections as u128 + settings.max_websockets as u128;
    if wanted <= room {
        return settings.clone();
    }
    // A share is no more than the whole, which is a `usize`.
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
