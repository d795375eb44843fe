//! The server's key file: 64 hexadecimal digits that nobody else may read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use lftp_transport::{Identity, Runtime};

/// Reads the key in `path`, or makes one there.
///
/// # Errors
///
/// When the file can be neither read nor made, holds something else, or others may read it.
pub(crate) fn load_or_make(path: &Path, runtime: &dyn Runtime) -> io::Result<Identity> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(mut file) => {
            let identity = Identity::generate(|bytes| runtime.fill_random(bytes));
            writeln!(file, "{}", *identity.secret_hex())?;
            file.sync_all()?;
            Ok(identity)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(error),
    }
}

fn load(path: &Path) -> io::Result<Identity> {
    let file = File::open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other("others may read it (chmod 600)"));
        }
    }
    let mut text = String::new();
    file.take(256).read_to_string(&mut text)?;
    Identity::from_secret_hex(text.trim()).map_err(io::Error::other)
}
