//! A program's own key: 64 hexadecimal digits in a file that nobody else may read.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use lftp_ftp::Exit;
use lftp_transport::{Identity, Runtime};
use tempfile::NamedTempFile;

/// What can be done with the key file.
#[derive(Copy, Clone, Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Print the public key, by which others know this program; the key is made when there is
    /// none
    Show,
    /// Make a new key, and print its public half
    New {
        /// Also when there is one already; who knew that will not know the new one
        #[arg(long)]
        force: bool,
    },
}

/// The place of a file of settings: `given`, or its `name` in the folder for them.
///
/// # Errors
///
/// A sentence, when there is no such folder; `option` is what to say instead.
pub(crate) fn place(given: Option<&Path>, name: &str, option: &str) -> Result<PathBuf, String> {
    let found = given.map(Path::to_owned).or_else(|| default_place(name));
    found.ok_or_else(|| {
        format!("no place for {name}: neither XDG_CONFIG_HOME nor HOME is set; use {option} FILE")
    })
}

/// `$XDG_CONFIG_HOME/lftp`, or `~/.config/lftp`.
pub(crate) fn default_place(name: &str) -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = set.filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(std::env::home_dir()?.join(".config")));
    config.map(|config| config.join("lftp").join(name))
}

/// A file for `text` that only its owner may read, beside the one that it is to become.
pub(crate) fn write_beside(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let folder = make_folder(path)?;
    let mut file = tempfile::Builder::new()
        .prefix(".lftp-")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The folder of a file, made for its owner alone where it is not there.
pub(crate) fn make_folder(path: &Path) -> io::Result<&Path> {
    let parent = path.parent();
    let folder = parent
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    Ok(folder)
}

fn generate(path: &Path, runtime: &dyn Runtime) -> io::Result<(Identity, NamedTempFile)> {
    let identity = Identity::generate(|bytes| runtime.fill_random(bytes));
    let file = write_beside(path, &format!("{}\n", *identity.secret_hex()))?;
    Ok((identity, file))
}

/// Makes a key where there is none. `None` when there is one: programs that start at the same
/// moment have the same key then.
fn make(path: &Path, runtime: &dyn Runtime) -> io::Result<Option<Identity>> {
    let (identity, file) = generate(path, runtime)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(Some(identity)),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error.error),
    }
}

fn load(path: &Path) -> io::Result<Identity> {
    let file = File::open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            let advice = format!("others may read it; chmod 600 {}", path.display());
            return Err(io::Error::other(advice));
        }
    }
    let mut text = String::new();
    file.take(256).read_to_string(&mut text)?;
    Identity::from_secret_hex(text.trim()).map_err(io::Error::other)
}

/// Reads the key in `path`, or makes one there; whether it did.
///
/// # Errors
///
/// A sentence, when the file can be neither read nor made, holds something else, or others may
/// read it.
pub(crate) fn load_or_make(path: &Path, runtime: &dyn Runtime) -> Result<(Identity, bool), String> {
    let made = if fs::exists(path).unwrap_or(false) {
        Ok(None)
    } else {
        make(path, runtime)
    };
    let known = made.and_then(|made| match made {
        Some(identity) => Ok((identity, true)),
        None => load(path).map(|identity| (identity, false)),
    });
    known.map_err(|error| format!("the key in {}: {error}", path.display()))
}

/// Does what `key` on the command line says.
///
/// # Errors
///
/// The exit code and a sentence.
pub(crate) fn run(
    command: Option<KeyCommand>,
    path: &Path,
    runtime: &dyn Runtime,
) -> Result<(), (Exit, String)> {
    let failed = |sentence| (Exit::LocalFile, sentence);
    let (identity, is_new) = match command.unwrap_or(KeyCommand::Show) {
        KeyCommand::Show => load_or_make(path, runtime).map_err(failed)?,
        KeyCommand::New { force } => {
            let made = new(path, force, runtime);
            let named = |error| format!("the key in {}: {error}", path.display());
            let made = made.map_err(|error| failed(named(error)))?;
            let there = format!(
                "there is a key in {} already; with --force it is lost, and who knows it will \
                 not know the new one",
                path.display()
            );
            (made.ok_or((Exit::Exists, there))?, true)
        }
    };
    if is_new {
        eprintln!("a new key is in {}", path.display());
    }
    println!("{}", identity.public_key());
    Ok(())
}

fn new(path: &Path, force: bool, runtime: &dyn Runtime) -> io::Result<Option<Identity>> {
    if !force {
        return make(path, runtime);
    }
    let (identity, file) = generate(path, runtime)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(Some(identity))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use lftp_transport::TokioRuntime;

    use super::*;

    #[test]
    fn programs_that_start_at_the_same_moment_have_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/key");
        let key = || {
            let (identity, _) = load_or_make(&path, &*TokioRuntime::new()).unwrap();
            identity.public_key()
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let keys: Vec<_> = thread::scope(|scope| {
            let start = |_| {
                scope.spawn(|| {
                    let _inside = runtime.enter();
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
