//! Interrupted and resumed transfers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use lftp_ftp::protocol::{self, Confirmation, Granted, Request};
use lftp_ftp::{
    Attributes, BLOCK_BYTES, BlockHash, Client, Code, CreateOptions, DirStore, MemStore,
    PartialOptions, Progress, Receipt, Store, Target, TransferError,
};
use tokio::sync::Notify;

use crate::protocol::{connect, control, data_hello, grant, read_body, read_reply, reset_of};
use crate::world::{World, bytes, name, server_config};

const BLOCK: usize = BLOCK_BYTES as usize;
const LEN: usize = 5 * BLOCK + 17;

/// Notifies when this many bytes are verified.
#[derive(Default)]
struct Until {
    bytes: u64,
    reached: Notify,
    resumed: AtomicU64,
}

impl Until {
    fn blocks(blocks: u64) -> Self {
        Self {
            bytes: blocks * BLOCK_BYTES,
            ..Self::default()
        }
    }
}

impl Progress for Until {
    fn begin(&self, _: u64) {}
    fn at(&self, _: u64) {}
    fn resumed(&self, bytes: u64) {
        self.resumed.store(bytes, Ordering::SeqCst);
    }
    fn verified(&self, bytes: u64) {
        if bytes >= self.bytes {
            self.reached.notify_one();
        }
    }
}

/// A store, opened again as another process would see it.
struct StoreUnderTest {
    _folder: Option<tempfile::TempDir>,
    store: Arc<dyn Store>,
}

impl StoreUnderTest {
    fn memory() -> Self {
        Self {
            _folder: None,
            store: Arc::new(MemStore::new()),
        }
    }

    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(DirStore::open(folder.path()).unwrap());
        Self {
            _folder: Some(folder),
            store,
        }
    }

    fn write(&self, file: &str, contents: &[u8]) {
        let size = contents.len() as u64;
        let mut sink = self
            .store
            .create(&name(file), CreateOptions::new(size, true))
            .unwrap();
        sink.write(contents).unwrap();
        sink.commit().unwrap();
    }

    fn read(&self, file: &str) -> Vec<u8> {
        let mut source = self.store.open(&name(file)).unwrap();
        let size = usize::try_from(source.size()).unwrap();
        source.read(size).unwrap().to_vec()
    }

    /// Waits until the file is closed: a piece may still be written on another thread when its
    /// transfer is dropped.
    async fn is_released(&self, file: &str, key: &str) {
        let options = PartialOptions::new(key, true);
        while self
            .store
            .open_partial(&name(file), options)
            .unwrap()
            .is_none()
        {
            tokio::task::yield_now().await;
        }
    }

    /// Returns whether the store has these files and nothing else.
    fn has_only(&self, files: &[&str]) -> bool {
        let entries = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
        self._folder
            .as_ref()
            .is_none_or(|folder| entries(folder.path()) == files.len())
    }
}

async fn put(
    client: &mut Client,
    from: &StoreUnderTest,
    progress: &dyn Progress,
) -> Result<Receipt, TransferError> {
    let source = from.store.open(&name("here")).unwrap();
    client.put(source, "there", true, progress).await
}

async fn get(
    client: &mut Client,
    to: &StoreUnderTest,
    progress: &dyn Progress,
) -> Result<Receipt, TransferError> {
    let target = Target {
        store: &to.store,
        name: &name("here"),
        overwrite: true,
    };
    client.get("there", target, progress).await
}

