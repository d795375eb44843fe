//! Access to the disk. Every operation of a [`DirStore`](super::DirStore) that the system can
//! refuse goes through here, so that tests can make it fail: see [`Faults`].

use std::fmt;
use std::fs::{File, Metadata, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use cap_std::fs::{Dir, DirBuilder, OpenOptions};

#[cfg(unix)]
use super::mode;

/// Operation of a store on its disk.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// Open an existing file or folder, or look at it.
    Open,
    /// Create a file or folder.
    Create,
    /// Read from a file.
    Read,
    /// Write to a file. A write may be short: see [`Faults::write`].
    Write(&'a File),
    /// Change the length of a file, or reserve space for it.
    Resize(&'a File),
    /// Sync a file.
    Sync(&'a File),
    /// Set the mode or time of a file.
    Describe,
    /// Rename a file.
    Name,
    /// Link a file.
    Link,
    /// Rename a file to a name that is free.
    NameNew,
    /// Remove a file.
    Remove,
    /// Sync the names in a folder.
    SyncFolder,
}

/// A disk that fails, for tests. Called on the thread that performs the step.
pub trait Faults: Send + Sync + fmt::Debug {
    /// Called before a step. An error takes the place of the step.
    ///
    /// # Errors
    ///
    /// Error that the system is to report.
    fn before(&self, step: &Step<'_>) -> io::Result<()>;

    /// Called before a write of this many bytes at an offset, after [`before`](Self::before);
    /// returns how many of them are to be written.
    ///
    /// # Errors
    ///
    /// Error that the system is to report; nothing is written then.
    fn write(&self, file: &File, offset: u64, bytes: usize) -> io::Result<usize> {
        let _ = (file, offset);
        Ok(bytes)
    }

    /// Called when a file has been synced.
    fn synced(&self, file: &File) {
        let _ = file;
    }
}

/// A disk that fails where its [`Faults`] say so; by default never.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Option<Arc<dyn Faults>>);

impl Disk {
    pub(super) fn failing(faults: Arc<dyn Faults>) -> Self {
        Self(Some(faults))
    }

    pub(super) fn before(&self, step: &Step<'_>) -> io::Result<()> {
        match &self.0 {
            Some(faults) => faults.before(step),
            None => Ok(()),
        }
    }

    /// Takes over a file that was opened in another way.
    pub(super) const fn hold(self, file: File) -> DiskFile {
        DiskFile { file, disk: self }
    }
}

/// A folder on a disk, through a handle that no name can leave.
#[derive(Debug)]
pub(super) struct Folder {
    dir: Dir,
    disk: Disk,
}

impl Folder {
    pub(super) fn new(dir: Dir) -> Self {
        let disk = Disk::default();
        Self { dir, disk }
    }

    pub(super) fn failing(self, faults: Arc<dyn Faults>) -> Self {
        let disk = Disk::failing(faults);
        Self { disk, ..self }
    }

    /// Handle for reading the folder.
    pub(super) fn dir(&self) -> io::Result<&Dir> {
        self.disk.before(&Step::Open)?;
        Ok(&self.dir)
    }

    pub(super) fn open_dir(&self, path: impl AsRef<Path>) -> io::Result<Self> {
        let dir = self.dir()?.open_dir(path)?;
        let disk = self.disk.clone();
        Ok(Self { dir, disk })
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        let dir = self.dir()?.try_clone()?;
        let disk = self.disk.clone();
        Ok(Self { dir, disk })
    }

    /// Creates a folder and its parents, where they do not exist; the folder itself with this mode.
    pub(super) fn create_dir_all(&self, path: &str, mode: Option<u32>) -> io::Result<()> {
        self.disk.before(&Step::Create)?;
        if let Some((parents, _)) = path.rsplit_once('/') {
            self.dir.create_dir_all(parents)?;
        }
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
        let mut options = DirBuilder::new();
        #[cfg(unix)]
        {
            use cap_std::fs::DirBuilderExt;
            options.mode(mode::of_folder(mode, mode::umask()));
        }
        #[cfg(not(unix))]
        let _ = mode;
        match self.dir.create_dir_with(path, &options) {
            // A folder that exists, or a link to one, stays as it is.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.dir.create_dir_all(path)
            }
            created => created,
        }
    }

    /// Opens an existing file.
    pub(super) fn open(&self, name: &str, options: &OpenOptions) -> io::Result<DiskFile> {
        let file = self.dir()?.open_with(name, options)?;
        Ok(self.disk.clone().hold(file.into_std()))
    }

    /// Creates a file; the options must ask for that.
    pub(super) fn create(&self, name: &str, options: &OpenOptions) -> io::Result<DiskFile> {
        self.disk.before(&Step::Create)?;
        let file = self.dir.open_with(name, options)?;
        Ok(self.disk.clone().hold(file.into_std()))
    }

    pub(super) fn remove_file(&self, name: &str) -> io::Result<()> {
        self.disk.before(&Step::Remove)?;
        self.dir.remove_file(name)
    }

    /// Renames a file, replacing what has the new name.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.before(&Step::Name)?;
        self.dir.rename(from, &self.dir, to)
    }

    /// Gives a file a second name, replacing nothing.
    pub(super) fn hard_link(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.before(&Step::Link)?;
        self.dir.hard_link(from, &self.dir, to)
    }

    /// Renames a file, replacing nothing, where the system can do that.
    pub(super) fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.before(&Step::NameNew)?;
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            // Both names are single parts, which lead nowhere else.
            renameat_with(&self.dir, from, &self.dir, to, RenameFlags::NOREPLACE)?;
            Ok(())
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = (from, to);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Waits until its names are on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.before(&Step::SyncFolder)?;
        self.dir.open(".")?.sync_all()
    }

    /// Waits until everything on the file system is on the disk.
    #[cfg(target_os = "linux")]
    pub(super) fn sync_file_system(&self) -> io::Result<()> {
        self.disk.before(&Step::SyncFolder)?;
        // The handle of the folder is good for names only.
        rustix::fs::syncfs(self.dir.open(".")?)?;
        Ok(())
    }
}

/// A file on a disk.
#[derive(Debug)]
pub(super) struct DiskFile {
    file: File,
    disk: Disk,
}

impl DiskFile {
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.disk.before(&Step::Open)?;
        self.file.metadata()
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        let file = self.file.try_clone()?;
        Ok(self.disk.clone().hold(file))
    }

    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.before(&Step::Resize(&self.file))?;
        self.file.set_len(len)
    }

    /// File handle for reserving space.
    pub(super) fn to_reserve(&self) -> io::Result<&File> {
        self.disk.before(&Step::Resize(&self.file))?;
        Ok(&self.file)
    }

    /// Syncs contents and length, or all metadata as well.
    pub(super) fn sync(&self, all: bool) -> io::Result<()> {
        self.disk.before(&Step::Sync(&self.file))?;
        if all {
            self.file.sync_all()?;
        } else {
            self.file.sync_data()?;
        }
        if let Some(faults) = &self.disk.0 {
            faults.synced(&self.file);
        }
        Ok(())
    }

    #[cfg(unix)]
    pub(super) fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.disk.before(&Step::Describe)?;
        self.file.set_permissions(permissions)
    }

    pub(super) fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.disk.before(&Step::Describe)?;
        self.file.set_modified(time)
    }

    pub(super) fn try_lock(&self) -> Result<(), TryLockError> {
        self.file.try_lock()
    }

    pub(super) fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

impl Read for DiskFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.disk.before(&Step::Read)?;
        self.file.read(buffer)
    }
}

impl DiskFile {
    /// Reads from an offset on, wherever the handle is positioned: clones share that position.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.before(&Step::Read)?;
        loop {
            match read_at(&self.file, buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Writes all bytes from an offset on.
    pub(super) fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let most = self.before_write(offset, bytes.len())?.min(bytes.len());
            match write_at(&self.file, &bytes[..most], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns how many of `bytes` bytes at `offset` the disk takes in one step.
    fn before_write(&self, offset: u64, bytes: usize) -> io::Result<usize> {
        self.disk.before(&Step::Write(&self.file))?;
        match &self.disk.0 {
            Some(faults) => faults.write(&self.file, offset, bytes),
            None => Ok(bytes),
        }
    }
}

#[cfg(unix)]
use std::os::unix::fs::FileExt;

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

#[cfg(windows)]
use std::os::windows::fs::FileExt;

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let offset = self.file.stream_position()?;
        let most = self.before_write(offset, bytes.len())?;
        self.file.write(&bytes[..most.min(bytes.len())])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for DiskFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests;
