//! The files of the repository, for tests that hold a rule over all of them.

use std::path::{Path, PathBuf};

/// Folders that hold no source: products of a build, and packages.
const NOT_SOURCE: [&str; 7] = ["target", ".git", "node_modules", "corpus", "artifacts", "coverage", "dist"];

/// Returns every text file of the repository: its path below the root, and its text; sorted.
pub fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root of the repository");
    // The log of `tallow up`; another folder of this name may hold sources.
    let running_log = root.join("data");
    let mut folders = vec![root.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
            if NOT_SOURCE.contains(&name) || path == running_log {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.push((path.strip_prefix(root).expect("a path below the root").to_path_buf(), text));
            }
        }
    }
    found.sort();
    found
}
