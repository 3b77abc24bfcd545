//! The address at which another process reports its status.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use url::Url;

/// The address of a process, written `http://host:port`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessUrl(Url);

/// The reason why a text is no [`ProcessUrl`]. The message does not show the text, which may hold a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a process listens at http://host:port, and this is no such address")]
pub struct InvalidProcessUrl;

impl ProcessUrl {
    /// Returns the URL of the process's statistics.
    pub(super) fn stats(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path("/api/v1/stats");
        url
    }
}

impl FromStr for ProcessUrl {
    type Err = InvalidProcessUrl;

    fn from_str(text: &str) -> Result<ProcessUrl, InvalidProcessUrl> {
        let url = Url::parse(text).map_err(|_| InvalidProcessUrl)?;
        let is_web = matches!(url.scheme(), "http" | "https");
        if is_web && url.has_host() { Ok(ProcessUrl(url)) } else { Err(InvalidProcessUrl) }
    }
}

impl TryFrom<String> for ProcessUrl {
    type Error = InvalidProcessUrl;

    fn try_from(text: String) -> Result<ProcessUrl, InvalidProcessUrl> {
        text.parse()
    }
}

impl From<ProcessUrl> for String {
    fn from(url: ProcessUrl) -> String {
        url.0.into()
    }
}

impl fmt::Display for ProcessUrl {
    /// Shows the part that identifies the process.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.0.port_or_known_default().unwrap_or_default();
        write!(f, "{}:{port}", self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for ProcessUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_of_a_process_is_refused_and_not_repeated() {
        for text in ["localhost", "ftp://me:hunter2@host", "http://", "host:8001", ""] {
            assert_eq!(text.parse::<ProcessUrl>(), Err(InvalidProcessUrl), "{text}");
        }
        assert!(!InvalidProcessUrl.to_string().contains("hunter2"));
    }

    #[test]
    fn a_process_is_called_by_host_and_port() {
        for (text, shown) in [
            ("http://127.0.0.1:8001", "127.0.0.1:8001"),
            ("https://me:hunter2@host/", "host:443"),
            ("http://[::1]:8001", "[::1]:8001"),
        ] {
            assert_eq!(text.parse::<ProcessUrl>().map(|url| url.to_string()), Ok(shown.to_owned()));
        }
    }
}