fn world(store: &StoreUnderTest) -> World {
    let store = Arc::clone(&store.store);
    World::with_store(server_config("auto:3"), store, MemStore::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_put_resumes_behind_what_the_server_verified() {
    for (here, there) in [
        (StoreUnderTest::folder(), StoreUnderTest::folder()),
        (StoreUnderTest::memory(), StoreUnderTest::memory()),
    ] {
        let contents = bytes(LEN, 3);
        here.write("here", &contents);
        let world = world(&there);
        let mut before = 0;
        for blocks in [1, 3] {
            let until = Until::blocks(blocks);
            let mut client = world.client().await;
            tokio::select! {
                done = put(&mut client, &here, &until) => panic!("too fast: {done:?}"),
                () = until.reached.notified() => {}
            }
            assert_eq!(until.resumed.load(Ordering::SeqCst) > 0, blocks > 1);
            before = blocks * BLOCK_BYTES;
        }
        let mut client = world.client().await;
        let receipt = put(&mut client, &here, &()).await.unwrap();
        assert!(receipt.resumed_bytes >= before, "{receipt:?}");
        assert_eq!(receipt.hash, blake3::hash(&contents));
        assert!(there.read("there") == contents);
        assert!(there.has_only(&["there"]));
        world.pool_is_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_get_resumes_behind_what_the_client_verified() {
    for (here, there) in [
        (StoreUnderTest::folder(), StoreUnderTest::folder()),
        (StoreUnderTest::memory(), StoreUnderTest::memory()),
    ] {
        let contents = bytes(LEN, 4);
        there.write("there", &contents);
        let world = world(&there);
        for blocks in [1, 3] {
            let until = Until::blocks(blocks);
            let mut client = world.client().await;
            tokio::select! {
                done = get(&mut client, &here, &until) => panic!("too fast: {done:?}"),
                () = until.reached.notified() => {}
            }
            here.is_released("here", "get there").await;
        }
        let mut client = world.client().await;
        let receipt = get(&mut client, &here, &()).await.unwrap();
        assert!(receipt.resumed_bytes >= 3 * BLOCK_BYTES, "{receipt:?}");
        assert_eq!(receipt.hash, blake3::hash(&contents));
        assert!(here.read("here") == contents);
        assert!(here.has_only(&["here"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_source_is_detected_and_sent_from_scratch() {
    for upload in [true, false] {
        let (here, there) = (StoreUnderTest::folder(), StoreUnderTest::folder());
        let (from, file) = if upload {
            (&here, "here")
        } else {
            (&there, "there")
        };
        from.write(file, &bytes(LEN, 5));
        let world = world(&there);
        let until = Until::blocks(2);
        let mut client = world.client().await;
        let transfer = async {
            if upload {
                put(&mut client, &here, &until).await
            } else {
                get(&mut client, &here, &until).await
            }
        };
        tokio::select! {
            biased;
            () = until.reached.notified() => {}
            done = transfer => panic!("{done:?}"),
        }
        let contents = bytes(LEN, 6);
        from.write(file, &contents);
        let mut client = world.client().await;
        let receipt = if upload {
            put(&mut client, &here, &()).await.unwrap()
        } else {
            get(&mut client, &here, &()).await.unwrap()
        };
        assert_eq!(receipt.resumed_bytes, 0);
        assert_eq!(receipt.hash, blake3::hash(&contents));
        let (to, file) = if upload {
            (&there, "there")
        } else {
            (&here, "here")
        };
        assert!(to.read(file) == contents);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_a_new_time_stamp_is_detected_by_the_blocks() {
    let (here, there) = (StoreUnderTest::folder(), StoreUnderTest::folder());
    let mut contents = bytes(LEN, 7);
    here.write("here", &contents);
    let path = here._folder.as_ref().unwrap().path().join("here");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let world = world(&there);
    let until = Until::blocks(2);
    let mut client = world.client().await;
    tokio::select! {
        biased;
        () = until.reached.notified() => {}
        done = put(&mut client, &here, &until) => panic!("{done:?}"),
    }
    contents[5] ^= 1;
    std::fs::write(&path, &contents).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified).unwrap();
    let mut client = world.client().await;
    let receipt = put(&mut client, &here, &()).await.unwrap();
    assert!(receipt.resumed_bytes > 0, "the rest is the same");
    assert!(there.read("there") == contents);
    assert!(there.has_only(&["there"]));
}

fn request(source: &str) -> Request {
    Request::Put {
        name: "a".into(),
        size: 2 * BLOCK_BYTES,
        overwrite: true,
        source: Some(source.into()),
        allocated: None,
        attributes: Attributes::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_transfer_of_the_same_file_preempts_a_silent_one() {
    let there = StoreUnderTest::folder();
    let world = world(&there);
    let contents = bytes(2 * BLOCK, 8);
    let mut control = control(&world).await;
    let granted = grant(&mut control, &request("same")).await;
    assert_eq!(granted.held, None);
    let mut silent = connect(&world, granted.port).await;
    silent.write_bytes(data_hello(granted.token)).await.unwrap();
    read_body(&mut silent).await;
    let block = Bytes::copy_from_slice(&contents[..BLOCK]);
    let hash = BlockHash::of(0, &block);
    silent.write_bytes(block).await.unwrap();
    silent.write_all(&hash.0).await.unwrap();
    silent.write_all(&bytes(BLOCK / 2, 1)).await.unwrap();
    assert_eq!(read_body(&mut silent).await, br#"{"verified":4194304}"#);

    let other: Granted = grant(&mut control, &request("other")).await;
    assert_eq!(other.held, None);
    let again: Granted = grant(&mut control, &request("same")).await;
    assert_eq!(reset_of(silent).await, Some(Code::Preempted));
    let held = again.held.unwrap();
    assert_eq!((held.blocks, held.size), (1, 2 * BLOCK_BYTES));
    assert_eq!(held.samples[0].hash, hash);

    // The client has another file now: the server starts from scratch.
    let mut data = connect(&world, again.port).await;
    data.write_bytes(data_hello(again.token)).await.unwrap();
    read_body(&mut data).await;
    for index in 0..2_u8 {
        let block = &contents[usize::from(index) * BLOCK..][..BLOCK];
        data.write_all(block).await.unwrap();
        let hash = BlockHash::of(u64::from(index), block);
        data.write_all(&hash.0).await.unwrap();
    }
    data.write_all(blake3::hash(&contents).as_bytes())
        .await
        .unwrap();
    assert_eq!(read_body(&mut data).await, br#"{"verified":4194304}"#);
    let whole: Confirmation = read_reply(&mut data).await.unwrap();
    assert_eq!(whole.hash, *blake3::hash(&contents).to_hex());
    assert!(there.read("a") == contents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_with_the_wrong_hash_ends_the_transfer_and_is_not_kept() {
    let there = StoreUnderTest::folder();
    let world = world(&there);
    let mut control = control(&world).await;
    let granted = grant(&mut control, &request("same")).await;
    let mut data = connect(&world, granted.port).await;
    data.write_bytes(data_hello(granted.token)).await.unwrap();
    read_body(&mut data).await;
    data.write_bytes(bytes(BLOCK, 9).into()).await.unwrap();
    data.write_all(&[7; 32]).await.unwrap();
    // Behind its end comes another block; the server has to look at the first before.
    let _ = data.write_bytes(bytes(BLOCK, 9).into()).await;
    let confirmation = read_reply::<Confirmation>(&mut data).await;
    assert_eq!(confirmation.unwrap_err().code, Code::Integrity);
    let again = grant(&mut control, &request("same")).await;
    assert_eq!(again.held, None);
    assert!(there.store.list(None, None, 9).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_claims_to_hold_is_compared_with_the_source() {
    let there = StoreUnderTest::folder();
    let contents = bytes(2 * BLOCK, 10);
    there.write("a", &contents);
    let world = world(&there);
    let mut control = control(&world).await;
    let ask = |size, hash: BlockHash| Request::Get {
        name: "a".into(),
        held: Some(protocol::HeldBlocks {
            blocks: 1,
            size,
            samples: vec![protocol::BlockSample { block: 0, hash }],
        }),
    };
    let right = BlockHash::of(0, &contents[..BLOCK]);
    let size = 2 * BLOCK_BYTES;
    let granted = grant(&mut control, &ask(size + 1, right)).await;
    assert_eq!(granted.from, 0);
    let granted = grant(&mut control, &ask(size, right)).await;
    assert_eq!(granted.from, BLOCK_BYTES);
    let granted = grant(&mut control, &ask(size, BlockHash([0; 32]))).await;
    assert_eq!(granted.from, 0);
}
