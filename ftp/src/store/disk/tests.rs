use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;
use crate::protocol::Name;
use crate::protocol::blocks::{BLOCK_BYTES, BlockHash};
use crate::store::{CreateOptions, DirStore, Origin, PartialOptions, Store, StoreError};

/// A disk on which one step fails.
#[derive(Debug)]
struct FailsOnce {
    at: u64,
    kind: io::ErrorKind,
    steps: AtomicU64,
}

impl Faults for FailsOnce {
    fn before(&self, _: &Step<'_>) -> io::Result<()> {
        match self.steps.fetch_add(1, Ordering::Relaxed) {
            step if step == self.at => Err(self.kind.into()),
            _ => Ok(()),
        }
    }
}

fn contents() -> Vec<u8> {
    (0..2 * BLOCK_BYTES + 5).map(|i| (i / 1000) as u8).collect()
}

/// Receives the file, behind what an interrupted attempt left.
fn receive(store: &DirStore) -> Result<(), StoreError> {
    let (name, contents) = (Name::parse("a").unwrap(), contents());
    let size = contents.len() as u64;
    let (mut sink, known) = match store.open_partial(&name, PartialOptions::new("key", true))? {
        Some(partial) => (partial.sink, partial.hashes.len()),
        None => {
            let origin = Origin {
                key: "key",
                source: "source",
                allocated: None,
            };
            (
                store.create(&name, CreateOptions::new(size, true).resumable(origin))?,
                0,
            )
        }
    };
    let block = usize::try_from(BLOCK_BYTES).unwrap();
    for (index, bytes) in contents.chunks(block).enumerate().skip(known) {
        sink.write(bytes)?;
        if bytes.len() == block {
            sink.block_verified(BlockHash::of(index as u64, bytes))?;
        }
        if let Some(flush) = sink.flush() {
            flush();
        }
    }
    sink.commit().map(drop)
}

#[test]
fn whichever_step_fails_the_file_is_complete_or_as_before_and_the_next_attempt_succeeds() {
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::Other];
    for (kind, before) in kinds
        .into_iter()
        .flat_map(|kind| [(kind, true), (kind, false)])
    {
        for at in 0.. {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("a");
            if before {
                std::fs::write(&path, "before").unwrap();
            }
            let faults = Arc::new(FailsOnce {
                at,
                kind,
                steps: AtomicU64::new(0),
            });
            let healthy = || {
                DirStore::open(root.path())
                    .unwrap()
                    .flush_every(BLOCK_BYTES)
            };
            let failing = healthy().with_faults(Arc::clone(&faults) as Arc<dyn Faults>);
            let received = receive(&failing);
            match (&received, std::fs::read(&path)) {
                (_, Ok(now)) if now == contents() => {}
                (Err(_), Ok(now)) if before => assert_eq!(now, b"before", "step {at}"),
                (Err(_), Err(error)) if !before => {
                    assert_eq!(error.kind(), io::ErrorKind::NotFound, "step {at}");
                }
                (received, now) => {
                    panic!("step {at}: {received:?}, {:?}", now.map(|now| now.len()))
                }
            }
            receive(&healthy()).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), contents(), "step {at}");
            assert_eq!(
                std::fs::read_dir(root.path()).unwrap().count(),
                1,
                "step {at}"
            );
            if faults.steps.load(Ordering::Relaxed) <= at {
                assert!(received.is_ok(), "nothing failed");
                break;
            }
        }
    }
}

/// The system tells of it once, and takes the pages for written: they are to be written again.
#[test]
fn blocks_that_a_disk_failed_to_keep_are_written_again_before_a_resumption() {
    #[derive(Debug, Default)]
    struct SyncFails {
        written: AtomicU64,
        is_mended: AtomicBool,
    }
    impl Faults for SyncFails {
        fn before(&self, step: &Step<'_>) -> io::Result<()> {
            let fails = !self.is_mended.load(Ordering::Relaxed);
            match step {
                Step::Sync(_) if fails => Err(io::ErrorKind::Other.into()),
                _ => Ok(()),
            }
        }

        fn write(&self, _: &File, _: u64, bytes: usize) -> io::Result<usize> {
            self.written.fetch_add(bytes as u64, Ordering::Relaxed);
            Ok(bytes)
        }
    }
    let root = tempfile::tempdir().unwrap();
    let faults = Arc::new(SyncFails::default());
    let store = DirStore::open(root.path()).unwrap();
    let store = store.with_faults(Arc::clone(&faults) as Arc<dyn Faults>);
    receive(&store).unwrap_err();
    faults.written.store(0, Ordering::Relaxed);
    faults.is_mended.store(true, Ordering::Relaxed);
    receive(&store).unwrap();
    // But for what are holes in the contents.
    assert!(faults.written.load(Ordering::Relaxed) >= 15 * contents().len() as u64 / 16);
    assert_eq!(std::fs::read(root.path().join("a")).unwrap(), contents());
}

