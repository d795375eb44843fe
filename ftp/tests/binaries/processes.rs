//! The two programs as child processes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

/// The folder for the settings of programs that have none of their own: nothing touches those
/// of who runs the tests, and all servers have the same key.
pub(crate) static SETTINGS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = format!("settings-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let _ = fs::remove_dir_all(&folder);
    folder
});

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) host: String,
    pub(crate) root: PathBuf,
    _folder: Option<TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn server_command(root: &Path, ports: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-server"));
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--data-ports",
        ports,
        "--no-fsync",
        "--anonymous",
        "rw",
        "--root",
    ]);
    command
        .arg(root)
        .env("XDG_CONFIG_HOME", &*SETTINGS)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

impl Server {
    pub(crate) fn new(more: &[&str]) -> Self {
        Self::with_ports("auto:3", more)
    }

    pub(crate) fn with_ports(ports: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("shared");
        let command = server_command(&root, ports, more);
        let mut server = Self::spawn(command, &root).unwrap();
        server._folder = Some(folder);
        server
    }

    pub(crate) fn spawn(mut command: Command, root: &Path) -> std::io::Result<Self> {
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let host = line
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"));
        let host = host.trim().to_owned();
        Ok(Self {
            child,
            host,
            root: root.to_owned(),
            _folder: None,
        })
    }

    /// Everything in the shared folder.
    pub(crate) fn files(&self) -> Vec<String> {
        files(&self.root)
    }
}

pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What is there besides files that have not arrived whole.
pub(crate) fn whole(folder: &Path) -> Vec<String> {
    let mut names = files(folder);
    names.retain(|name| !name.starts_with(".lftp-"));
    names
}

/// What a client did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A client that works in a folder.
pub(crate) fn client_command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lftp-client"));
    command
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", &*SETTINGS)
        .env("XDG_STATE_HOME", folder.join("state"));
    command
        .arg("--accept-new")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn client(folder: &Path, args: &[&str]) -> Done {
    client_command(folder, args).output().unwrap().into()
}

/// A client with something to read.
pub(crate) fn client_reading(folder: &Path, args: &[&str], input: &str) -> Done {
    let mut child = client_command(folder, args)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap().into()
}

/// A folder for a client, with a file of some length in it.
pub(crate) fn folder_with(file: &str, len: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file), contents(len)).unwrap();
    folder
}

pub(crate) fn contents(len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

#[cfg(unix)]
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two processes nobody hands time in"
)]
pub(crate) fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}

/// As soon as the server has noticed what became of another client.
pub(crate) fn succeeds_in_the_end(folder: &Path, args: &[&str]) {
    for _ in 0..600 {
        let done = client(folder, args);
        if done.code == 0 {
            return;
        }
        assert_eq!(done.code, 4, "{done:?}");
        pause();
    }
    panic!("the server is busy for ever");
}

/// A client in the middle of receiving a file that is too long to ever end here.
pub(crate) fn client_in_the_middle(server: &Server, here: &Path, more: &[&str]) -> Child {
    let large = fs::File::options()
        .create(true)
        .append(true)
        .open(server.root.join("large"));
    large.unwrap().set_len(1 << 30).unwrap();
    let args = [&["get", "large", &server.host, "--out", "."], more].concat();
    let mut getting = client_command(here, &args).spawn().unwrap();
    for _ in 0..1000 {
        // Its file is there before the data connection is: the first bytes come over that.
        let has_bytes = |file: &String| {
            let metadata = fs::metadata(here.join(file));
            metadata.is_ok_and(|metadata| metadata.len() > 0)
        };
        if files(here).iter().any(has_bytes) {
            return getting;
        }
        // Whoever had the ports before may not have been missed yet.
        if getting
            .try_wait()
            .unwrap()
            .is_some_and(|status| status.code() == Some(4))
        {
            getting = client_command(here, &args).spawn().unwrap();
        }
        pause();
    }
    getting.kill().unwrap();
    panic!(
        "the client does not begin: {:?}",
        getting.wait_with_output()
    );
}
