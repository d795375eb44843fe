//! The way to the disk. Every step of a [`DirStore`](super::DirStore) that the system can
//! refuse goes through here, so that a bench can have it refused: see [`Faults`].

use std::fmt;
use std::fs::{File, Metadata, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use cap_std::fs::{Dir, OpenOptions};

/// What a store is about to do on its disk.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// Open a file or a folder that is there, or look at what there is in one.
    Open,
    /// Make a new file or folder.
    Create,
    /// Read from a file.
    Read,
    /// Write to a file. Not all of it need be written: see [`Faults::write`].
    Write(&'a File),
    /// Change the length of a file, or ask for room for it.
    Resize(&'a File),
    /// Wait until a file is on the disk.
    Sync(&'a File),
    /// Give a file a mode or a time.
    Describe,
    /// Give a file its name.
    Name,
    /// Remove a file.
    Remove,
    /// Wait until the names in a folder are on the disk.
    SyncFolder,
}

/// Says what becomes of the steps of a store: a disk that fails, for tests. Called on whatever
/// thread takes the step.
pub trait Faults: Send + Sync + fmt::Debug {
    /// Called before a step; where this is an error, the step is not taken and comes to that.
    ///
    /// # Errors
    ///
    /// What the system is to have said.
    fn before(&self, step: &Step<'_>) -> io::Result<()>;

    /// Called before a write of so many bytes, behind [`before`](Self::before); says how many of
    /// them are written.
    ///
    /// # Errors
    ///
    /// What the system is to have said; nothing is written then.
    fn write(&self, file: &File, bytes: usize) -> io::Result<usize> {
        let _ = file;
        Ok(bytes)
    }

    /// Called when a file is on the disk as it is now.
    fn synced(&self, file: &File) {
        let _ = file;
    }
}

/// Nothing is made to fail, unless somebody asked for it.
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

    /// A file that was opened without this disk's help.
    pub(super) const fn hold(self, file: File) -> DiskFile {
        DiskFile { file, disk: self }
    }
}

/// A folder on a disk, through a handle that nothing leads out of.
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

    /// To look at what there is.
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

    pub(super) fn create_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.disk.before(&Step::Create)?;
        self.dir.create_dir_all(path)
    }

    /// Opens a file that is there.
    pub(super) fn open(&self, name: &str, options: &OpenOptions) -> io::Result<DiskFile> {
        let file = self.dir()?.open_with(name, options)?;
        Ok(self.disk.clone().hold(file.into_std()))
    }

    /// Makes a file, with options that say so.
    pub(super) fn create(&self, name: &str, options: &OpenOptions) -> io::Result<DiskFile> {
        self.disk.before(&Step::Create)?;
        let file = self.dir.open_with(name, options)?;
        Ok(self.disk.clone().hold(file.into_std()))
    }

    pub(super) fn remove_file(&self, name: &str) -> io::Result<()> {
        self.disk.before(&Step::Remove)?;
        self.dir.remove_file(name)
    }

    /// A new name, which replaces what has it.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.before(&Step::Name)?;
        self.dir.rename(from, &self.dir, to)
    }

    /// A second name, which replaces nothing.
    pub(super) fn hard_link(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.before(&Step::Name)?;
        self.dir.hard_link(from, &self.dir, to)
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

    /// The file itself, when it is to ask for room.
    pub(super) fn to_reserve(&self) -> io::Result<&File> {
        self.disk.before(&Step::Resize(&self.file))?;
        Ok(&self.file)
    }

    /// Waits until contents and length are on the disk, or all there is to the file.
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

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.before(&Step::Write(&self.file))?;
        let most = match &self.disk.0 {
            Some(faults) => faults.write(&self.file, bytes.len())?,
            None => bytes.len(),
        };
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
