//! Recordings of real markets, in the folder `shared/data` beside the checkout.

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the path of a recording, or `None` after saying that the test is skipped.
///
/// # Panics
///
/// If the recording is missing and `TALLOW_REQUIRE_ALL` is set.
pub fn recording(name: &str) -> Option<PathBuf> {
    let path = checkout().join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("TALLOW_REQUIRE_ALL").is_none(), "{} is missing", path.display());
    eprintln!("skipped: {} is missing", path.display());
    None
}
