//! Peers that violate the protocol.

use std::sync::Arc;

use bytes::Bytes;
use lftp_ftp::protocol::{
    self, Ack, Confirmation, Granted, HASH_BYTES, Hello, LENGTH_BYTES, MAX_MESSAGE_BYTES, Purpose,
    Ready, Refusal, Reply, Request, Token,
};
use lftp_ftp::{
    Attributes, BlockHash, BlockReader, Code, CreateOptions, DiskUsage, Entry, Found, MemStore,
    Name, OnDisk, PartialOptions, ResumablePartial, Sink, Source, Store, StoreError, Stored,
    TransferError,
};
use lftp_transport::{Identity, Listener, Stream};
use proptest::prelude::*;
use serde::de::DeserializeOwned;

use crate::world::{World, client_config, get, name, put, server_config};

/// One key for both ports: client and server insist on that.
const KEY: [u8; 32] = [1; 32];

pub(crate) async fn connect(world: &World, port: u16) -> Stream {
    connect_as(world, port, KEY).await
}

pub(crate) async fn connect_as(world: &World, port: u16, key: [u8; 32]) -> Stream {
    let addr = (world.addr.ip(), port).into();
    let mut config = client_config().transport;
    config.identity = Some(Identity::from_secret(key));
    Stream::connect(Arc::clone(&world.runtime), addr, config)
        .await
        .unwrap()
}

pub(crate) async fn read_body(stream: &mut Stream) -> Vec<u8> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await.unwrap();
    let mut body = vec![0; protocol::body_bytes(length).unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    body
}

pub(crate) async fn read_reply<T: DeserializeOwned>(stream: &mut Stream) -> Reply<T> {
    protocol::decode_reply(&read_body(stream).await).unwrap()
}

pub(crate) async fn control(world: &World) -> Stream {
    let mut stream = connect(world, world.addr.port()).await;
    let hello = protocol::encode(&Hello::new(Purpose::Control { data_port: None })).unwrap();
    stream.write_bytes(hello).await.unwrap();
    stream
}

pub(crate) async fn grant(stream: &mut Stream, request: &Request) -> Granted {
    stream
        .write_bytes(protocol::encode(request).unwrap())
        .await
        .unwrap();
    read_reply(stream).await.unwrap()
}

pub(crate) fn data_hello(token: Token) -> Bytes {
    protocol::encode(&Hello::new(Purpose::Data {
        token,
        resume: false,
        ahead: false,
    }))
    .unwrap()
}

