//! The server's key, and a client that insists on it.

use std::fs;
use std::io::Read;

use crate::processes::{Server, client_command, server_command};

#[test]
fn a_client_that_names_another_key_stops_with_18_and_the_true_one_gets_in() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let more = ["--key", key_file.to_str().unwrap()];
    let root = folder.path().join("shared");
    // Without a word of what follows: the key stays the same from start to start.
    drop(Server::spawn(server_command(&root, "same", &more), &root).unwrap());
    let first = fs::read_to_string(&key_file).unwrap();
    let mut child = server_command(&root, "same", &more).spawn().unwrap();
    let mut told = String::new();
    let mut stdout = child.stdout.take().unwrap();
    while told.lines().count() < 3 || !told.ends_with('\n') {
        let mut bytes = [0; 256];
        let read = stdout.read(&mut bytes).unwrap();
        assert!(read > 0, "{told}");
        told.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    assert_eq!(fs::read_to_string(&key_file).unwrap(), first);
    let word = |line: &str| told.lines().find_map(|text| text.strip_prefix(line));
    let (host, key) = (word("listening on ").unwrap(), word("key ").unwrap());
    let ls = |key: &str| {
        let args = ["ls", host, "--server-key", key];
        client_command(folder.path(), &args).output().unwrap()
    };
    let right = ls(key);
    let wrong = ls(&"ab".repeat(32));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(right.status.code(), Some(0), "{right:?}");
    assert_eq!(wrong.status.code(), Some(18), "{wrong:?}");
    let sentence = String::from_utf8(wrong.stderr).unwrap();
    assert!(sentence.contains("not the key"), "{sentence}");
    assert!(sentence.contains(key), "{sentence}");
}

#[cfg(unix)]
#[test]
fn a_key_file_is_made_for_its_owner_alone_and_refused_otherwise() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let more = ["--key", key_file.to_str().unwrap()];
    let root = folder.path().join("shared");
    drop(Server::spawn(server_command(&root, "same", &more), &root).unwrap());
    let mode = fs::metadata(&key_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = server_command(&root, "same", &more).output().unwrap();
    assert_eq!(refused.status.code(), Some(12), "{refused:?}");
}
