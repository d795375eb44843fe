//! The servers that are known, as `ssh` keeps its hosts: a file with a line for each.
//!
//! ```text
//! # comment
//! HOST:PORT KEY
//! ```
//!
//! A host may have several lines; each of their keys will do. A line is added under a lock and
//! by a rename: who reads meanwhile sees the file before or after, and no line is lost.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lftp_ftp::Exit;
use lftp_transport::PublicKey;

use crate::host::Host;
use crate::session::Failure;
use crate::shared::keys;

/// Files longer than this are no lists of servers.
const MAX_BYTES: u64 = 16 << 20;

/// A server that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) host: Host,
    pub(crate) key: PublicKey,
    /// Of the file, from 1.
    pub(crate) line: usize,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host, self.key)
    }
}

/// A line that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: expected HOST:PORT and a key of 64 hexadecimal digits")]
pub(crate) struct BadLine {
    line: usize,
}

/// Reads the lines of a file.
pub(crate) fn parse(text: &str) -> Result<Vec<Known>, BadLine> {
    let numbered = text.lines().zip(1..);
    let meant = numbered.filter(|(line, _)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    meant
        .map(|(text, line)| {
            let mut words = text.split_whitespace();
            let host = words.next().and_then(|word| word.parse().ok());
            let key = words.next().and_then(|word| word.parse().ok());
            let (Some(host), Some(key)) = (host, key) else {
                return Err(BadLine { line });
            };
            Ok(Known { host, key, line })
        })
        .collect()
}

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct KnownServers(PathBuf);

impl KnownServers {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What is known of a server. Blocks.
    pub(crate) fn of(&self, host: &Host) -> Result<Vec<Known>, Failure> {
        Ok(matching(&self.read()?.1, host))
    }

    /// Makes a server known, unless it is by now: whoever was first is right. Blocks.
    pub(crate) fn add(&self, host: &Host, key: PublicKey) -> Result<Vec<Known>, Failure> {
        let failed = |error| self.failed(&error);
        let lock = self.lock().map_err(failed)?;
        let (mut text, known) = self.read()?;
        let known = matching(&known, host);
        if !known.is_empty() {
            return Ok(known);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let known = Known {
            host: host.clone(),
            key,
            line: text.lines().count() + 1,
        };
        text.push_str(&format!("{known}\n"));
        // A link to a file that is kept elsewhere stays one.
        let path = fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
        let written = keys::write_beside(&path, &text).map_err(failed)?;
        written
            .persist(&path)
            .map_err(|error| failed(error.error))?;
        drop(lock);
        Ok(vec![known])
    }

    fn read(&self) -> Result<(String, Vec<Known>), Failure> {
        let text = match File::open(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
            Ok(file) => {
                let mut text = String::new();
                let read = file.take(MAX_BYTES).read_to_string(&mut text);
                read.map(|_| text)
            }
        };
        let text = text.map_err(|error| self.failed(&error))?;
        let known = parse(&text).map_err(|error| self.failed(&error))?;
        Ok((text, known))
    }

    /// Held by one client at a time.
    fn lock(&self) -> io::Result<File> {
        keys::make_folder(&self.0)?;
        let mut path = self.0.clone().into_os_string();
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
        let sentence = format!("the known servers in {}: {error}", self.0.display());
        Failure::new(Exit::LocalFile, sentence)
    }
}

/// Names of hosts are the same in capitals.
fn matching(known: &[Known], host: &Host) -> Vec<Known> {
    let name = host.to_string().to_lowercase();
    let is_it = |known: &&Known| known.host.to_string().to_lowercase() == name;
    known.iter().filter(is_it).cloned().collect()
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
    fn a_server_is_found_by_host_and_port_whatever_the_case() {
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
    fn clients_that_come_at_once_lose_no_line_of_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let servers = KnownServers::new(folder.path().join("new/known_servers"));
        std::thread::scope(|scope| {
            for number in 0..16u8 {
                let servers = &servers;
                scope.spawn(move || {
                    for again in 0..4 {
                        let host = host(&format!("host{}:1", number / 2));
                        let known = servers.add(&host, key(number / 2 + again)).unwrap();
                        assert_eq!(known.len(), 1);
                    }
                });
            }
        });
        let (_, known) = servers.read().unwrap();
        assert_eq!(known.len(), 8, "one line a host: {known:?}");
    }

    #[test]
    fn a_last_line_without_an_end_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_servers");
        fs::write(&path, format!("a:1 {}", key(1))).unwrap();
        let servers = KnownServers::new(path);
        servers.add(&host("b:1"), key(2)).unwrap();
        assert_eq!(servers.of(&host("b:1")).unwrap()[0].line, 2);
        assert_eq!(servers.of(&host("a:1")).unwrap()[0].key, key(1));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn lines_are_read_as_they_are_written(
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
                let known = Known {
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