/// Code in the peer's reset.
pub(crate) async fn reset_of(mut stream: Stream) -> Option<Code> {
    loop {
        match stream.read_chunk(1 << 20).await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(lftp_transport::ReadError::Connection(
                lftp_transport::ConnectionError::Reset { reason },
            )) => {
                return Code::from_reset_reason(reason);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn framed(body: &[u8]) -> Bytes {
    let mut framed = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(body);
    framed.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_valid_once_and_on_its_own_port_only() {
    let world = World::new(server_config("auto:2"));
    world.files.insert(&name("a"), "contents");
    let mut control = control(&world).await;
    let granted = grant(
        &mut control,
        &Request::Get {
            name: "a".into(),
            held: None,
        },
    )
    .await;
    let other_port = *world
        .data_ports
        .iter()
        .find(|&&port| port != granted.port)
        .unwrap();

    for (port, token) in [
        (granted.port, Token([7; 16])),
        (other_port, granted.token),
        (world.addr.port(), granted.token),
    ] {
        let mut stream = connect(&world, port).await;
        stream.write_bytes(data_hello(token)).await.unwrap();
        assert_eq!(reset_of(stream).await, Some(Code::BadToken));
    }

    let mut good = connect(&world, granted.port).await;
    good.write_bytes(data_hello(granted.token)).await.unwrap();
    good.write_bytes(protocol::encode(&Ready { ack: Ack::Ack }).unwrap())
        .await
        .unwrap();
    let mut file = vec![0; 8 + HASH_BYTES];
    good.read_exact(&mut file).await.unwrap();
    assert_eq!(&file[..8], b"contents");
    assert_eq!(&file[8..], blake3::hash(b"contents").as_bytes());

    let mut late = connect(&world, granted.port).await;
    late.write_bytes(data_hello(granted.token)).await.unwrap();
    assert_eq!(reset_of(late).await, Some(Code::BadToken));
    drop(good);
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_valid_for_the_key_it_was_granted_to_and_for_no_other() {
    let world = World::new(server_config("auto:1"));
    world.files.insert(&name("a"), "contents");
    let mut control = control(&world).await;
    let get = Request::Get {
        name: "a".into(),
        held: None,
    };
    let granted = grant(&mut control, &get).await;
    let mut thief = connect_as(&world, granted.port, [2; 32]).await;
    thief.write_bytes(data_hello(granted.token)).await.unwrap();
    assert_eq!(reset_of(thief).await, Some(Code::BadToken));

    // The theft that failed has not used the token up.
    let mut owner = connect(&world, granted.port).await;
    owner.write_bytes(data_hello(granted.token)).await.unwrap();
    owner
        .write_bytes(protocol::encode(&Ready { ack: Ack::Ack }).unwrap())
        .await
        .unwrap();
    let mut file = [0; 8];
    owner.read_exact(&mut file).await.unwrap();
    assert_eq!(&file, b"contents");
    drop(owner);
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_transfer_returns_its_port_at_once() {
    let world = World::new(server_config("auto:1"));
    let mut control = control(&world).await;
    let request = Request::Put {
        name: "a".into(),
        size: 5,
        overwrite: true,
        source: None,
        allocated: None,
        attributes: Attributes::default(),
    };
    let granted = grant(&mut control, &request).await;
    assert_eq!(world.server.pool().free(), 0);
    let cancel = Request::Cancel {
        token: granted.token,
    };
    control
        .write_bytes(protocol::encode(&cancel).unwrap())
        .await
        .unwrap();
    read_reply::<protocol::Cancelled>(&mut control)
        .await
        .unwrap();
    world.pool_is_whole().await;
    // So does a client that leaves without a word.
    grant(&mut control, &request).await;
    drop(control);
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_hash_is_wrong_is_not_kept() {
    let world = World::new(server_config("auto:1"));
    let mut control = control(&world).await;
    let request = Request::Put {
        name: "a".into(),
        size: 5,
        overwrite: true,
        source: None,
        allocated: None,
        attributes: Attributes::default(),
    };
    let granted = grant(&mut control, &request).await;
    let mut data = connect(&world, granted.port).await;
    data.write_bytes(data_hello(granted.token)).await.unwrap();
    assert_eq!(read_body(&mut data).await, br#"{"ack":"ACK"}"#);
    data.write_bytes(Bytes::from_static(b"hellO"))
        .await
        .unwrap();
    data.write_all(blake3::hash(b"hello").as_bytes())
        .await
        .unwrap();
    let confirmation: Reply<Confirmation> = read_reply(&mut data).await;
    assert_eq!(confirmation.unwrap_err().code, Code::Integrity);
    world.pool_is_whole().await;
    assert_eq!(world.files.contents(&name("a")), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_stops_in_the_middle_is_not_waited_for() {
    let mut config = server_config("auto:1");
    config.stall_limit = std::time::Duration::from_millis(200);
    let world = World::new(config);
    let mut control = control(&world).await;
    let request = Request::Put {
        name: "a".into(),
        size: 5,
        overwrite: true,
        source: None,
        allocated: None,
        attributes: Attributes::default(),
    };
    let granted = grant(&mut control, &request).await;
    let mut data = connect(&world, granted.port).await;
    data.write_bytes(data_hello(granted.token)).await.unwrap();
    data.write_all(b"hel").await.unwrap();
    assert_eq!(reset_of(data).await, Some(Code::Stalled));
    world.pool_is_whole().await;
    assert_eq!(world.files.contents(&name("a")), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_place_of_a_request_is_answered_and_the_connection_stays() {
    let world = World::new(server_config("auto:1"));
    let mut control = control(&world).await;
    for body in [
        &b"{}"[..],
        b"[1]",
        b"",
        br#"{"action":"rm","name":"a"}"#,
        b"\xff\xfe",
    ] {
        control.write_bytes(framed(body)).await.unwrap();
        let reply: Reply<Granted> = read_reply(&mut control).await;
        assert_eq!(reply.unwrap_err().code, Code::BadRequest);
    }
    let body = br#"{"action":"ls","path":""}"#;
    control.write_bytes(framed(body)).await.unwrap();
    read_reply::<protocol::Listing>(&mut control).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message_end_the_connection_with_a_reason() {
    let world = World::new(server_config("auto:1"));
    let too_long = u32::try_from(MAX_MESSAGE_BYTES + 1).unwrap().to_be_bytes();
    for (bytes, code) in [
        (Bytes::copy_from_slice(&too_long), Code::BadRequest),
        (
            framed(br#"{"lftp":2,"connection":"control"}"#),
            Code::BadVersion,
        ),
        (
            framed(br#"{"lftp":4,"connection":"control"}"#),
            Code::BadVersion,
        ),
        (
            framed(br#"{"lftp":3,"connection":"teapot"}"#),
            Code::BadRequest,
        ),
        (framed(b"GET / HTTP/1.1"), Code::BadRequest),
    ] {
        let mut stream = connect(&world, world.addr.port()).await;
        stream.write_bytes(bytes).await.unwrap();
        assert_eq!(reset_of(stream).await, Some(code));
    }
    let mut control = control(&world).await;
    control
        .write_bytes(Bytes::copy_from_slice(&too_long))
        .await
        .unwrap();
    assert_eq!(reset_of(control).await, Some(Code::BadRequest));
}

/// Gets a file from a server that grants every `get` and then sends the given bytes.
async fn get_from_a_false_server(file: &'static [u8], hash: blake3::Hash) -> TransferError {
    let world = World::new(server_config("auto:1"));
    let mut config = client_config().transport;
    // One key for both ports: the client insists on that.
    config.identity = Some(Identity::from_secret(KEY));
    let listen = || {
        let addr = "127.0.0.1:0".parse().unwrap();
        Listener::bind(Arc::clone(&world.runtime), addr, config.clone()).unwrap()
    };
    let (control, data) = (listen(), listen());
    let addr = control.local_addr();
    let server = tokio::spawn(async move {
        let mut control = control.accept().await.unwrap();
        read_body(&mut control).await;
        read_body(&mut control).await;
        let (port, size) = (data.local_addr().port(), file.len() as u64);
        let granted: Reply<Granted> = Ok(Granted {
            port,
            size,
            token: Token([0; 16]),
            held: None,
            from: 0,
            source: None,
            allocated: None,
            attributes: Attributes::default(),
        });
        control
            .write_bytes(protocol::encode_reply(&granted).unwrap())
            .await
            .unwrap();
        let mut data = data.accept().await.unwrap();
        data.write_bytes(Bytes::from_static(file)).await.unwrap();
        data.write_all(hash.as_bytes()).await.unwrap();
        reset_of(data).await
    });
    let runtime = Arc::clone(&world.runtime);
    let mut client = lftp_ftp::Client::connect(runtime, addr, client_config())
        .await
        .unwrap();
    let error = get(&mut client, "a").await.unwrap_err();
    assert_eq!(
        server.await.unwrap(),
        Some(Code::Integrity),
        "the server is told"
    );
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_keeps_nothing_of_a_file_whose_hash_is_wrong() {
    let error = get_from_a_false_server(b"hellO", blake3::hash(b"hello")).await;
    assert!(matches!(error, TransferError::Integrity), "{error}");
}

/// A store that accepts everything and then has no space for the name.
#[derive(Debug)]
struct FullStore;

#[derive(Debug)]
struct FullSink;

impl Store for FullStore {
    fn open(&self, _: &Name) -> Result<Box<dyn Source>, StoreError> {
        Ok(MemStore::source("x"))
    }

    fn create(&self, _: &Name, _: CreateOptions<'_>) -> Result<Box<dyn Sink>, StoreError> {
        Ok(Box::new(FullSink))
    }

    fn open_partial(
        &self,
        _: &Name,
        _: PartialOptions<'_>,
    ) -> Result<Option<ResumablePartial>, StoreError> {
        Ok(None)
    }

    fn stat(&self, _: &Name) -> Result<Option<Found>, StoreError> {
        Ok(None)
    }

    fn scan(&self, _: Option<&Name>, _: Option<&str>, _: usize) -> Result<Vec<Found>, StoreError> {
        Ok(Vec::new())
    }

    fn disk_usage(&self) -> Option<&dyn DiskUsage> {
        None
    }

    fn create_folder(&self, _: &Name, _: Option<u32>) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn folds_case(&self) -> bool {
        false
    }

    fn list(&self, _: Option<&Name>, _: Option<&str>, _: usize) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }
}

impl Sink for FullSink {
    fn write(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn block_verified(&mut self, _: BlockHash) -> Result<(), StoreError> {
        Ok(())
    }

    /// It is never resumed.
    fn reread(&self) -> Result<Box<dyn BlockReader>, StoreError> {
        Err(StoreError::no_seek(0))
    }

    fn replace_block(&mut self, index: u64, _: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::no_seek(index))
    }

    fn set_attributes(&mut self, _: Attributes) {}

    fn on_disk(&self) -> OnDisk {
        OnDisk::default()
    }

    fn store_synced(&mut self) {}

    fn flush(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    fn discard(self: Box<Self>) {}

    fn commit(self: Box<Self>) -> Result<Stored, StoreError> {
        Err(StoreError::DiskFull { name: "a".into() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_confirmation_reaches_the_client_with_its_reason() {
    let world = World::with_store(
        server_config("auto:1"),
        Arc::new(FullStore),
        MemStore::new(),
    );
    let mut client = world.client().await;
    let error = put(&mut client, b"contents", "a").await.unwrap_err();
    let TransferError::Rejected(Refusal {
        code: Code::DiskFull,
        reason,
    }) = &error
    else {
        panic!("{error}");
    };
    assert!(reason.raw().contains("no space"), "{reason}");
    world.pool_is_whole().await;
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 40, ..Default::default()
    })]
    #[test]
    fn arbitrary_bytes_on_any_port_never_cost_a_port_or_the_server(
        bytes in prop::collection::vec(any::<u8>(), 0..300), on_data in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new(server_config("auto:1"));
            let port = if on_data { world.data_ports[0] } else { world.addr.port() };
            let mut stream = connect(&world, port).await;
            stream.write_all(&bytes).await.unwrap();
            let _ = lftp_transport::timeout(
                &*world.runtime, std::time::Duration::from_secs(1), stream.finish(),
            ).await;
            let mut client = world.client().await;
            put(&mut client, b"x", "a").await.unwrap();
            assert_eq!(world.server.pool().free(), 1);
        });
    }
}
