//! The file of known servers and their keys, like `known_hosts` of `ssh`.
//!
//! ```text
//! # comment
//! HOST:PORT KEY
//! ```
//!
//! A host may have several lines; each of their keys is accepted. Lines are added under a lock
//! and by renaming a new file into place: a concurrent reader sees the old or the new file, and
//! no line is lost.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lftp_ftp::Exit;
use lftp_transport::PublicKey;

use crate::failure::Failure;
use crate::host::Host;
use crate::shared::config_file;

/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A known server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownServer {
    pub(crate) host: Host,
    pub(crate) key: PublicKey,
    /// Line number in the file, from 1.
    pub(crate) line: usize,
}

impl fmt::Display for KnownServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host, self.key)
    }
}

/// A line that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: expected HOST:PORT and a key of 64 hexadecimal digits; correct or remove it")]
pub(crate) struct BadLine {
    line: usize,
}

/// Parses the lines of a file.
pub(crate) fn parse(text: &str) -> Result<Vec<KnownServer>, BadLine> {
    let numbered = text.lines().zip(1..);
    let entries = numbered.filter(|(line, _)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    entries
        .map(|(text, line)| {
            let mut fields = text.split_whitespace();
            let host = fields.next().and_then(|field| field.parse().ok());
            let key = fields.next().and_then(|field| field.parse().ok());
            let (Some(host), Some(key)) = (host, key) else {
                return Err(BadLine { line });
            };
            Ok(KnownServer { host, key, line })
        })
        .collect()
}

/// The file of known servers.
#[derive(Clone, Debug)]
pub(crate) struct KnownServers(PathBuf);

impl KnownServers {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the entries of a server. Blocks.
    pub(crate) fn find(&self, host: &Host) -> Result<Vec<KnownServer>, Failure> {
        Ok(matching(&self.read()?.1, host))
    }

    /// Adds a server and returns its entries. Blocks.
    ///
    /// Entries that another client has added in the meantime stay and are returned instead: the
    /// first key wins.
    pub(crate) fn add(&self, host: &Host, key: PublicKey) -> Result<Vec<KnownServer>, Failure> {
        let failed = |error| self.failed(&error);
        // Read again under the lock: the caller's look at the file is out of date by now.
        let lock = self.lock().map_err(failed)?;
        let (mut text, known) = self.read()?;
        let known = matching(&known, host);
        if !known.is_empty() {
            return Ok(known);
        }
        // A hand-edited file may lack the last newline.
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let known = KnownServer {
            host: host.clone(),
            key,
            line: text.lines().count() + 1,
        };
        text.push_str(&format!("{known}\n"));
        // Renaming over a symbolic link would replace it: write to the file that it leads to.
        let path = fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
        let written = config_file::write_temporary(&path, &text).map_err(failed)?;
        written
            .persist(&path)
            .map_err(|error| failed(error.error))?;
        drop(lock);
        Ok(vec![known])
    }

    fn read(&self) -> Result<(String, Vec<KnownServer>), Failure> {
        let text = match File::open(&self.0) {
            // No server is known before the first one is added.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
            Ok(file) => {
                let mut text = String::new();
                let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
                // A new server is added to what was read: the rest would be lost.
                match read {
                    Ok(bytes) if bytes as u64 > MAX_BYTES => Err(io::Error::other(format!(
                        "it is longer than {MAX_BYTES} bytes"
                    ))),
                    read => read.map(|_| text),
                }
            }
        };
        let text = text.map_err(|error| self.failed(&error))?;
        let known = parse(&text).map_err(|error| self.failed(&error))?;
        Ok((text, known))
    }

    /// Locks the file against other clients until the returned handle is dropped.
    fn lock(&self) -> io::Result<File> {
        config_file::create_parent(&self.0)?;
        let mut path = self.0.clone().into_os_string();
        // A file of its own: the rename replaces the other one, and with it a lock on it.
        path.push(".lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        file.lock()?;
        Ok(file)
    }

    fn failed(&self, error: &dyn fmt::Display) -> Failure {
        let message = format!("known servers file {}: {error}", self.0.display());
        Failure::new(Exit::LocalFile, message)
    }
}

/// Returns the entries of `host`; the case of host names does not matter.
fn matching(known: &[KnownServer], host: &Host) -> Vec<KnownServer> {
    let name = host.to_string().to_lowercase();
    let is_same = |known: &&KnownServer| known.host.to_string().to_lowercase() == name;
    known.iter().filter(is_same).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    fn key(number: u8) -> PublicKey {
        PublicKey::from_bytes([number; 32])
    }

    #[test]
    fn a_server_is_found_by_host_and_port_in_any_case() {
        let text = format!(
            "# servers\n\na.example:9 {}\r\nb:1 {} note\n",
            key(1),
            key(2)
        );
        let known = parse(&text).unwrap();
        let found = matching(&known, &host("A.example:9"));
        assert_eq!(
            found.iter().map(|k| (k.key, k.line)).collect::<Vec<_>>(),
            [(key(1), 3)]
        );
        assert!(matching(&known, &host("a.example:8")).is_empty());
        assert_eq!(parse("a:1 nonsense\n").unwrap_err().line, 1);
        assert_eq!(parse("#\na:1\n").unwrap_err().line, 2);
    }

    #[test]
    fn clients_that_add_servers_concurrently_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let servers = KnownServers::new(folder.path().join("new/known_servers"));
        std::thread::scope(|scope| {
            for number in 0..16u8 {
                let servers = &servers;
                scope.spawn(move || {
                    for attempt in 0..4 {
                        let host = host(&format!("host{}:1", number / 2));
                        let known = servers.add(&host, key(number / 2 + attempt)).unwrap();
                        assert_eq!(known.len(), 1);
                    }
                });
            }
        });
        let (_, known) = servers.read().unwrap();
        assert_eq!(known.len(), 8, "one line a host: {known:?}");
    }

    #[test]
    fn a_file_beyond_the_limit_is_an_error_and_loses_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_servers");
        let line = format!("a:1 {}\n", key(1));
        let count = usize::try_from(MAX_BYTES).unwrap() / line.len() + 1;
        let text = line.repeat(count);
        fs::write(&path, &text).unwrap();
        let servers = KnownServers::new(path.clone());
        let error = servers.add(&host("b:1"), key(2)).unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
        assert_eq!(fs::metadata(&path).unwrap().len(), text.len() as u64);
    }

    #[test]
    fn a_last_line_without_a_newline_is_terminated_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_servers");
        fs::write(&path, format!("a:1 {}", key(1))).unwrap();
        let servers = KnownServers::new(path);
        servers.add(&host("b:1"), key(2)).unwrap();
        assert_eq!(servers.find(&host("b:1")).unwrap()[0].line, 2);
        assert_eq!(servers.find(&host("a:1")).unwrap()[0].key, key(1));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected_without_a_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn lines_survive_a_round_trip(
            lines in prop::collection::vec(("[a-z0-9.-]{1,20}|[0-9a-f]{1,4}::[0-9a-f]{1,4}",
                any::<[u8; 32]>(), 1..=u16::MAX), 0..8),
            noise in prop::collection::vec(any::<bool>(), 8),
        ) {
            let mut text = String::new();
            let mut written = Vec::new();
            for ((name, key, port), is_noisy) in lines.into_iter().zip(noise) {
                if is_noisy {
                    text.push_str("  # note\n\n");
                }
                let host = if name.contains(':') { format!("[{name}]:{port}") }
                    else { format!("{name}:{port}") };
                let known = KnownServer {
                    host: host.parse().unwrap(),
                    key: PublicKey::from_bytes(key),
                    line: text.lines().count() + 1,
                };
                text.push_str(&format!("{known}\n"));
                written.push(known);
            }
            prop_assert_eq!(parse(&text).unwrap(), written);
        }
    }
}