/// A later sync that goes well says nothing of what an earlier one could not keep.
#[test]
fn no_mark_follows_a_sync_that_failed() {
    #[derive(Debug, Default)]
    struct FirstSyncFails(AtomicBool, AtomicU64);
    impl Faults for FirstSyncFails {
        fn before(&self, step: &Step<'_>) -> io::Result<()> {
            match step {
                Step::Sync(_) if !self.0.swap(true, Ordering::Relaxed) => {
                    Err(io::ErrorKind::Other.into())
                }
                _ => Ok(()),
            }
        }

        fn write(&self, _: &File, _: u64, bytes: usize) -> io::Result<usize> {
            self.1.fetch_add(bytes as u64, Ordering::Relaxed);
            Ok(bytes)
        }
    }
    for comes_late in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let faults = Arc::new(FirstSyncFails::default());
        let store = DirStore::open(root.path()).unwrap();
        let store = store.flush_every(BLOCK_BYTES);
        let store = store.with_faults(Arc::clone(&faults) as Arc<dyn Faults>);
        let (name, block) = (Name::parse("a").unwrap(), vec![1; 4 << 20]);
        let origin = Origin {
            key: "key",
            source: "source",
            allocated: None,
        };
        let created = store.create(
            &name,
            CreateOptions::new(2 * BLOCK_BYTES, true).resumable(origin),
        );
        let (mut sink, mut late) = (created.unwrap(), None);
        for is_last in [false, true] {
            sink.write(&block).unwrap();
            if !is_last {
                sink.block_verified(BlockHash::of(0, &block)).unwrap();
            }
            match sink.flush() {
                Some(flush) if is_last && comes_late => late = Some(flush),
                Some(flush) => flush(),
                None => {}
            }
        }
        sink.commit().unwrap_err();
        if let Some(flush) = late {
            flush();
        }
        faults.1.store(0, Ordering::Relaxed);
        let partial = store
            .open_partial(&name, PartialOptions::new("key", true))
            .unwrap()
            .unwrap();
        assert_eq!(partial.hashes.len(), 1);
        assert!(faults.1.load(Ordering::Relaxed) >= BLOCK_BYTES);
    }
}

/// Whatever is not on the disk when the machine stops is read and verified, or sent, again.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a disk takes its time, on a thread of its own"
)]
fn a_disk_slower_than_the_network_is_waited_for() {
    /// A sync lasts until nothing has been written for a while.
    #[derive(Debug, Default)]
    struct SlowSync {
        written: AtomicU64,
        marked: AtomicU64,
        most_unmarked: AtomicU64,
    }
    impl Faults for SlowSync {
        fn before(&self, step: &Step<'_>) -> io::Result<()> {
            if matches!(step, Step::Sync(_)) {
                let covered = self.written.load(Ordering::Relaxed);
                let mut before = covered;
                loop {
                    std::thread::sleep(std::time::Duration::from_millis(50));
                    let now = self.written.load(Ordering::Relaxed);
                    if std::mem::replace(&mut before, now) == now {
                        break;
                    }
                }
                let marked = self.marked.swap(covered, Ordering::Relaxed);
                self.most_unmarked
                    .fetch_max(before - marked, Ordering::Relaxed);
            }
            Ok(())
        }

        fn write(&self, _: &File, _: u64, bytes: usize) -> io::Result<usize> {
            self.written.fetch_add(bytes as u64, Ordering::Relaxed);
            Ok(bytes)
        }
    }
    const BLOCKS: u64 = 8;
    let root = tempfile::tempdir().unwrap();
    let faults = Arc::new(SlowSync::default());
    let store = DirStore::open(root.path()).unwrap();
    let store = store.flush_every(BLOCK_BYTES);
    let store = store.with_faults(Arc::clone(&faults) as Arc<dyn Faults>);
    let (name, block) = (Name::parse("a").unwrap(), vec![1; 4 << 20]);
    let origin = Origin {
        key: "key",
        source: "source",
        allocated: None,
    };
    let created = store.create(
        &name,
        CreateOptions::new(BLOCKS * BLOCK_BYTES, true).resumable(origin),
    );
    let mut sink = created.unwrap();
    std::thread::scope(|scope| {
        for index in 0..BLOCKS {
            sink.write(&block).unwrap();
            sink.block_verified(BlockHash::of(index, &block)).unwrap();
            if let Some(flush) = sink.flush() {
                let (started, starts) = std::sync::mpsc::channel();
                scope.spawn(move || {
                    started.send(()).unwrap();
                    flush();
                });
                starts.recv().unwrap();
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    });
    sink.commit().unwrap();
    // The journal is synced by the same step, and is next to nothing.
    let most = faults.most_unmarked.load(Ordering::Relaxed);
    assert!(most < 4 * BLOCK_BYTES, "{most} bytes at once");
}
