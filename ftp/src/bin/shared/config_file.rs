//! Files in the folder for settings: their paths, and writing them so that no reader sees half
//! of one.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Returns the path of a settings file: `given`, or `name` in the folder for settings.
///
/// # Errors
///
/// A message, when there is no such folder; it names `option` as the remedy.
pub(crate) fn path(given: Option<&Path>, name: &str, option: &str) -> Result<PathBuf, String> {
    let found = given.map(Path::to_owned).or_else(|| default_path(name));
    found.ok_or_else(|| {
        format!(
            "no folder for the file {name}: neither XDG_CONFIG_HOME nor HOME is set; use \
             {option} FILE"
        )
    })
}

/// Returns the path of `name` in `$XDG_CONFIG_HOME/lftp`, or in `~/.config/lftp`.
pub(crate) fn default_path(name: &str) -> Option<PathBuf> {
    let set = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    // The XDG specification says that a relative path is to be ignored.
    let config = set.filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(std::env::home_dir()?.join(".config")));
    config.map(|config| config.join("lftp").join(name))
}

/// Writes `text` to a temporary file beside `path`, readable by its owner only.
pub(crate) fn write_temporary(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let folder = create_parent(path)?;
    let mut file = tempfile::Builder::new()
        .prefix(".lftp-")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    // Without this, a crash after the rename could leave an empty file under the final name.
    file.as_file().sync_all()?;
    Ok(file)
}

/// Creates the folder of a file if it is missing, accessible by its owner only.
pub(crate) fn create_parent(path: &Path) -> io::Result<&Path> {
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
