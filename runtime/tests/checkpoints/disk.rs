//! A disk that is full: a small file system, where one may be mounted.

use crate::fixture::{
    PATIENCE, assert_shares, id, part, store_in, until_problem, until_written, write, writer,
};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::tempdir;

/// A file system in memory, gone with it.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// None where this user may not mount one, which is said.
    #[allow(clippy::print_stderr, reason = "what is skipped is said")]
    fn mount(at: &'a Path) -> Option<Small<'a>> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"]).arg(at).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: a small file system can't be mounted by this user");
        }
        mounted.then_some(Small(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.0).status().unwrap();
        assert!(unmounted.success());
    }
}

#[test]
fn a_full_disk_is_waited_for_and_the_checkpoint_before_stays() {
    let dir = tempdir().unwrap();
    let Some(_small) = Small::mount(dir.path()) else { return };
    let store = store_in(dir.path());
    write(&store, id(1), 1);
    let filler = dir.path().join("filler");
    // Fails when the disk is full, which is what is wanted.
    assert!(fs::write(&filler, vec![1; 1 << 20]).is_err());
    let writer = writer(&store, 0..1);
    writer.submit(part(id(2), 0, 1), Vec::new()).unwrap();
    let problem = until_problem(&writer, "No space left on device");
    assert!(problem.contains(&*dir.path().to_string_lossy()), "{problem}");
    assert_eq!(writer.status().written, 0);
    assert_shares(&store.newest().unwrap().unwrap(), id(1), 1);
    fs::remove_file(filler).unwrap();
    until_written(&writer, 1);
    assert_shares(&store.newest().unwrap().unwrap(), id(2), 1);
    writer.close(PATIENCE).unwrap();
}
