//! What changed between two attempts: the source, or what the receiver holds of it. Whatever it
//! was, the file that gets its name has the bytes of the source.

use std::fs::{File, FileTimes, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lftp_ftp::{
    BLOCK_BYTES, Client, DirStore, Exit, MemStore, Progress, Receipt, Store, Target, TransferError,
};
use tokio::sync::Notify;

use crate::world::{World, bytes, name, server_config};

const BLOCK: usize = BLOCK_BYTES as usize;
const LEN: usize = 12 * BLOCK + 17;

/// Notifies when this many bytes are verified.
struct Until {
    bytes: u64,
    reached: Notify,
}

impl Progress for Until {
    fn begin(&self, _: u64) {}
    fn at(&self, _: u64) {}
    fn verified(&self, bytes: u64) {
        if bytes >= self.bytes {
            self.reached.notify_one();
        }
    }
}

/// A client's folder, a server's folder, and the server.
struct Pair {
    here: tempfile::TempDir,
    there: tempfile::TempDir,
    is_put: bool,
    world: World,
}

impl Pair {
    fn new(is_put: bool) -> Self {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Arc::new(DirStore::open(there.path()).unwrap().durable(false));
        Self {
            world: World::with_store(server_config("auto:3"), store, MemStore::new()),
            here,
            there,
            is_put,
        }
    }

    fn source(&self) -> PathBuf {
        let folder = if self.is_put { &self.here } else { &self.there };
        folder.path().join("source")
    }

    fn target(&self) -> PathBuf {
        self.receiver().join("target")
    }

    fn receiver(&self) -> &Path {
        let folder = if self.is_put { &self.there } else { &self.here };
        folder.path()
    }

    /// Names of the receiver's files that end in `end`.
    fn received(&self, end: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.receiver()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.to_str().unwrap().ends_with(end))
            .collect()
    }

    async fn transfer(
        &self,
        client: &mut Client,
        progress: &dyn Progress,
    ) -> Result<Receipt, TransferError> {
        let store: Arc<dyn Store> =
            Arc::new(DirStore::open(self.here.path()).unwrap().durable(false));
        if self.is_put {
            let source = store.open(&name("source")).unwrap();
            return client.put(source, "target", true, progress).await;
        }
        let target = Target {
            store: &store,
            name: &name("target"),
            overwrite: true,
        };
        client.get("source", target, progress).await
    }

    /// Ends a transfer after this many blocks, and waits until the receiver let go of the file.
    async fn interrupt_after(&self, blocks: u64) {
        let until = Until {
            bytes: blocks * BLOCK_BYTES,
            reached: Notify::new(),
        };
        let mut client = self.world.client().await;
        tokio::select! {
            biased;
            () = until.reached.notified() => {}
            done = self.transfer(&mut client, &until) => panic!("too fast: {done:?}"),
        }
        drop(client);
        self.world.pool_is_whole().await;
        for part in self.received(".part") {
            let part = File::open(part).unwrap();
            while part.try_lock().is_err() {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn finish(&self) -> Receipt {
        let mut client = self.world.client().await;
        let receipt = self.transfer(&mut client, &()).await.unwrap();
        let expected = std::fs::read(self.source()).unwrap();
        let stored = std::fs::read(self.target()).unwrap();
        assert_eq!(receipt.hash, blake3::hash(&expected), "the receipt's hash");
        assert_eq!(blake3::hash(&stored), receipt.hash, "the file's hash");
        assert_eq!(self.received("").len(), 1, "nothing is left beside it");
        receipt
    }
}

/// Overwrites bytes of a file in place, and puts its old modification time back.
fn overwrite(path: &Path, offset: u64, contents: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(contents).unwrap();
    file.set_times(FileTimes::new().set_modified(modified))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_of_a_source_that_changed_below_the_mark() {
    for is_put in [true, false] {
        let pair = Pair::new(is_put);
        std::fs::write(pair.source(), bytes(LEN, 3)).unwrap();
        pair.interrupt_after(8).await;
        overwrite(&pair.source(), 3 * BLOCK_BYTES + 5, b"four");
        let receipt = pair.finish().await;
        assert!(receipt.resumed_bytes >= 8 * BLOCK_BYTES, "{receipt:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_onto_a_part_that_rotted_on_the_disk() {
    for is_put in [true, false] {
        let pair = Pair::new(is_put);
        std::fs::write(pair.source(), bytes(LEN, 4)).unwrap();
        pair.interrupt_after(8).await;
        overwrite(&pair.received(".part")[0], 2 * BLOCK_BYTES + 5, b"four");
        let receipt = pair.finish().await;
        assert!(receipt.resumed_bytes >= 8 * BLOCK_BYTES, "{receipt:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_of_a_source_that_was_only_touched_or_copied() {
    for (is_put, is_copied) in [(true, true), (true, false), (false, true), (false, false)] {
        let pair = Pair::new(is_put);
        std::fs::write(pair.source(), bytes(LEN, 5)).unwrap();
        pair.interrupt_after(8).await;
        let source = pair.source();
        if is_copied {
            let copy = source.with_extension("copy");
            std::fs::copy(&source, &copy).unwrap();
            std::fs::rename(&copy, &source).unwrap();
        } else {
            let file = OpenOptions::new().write(true).open(&source).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }
        let receipt = pair.finish().await;
        assert!(receipt.resumed_bytes >= 8 * BLOCK_BYTES, "{receipt:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_of_another_file_is_removed() {
    for is_put in [true, false] {
        let pair = Pair::new(is_put);
        std::fs::write(pair.source(), bytes(LEN, 6)).unwrap();
        pair.interrupt_after(8).await;
        std::fs::write(pair.source(), bytes(LEN - 5, 7)).unwrap();
        let receipt = pair.finish().await;
        assert_eq!(receipt.resumed_bytes, 0);
        // Also when the file fits one block by now, which is never resumed.
        let pair = Pair::new(is_put);
        std::fs::write(pair.source(), bytes(LEN, 6)).unwrap();
        pair.interrupt_after(8).await;
        std::fs::write(pair.source(), bytes(5, 7)).unwrap();
        pair.finish().await;
    }
}

/// A file to which something is appended once `after` bytes are on their way.
struct Growing {
    path: PathBuf,
    after: u64,
    is_done: std::sync::atomic::AtomicBool,
}

impl Progress for Growing {
    fn begin(&self, _: u64) {}
    fn verified(&self, _: u64) {}
    fn at(&self, bytes: u64) {
        use std::sync::atomic::Ordering;
        if bytes >= self.after && !self.is_done.swap(true, Ordering::SeqCst) {
            let mut file = OpenOptions::new().append(true).open(&self.path).unwrap();
            file.write_all(b"more").unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_grows_while_it_is_sent_is_not_cut() {
    for is_put in [true, false] {
        let pair = Pair::new(is_put);
        std::fs::write(pair.source(), bytes(24 * BLOCK, 8)).unwrap();
        let growing = Growing {
            path: pair.source(),
            after: 1,
            is_done: false.into(),
        };
        let mut client = pair.world.client().await;
        let error = pair.transfer(&mut client, &growing).await.unwrap_err();
        assert!(error.is_source_changed(), "{error}");
        assert_eq!(Exit::from(&error), Exit::Integrity, "{error}");
        assert!(!pair.target().exists());
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_proc_arrives_with_its_bytes() {
    let pair = Pair::new(true);
    let source = lftp_ftp::store::open_file(Path::new("/proc/version")).unwrap();
    let mut client = pair.world.client().await;
    client.put(source, "target", true, &()).await.unwrap();
    let expected = std::fs::read("/proc/version").unwrap();
    assert!(!expected.is_empty());
    assert_eq!(std::fs::read(pair.target()).unwrap(), expected);
}
