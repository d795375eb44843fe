use std::fs;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::protocol::{Code, Name};
use crate::store::disk::{Faults, Step};
use crate::store::{CreateOptions, DirStore, Store};

fn name(name: &str) -> Name {
    Name::parse(name).unwrap()
}

/// A disk that refuses some steps, as CIFS and exFAT do.
#[derive(Debug)]
struct Refuses(io::ErrorKind, fn(&Step<'_>) -> bool);

impl Faults for Refuses {
    fn before(&self, step: &Step<'_>) -> io::Result<()> {
        if (self.1)(step) {
            return Err(self.0.into());
        }
        Ok(())
    }
}

const REFUSALS: [io::ErrorKind; 3] = [
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::Unsupported,
    io::ErrorKind::InvalidInput,
];

fn refusing(kind: io::ErrorKind, steps: fn(&Step<'_>) -> bool) -> (TempDir, DirStore) {
    let root = tempfile::tempdir().unwrap();
    let store = DirStore::open(root.path()).unwrap();
    (root, store.with_faults(Arc::new(Refuses(kind, steps))))
}

fn put(store: &DirStore, overwrite: bool) -> Result<Stored, StoreError> {
    let mut sink = store.create(&name("a"), CreateOptions::new(3, overwrite))?;
    sink.write(b"new")?;
    sink.set_attributes(Attributes {
        mode: Some(0o640),
        modified_ns: Some(1_000_000_007),
    });
    sink.commit()
}

#[test]
fn a_file_arrives_where_mode_and_time_cannot_be_set() {
    for kind in REFUSALS {
        let (root, store) = refusing(kind, |step| matches!(step, Step::Describe));
        let stored = put(&store, true).unwrap();
        assert_eq!(stored.without_attributes.unwrap().kind(), kind);
        assert_eq!(fs::read(root.path().join("a")).unwrap(), b"new");
    }
    // Any other error is one.
    let (_root, store) = refusing(io::ErrorKind::Other, |step| matches!(step, Step::Describe));
    assert_eq!(put(&store, true).unwrap_err().code(), Code::Io);
}

#[test]
fn a_file_arrives_where_there_are_no_hard_links_and_replaces_none() {
    let steps: [fn(&Step<'_>) -> bool; 2] = [
        |step| matches!(step, Step::Link),
        |step| matches!(step, Step::Link | Step::NameNew),
    ];
    for (kind, steps) in REFUSALS
        .into_iter()
        .flat_map(|kind| steps.map(|s| (kind, s)))
    {
        let (root, store) = refusing(kind, steps);
        put(&store, false).unwrap();
        assert_eq!(fs::read(root.path().join("a")).unwrap(), b"new");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert_eq!(put(&store, false).unwrap_err().code(), Code::Exists);
        // Also if it appears while the other one arrives.
        let sink = store.create(&name("b"), CreateOptions::new(0, false));
        fs::write(root.path().join("b"), "other").unwrap();
        let error = sink.unwrap().commit().unwrap_err();
        assert_eq!(error.code(), Code::Exists);
        assert_eq!(fs::read(root.path().join("b")).unwrap(), b"other");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }
}

#[test]
fn a_name_that_was_taken_in_vain_is_given_back() {
    let (root, store) = refusing(io::ErrorKind::Unsupported, |step| {
        matches!(step, Step::Link | Step::NameNew | Step::Name)
    });
    put(&store, false).unwrap_err();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[cfg(unix)]
mod modes {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    use super::*;
    use crate::protocol::blocks::BLOCK_BYTES;
    use crate::store::{Origin, PartialOptions};

    fn store() -> (TempDir, DirStore) {
        let root = tempfile::tempdir().unwrap();
        let store = DirStore::open(root.path()).unwrap();
        (root, store)
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn put_with(store: &DirStore, mode: Option<u32>) {
        let mut sink = store
            .create(&name("a"), CreateOptions::new(0, true))
            .unwrap();
        sink.set_attributes(Attributes {
            mode,
            modified_ns: Some(1_000_000_007),
        });
        sink.commit().unwrap();
    }

    #[test]
    fn a_file_is_private_while_it_arrives_and_then_has_its_mode_and_time() {
        let (root, store) = store();
        let origin = Origin {
            key: "key",
            source: "source",
            allocated: None,
        };
        let resumable = CreateOptions::new(2 * BLOCK_BYTES, true).resumable(origin);
        for options in [CreateOptions::new(3, true), resumable] {
            let sink = store.create(&name("a"), options).unwrap();
            for entry in fs::read_dir(root.path()).unwrap() {
                let path = entry.unwrap().path();
                assert_eq!(mode(&path), 0o600, "{path:?}");
            }
            drop(sink);
        }
        for private in [0o600, 0o640, 0o444] {
            put_with(&store, Some(private));
            let path = root.path().join("a");
            assert_eq!(mode(&path), private);
            assert_eq!(fs::metadata(&path).unwrap().mtime(), 1);
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_peers_mode_passes_neither_the_umask_nor_the_nine_bits() {
        let (root, store) = store();
        put_with(&store, Some(0o7777));
        let allowed = 0o777 & !mode::umask();
        assert_eq!(mode(&root.path().join("a")), allowed);
        store.create_folder(&name("x/y"), Some(0o7777)).unwrap();
        assert_eq!(mode(&root.path().join("x/y")), allowed);
    }

    #[test]
    fn a_private_file_or_folder_stays_private_when_it_is_replaced() {
        let (root, store) = store();
        let path = root.path().join("a");
        for source in [None, Some(0o644), Some(0o666)] {
            fs::write(&path, "secret").unwrap();
            set_mode(&path, 0o600);
            put_with(&store, source);
            assert_eq!(mode(&path), 0o600, "{source:?}");
        }
        store.create_folder(&name("x"), Some(0o700)).unwrap();
        store.create_folder(&name("x"), Some(0o777)).unwrap();
        store.create_folder(&name("x"), None).unwrap();
        assert_eq!(mode(&root.path().join("x")), 0o700);
    }

    #[test]
    fn what_an_earlier_version_left_readable_is_made_private() {
        let (root, store) = store();
        let origin = Origin {
            key: "key",
            source: "source",
            allocated: Some(0),
        };
        let options = CreateOptions::new(2 * BLOCK_BYTES, true).resumable(origin);
        let mut sink = store.create(&name("a"), options).unwrap();
        let block = vec![0; usize::try_from(BLOCK_BYTES).unwrap()];
        sink.write(&block).unwrap();
        sink.block_verified(BlockHash::of(0, &block)).unwrap();
        drop(sink);
        for entry in fs::read_dir(root.path()).unwrap() {
            set_mode(&entry.unwrap().path(), 0o644);
        }
        let options = PartialOptions::new("key", true);
        let _partial = store.open_partial(&name("a"), options).unwrap().unwrap();
        let parts = fs::read_dir(root.path())
            .unwrap()
            .map(|it| it.unwrap().path());
        let part = parts.filter(|path| path.extension().is_some_and(|it| it == "part"));
        let modes: Vec<u32> = part.map(|path| mode(&path)).collect();
        assert_eq!(modes, [0o600]);
    }
}
