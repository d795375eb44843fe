//! The two programs as child processes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

/// Default settings folder of the programs: the tests never touch the settings of the user who
/// runs them, and all servers have the same key.
pub(crate) static SETTINGS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = format!("settings-{}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let _ = fs::remove_dir_all(&folder);
    folder
});

/// A running server, killed when dropped.
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

    /// Returns the names of all files in the shared folder, sorted.
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

/// Returns the names of a folder's files without partial files and journals.
pub(crate) fn complete_files(folder: &Path) -> Vec<String> {
    let mut names = files(folder);
    names.retain(|name| !name.starts_with(".lftp-"));
    names
}

/// Exit code and output of a process that has ended.
#[derive(Debug)]
pub(crate) struct ProcessResult {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for ProcessResult {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A client whose working directory is `folder`.
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

pub(crate) fn client(folder: &Path, args: &[&str]) -> ProcessResult {
    client_command(folder, args).output().unwrap().into()
}

/// Runs a client with `input` on its standard input.
pub(crate) fn client_with_input(folder: &Path, args: &[&str], input: &str) -> ProcessResult {
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

/// Creates a folder for a client, with a file of `len` bytes in it.
pub(crate) fn folder_with(file: &str, len: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file), contents(len)).unwrap();
    folder
}

/// Returns `len` bytes that look random and are the same in every run.
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
    reason = "separate processes share no injected clock"
)]
pub(crate) fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}

/// Repeats a command until the server has noticed that other clients are gone.
pub(crate) fn succeeds_eventually(folder: &Path, args: &[&str]) {
    for _ in 0..600 {
        let done = client(folder, args);
        if done.code == 0 {
            return;
        }
        assert_eq!(done.code, 4, "{done:?}");
        pause();
    }
    panic!("the server stays busy");
}

/// Starts a client that receives a file too long to finish during a test, and waits for its first
/// bytes.
pub(crate) fn client_mid_transfer(server: &Server, folder: &Path, more: &[&str]) -> Child {
    let large = fs::File::options()
        .create(true)
        .append(true)
        .open(server.root.join("large"));
    large.unwrap().set_len(1 << 30).unwrap();
    let args = [&["get", "large", &server.host, "--out", "."], more].concat();
    let mut getting = client_command(folder, &args).spawn().unwrap();
    for _ in 0..1000 {
        // The partial file exists before the data connection does, so wait for bytes.
        let has_bytes = |file: &String| {
            let metadata = fs::metadata(folder.join(file));
            metadata.is_ok_and(|metadata| metadata.len() > 0)
        };
        if files(folder).iter().any(has_bytes) {
            return getting;
        }
        // The server may not have noticed yet that the earlier users of its ports are gone.
        if getting
            .try_wait()
            .unwrap()
            .is_some_and(|status| status.code() == Some(4))
        {
            getting = client_command(folder, &args).spawn().unwrap();
        }
        pause();
    }
    getting.kill().unwrap();
    panic!(
        "the client does not start the transfer: {:?}",
        getting.wait_with_output()
    );
}
