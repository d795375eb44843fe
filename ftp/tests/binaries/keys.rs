//! The server's key file, and clients that pin its key.

use std::fs;
use std::io::Read;

use crate::processes::{Server, client_command, server_command};

#[test]
fn a_client_that_pins_another_key_exits_with_18_and_the_right_one_connects() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let more = ["--key", key_file.to_str().unwrap()];
    let root = folder.path().join("shared");
    // The key is created at the first start and stays the same.
    drop(Server::spawn(server_command(&root, "same", &more), &root).unwrap());
    let first = fs::read_to_string(&key_file).unwrap();
    let mut child = server_command(&root, "same", &more).spawn().unwrap();
    let mut output = String::new();
    let mut stdout = child.stdout.take().unwrap();
    while output.lines().count() < 3 || !output.ends_with('\n') {
        let mut bytes = [0; 256];
        let read = stdout.read(&mut bytes).unwrap();
        assert!(read > 0, "{output}");
        output.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    assert_eq!(fs::read_to_string(&key_file).unwrap(), first);
    let value = |name: &str| output.lines().find_map(|line| line.strip_prefix(name));
    let (host, key) = (value("listening on ").unwrap(), value("key ").unwrap());
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
    let message = String::from_utf8(wrong.stderr).unwrap();
    assert!(message.contains("not the key"), "{message}");
    assert!(message.contains(key), "{message}");
}

#[cfg(unix)]
#[test]
fn a_key_file_is_readable_by_its_owner_only_and_refused_otherwise() {
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
