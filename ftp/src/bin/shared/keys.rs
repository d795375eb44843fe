//! The program's own key: 64 hexadecimal digits in a file that only its owner may read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use lftp_ftp::Exit;
use lftp_transport::{Identity, Runtime};
use tempfile::NamedTempFile;

use super::{config_file, output};

/// Subcommands of `key`.
#[derive(Copy, Clone, Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Print the public key, by which peers know this program; create the key if there is none
    Show,
    /// Create a new key and print its public half
    New {
        /// Replace an existing key; peers that know the old key will not accept the new one
        #[arg(long)]
        force: bool,
    },
}

fn generate(path: &Path, runtime: &dyn Runtime) -> io::Result<(Identity, NamedTempFile)> {
    let identity = Identity::generate(|bytes| runtime.fill_random(bytes));
    let text = format!("{}\n", *identity.secret_hex());
    let file = config_file::write_temporary(path, &text)?;
    Ok((identity, file))
}

/// Creates a key unless one exists, for which it returns `None`. Of programs that start at the
/// same instant, one creates the key and the others use it.
fn create(path: &Path, runtime: &dyn Runtime) -> io::Result<Option<Identity>> {
    let (identity, file) = generate(path, runtime)?;
    // Not a check before creating: two programs could both find no key and create one.
    match file.persist_noclobber(path) {
        Ok(_) => Ok(Some(identity)),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error.error),
    }
}

fn replace(path: &Path, runtime: &dyn Runtime) -> io::Result<Identity> {
    let (identity, file) = generate(path, runtime)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(identity)
}

fn load(path: &Path) -> io::Result<Identity> {
    let file = File::open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As ssh does: a key that other users can read may be known to them already.
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            let message = format!("other users can read it; run: chmod 600 {}", path.display());
            return Err(io::Error::other(message));
        }
    }
    let mut text = String::new();
    file.take(256).read_to_string(&mut text)?;
    Identity::from_secret_hex(text.trim()).map_err(io::Error::other)
}

/// Loads the key in `path`, or creates one there. The second value is true if it was created.
///
/// # Errors
///
/// A message, when the file can be neither read nor created, holds no key, or is readable by
/// other users.
pub(crate) fn load_or_create(
    path: &Path,
    runtime: &dyn Runtime,
) -> Result<(Identity, bool), String> {
    let created = if fs::exists(path).unwrap_or(false) {
        Ok(None)
    } else {
        create(path, runtime)
    };
    let loaded = created.and_then(|created| match created {
        Some(identity) => Ok((identity, true)),
        None => load(path).map(|identity| (identity, false)),
    });
    loaded.map_err(|error| key_file_message(path, &error))
}

fn key_file_message(path: &Path, error: &io::Error) -> String {
    format!("key file {}: {error}", path.display())
}

/// Runs the `key` command; without a subcommand it shows the key.
///
/// # Errors
///
/// The exit code and a message.
pub(crate) fn run(
    command: Option<KeyCommand>,
    path: &Path,
    runtime: &dyn Runtime,
) -> Result<(), (Exit, String)> {
    let file_error = |error| (Exit::LocalFile, key_file_message(path, &error));
    let (identity, is_new) = match command.unwrap_or(KeyCommand::Show) {
        KeyCommand::Show => {
            load_or_create(path, runtime).map_err(|message| (Exit::LocalFile, message))?
        }
        KeyCommand::New { force: true } => (replace(path, runtime).map_err(file_error)?, true),
        KeyCommand::New { force: false } => {
            let created = create(path, runtime).map_err(file_error)?;
            let exists = format!(
                "the key file {} already exists; --force replaces it, and peers that know the \
                 old key will not accept the new one",
                path.display()
            );
            (created.ok_or((Exit::Exists, exists))?, true)
        }
    };
    if is_new {
        lftp_console::noteln!("created a new key in {}", path.display());
    }
    let printed = lftp_console::outln!("{}", identity.public_key());
    printed.map_err(|error| (output::exit(&error), error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use lftp_transport::TokioRuntime;

    use super::*;

    #[test]
    fn programs_that_start_at_the_same_instant_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/key");
        let key = || {
            let (identity, _) = load_or_create(&path, &*TokioRuntime::new()).unwrap();
            identity.public_key()
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let keys: Vec<_> = thread::scope(|scope| {
            let start = |_| {
                scope.spawn(|| {
                    let _entered = runtime.enter();
                    key()
                })
            };
            let started: Vec<_> = (0..16).map(start).collect();
            started
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }
}
