//! What interrupted transfers leave in folders of any number and depth.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::processes::{SETTINGS, Server};

/// A partial file without a journal, which nothing can resume.
fn leave(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(".lftp-left.part"), "left").unwrap();
}

/// It opened every folder at once: what the descriptors did not suffice for stayed.
#[cfg(unix)]
#[test]
fn leftovers_are_removed_with_fewer_descriptors_than_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("shared");
    let mut folders: Vec<_> = (0..300).map(|i| root.join(format!("wide/{i}"))).collect();
    folders.extend((1..=40).map(|depth| root.join("deep/".repeat(depth))));
    folders.iter().for_each(|folder| leave(folder));
    let program = env!("CARGO_BIN_EXE_lftp-server");
    let mut command = Command::new("sh");
    command
        .env("XDG_CONFIG_HOME", &*SETTINGS)
        .args(["-c", "ulimit -n 64; exec \"$0\" \"$@\"", program])
        .args(["--listen", "127.0.0.1:0", "--data-ports", "auto:2"])
        .args(["--anonymous", "rw", "--root"])
        .arg(&root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let _server = Server::spawn(command, &root).unwrap();
    let is_left = |folder: &&std::path::PathBuf| folder.join(".lftp-left.part").exists();
    assert_eq!(folders.iter().filter(is_left).count(), 0);
}
