//! Piped files, whose length is known only at their end.

use std::io::{self, Cursor, Read};

use lftp_ftp::protocol::{self, Confirmation, Reply, Request};
use lftp_ftp::{BLOCK_BYTES, BlockHash, Code, TransferError};

use crate::protocol::{connect, control, data_hello, grant, read_body, reset_of};
use crate::world::{World, bytes, name, server_config};

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_in_small_pieces_arrives_completely() {
    /// Delivers a few bytes at a time.
    struct Drops(Cursor<Vec<u8>>);
    impl Read for Drops {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let few = buf.len().min(4999);
            self.0.read(&mut buf[..few])
        }
    }
    let world = World::new(server_config("auto:1"));
    let mut client = world.client().await;
    for len in [0, 1, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 1] {
        let contents = bytes(usize::try_from(len).unwrap(), len);
        let pipe = Box::new(Drops(Cursor::new(contents.clone())));
        let receipt = client.put_piped(pipe, "a", true, &()).await.unwrap();
        assert_eq!(receipt.hash, blake3::hash(&contents));
        assert!(world.files.contents(&name("a")).unwrap() == contents);
    }
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_pipe_leaves_nothing() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let left = self.0.min(buf.len());
            self.0 -= left;
            if left == 0 {
                return Err(io::Error::other("it broke"));
            }
            Ok(left)
        }
    }
    let world = World::new(server_config("auto:1"));
    let mut client = world.client().await;
    let pipe = Box::new(Broken(5_000_000));
    let error = client.put_piped(pipe, "a", true, &()).await.unwrap_err();
    assert!(matches!(error, TransferError::Store(_)), "{error:?}");
    world.pool_is_whole().await;
    assert_eq!(world.files.contents(&name("a")), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_blocks_are_refused_and_leave_nothing() {
    let block = |bytes: &[u8], hash: BlockHash| {
        let mut framed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(&hash.0);
        framed
    };
    let whole = |index: u64, bytes: &[u8]| block(bytes, BlockHash::of(index, bytes));
    let too_long = u32::try_from(BLOCK_BYTES + 1).unwrap().to_be_bytes();
    let end_of_another = [whole(0, b"abc"), vec![0; 36]].concat();
    let short_before_another = [whole(0, b"abc"), whole(1, b"def")].concat();
    for (sent, code) in [
        (block(b"abc", BlockHash([7; 32])), Code::Integrity),
        (end_of_another, Code::Integrity),
        (short_before_another, Code::BadRequest),
        (too_long.to_vec(), Code::BadRequest),
    ] {
        let world = World::new(server_config("auto:1"));
        let mut control = control(&world).await;
        let request = Request::PutPiped {
            name: "a".into(),
            overwrite: true,
        };
        let granted = grant(&mut control, &request).await;
        let mut data = connect(&world, granted.port).await;
        data.write_bytes(data_hello(granted.token)).await.unwrap();
        data.write_all(&sent).await.unwrap();
        // What can be read to its end is answered; the rest is not worth it.
        let answer = if code == Code::Integrity {
            let mut reply = read_body(&mut data).await;
            while !reply.windows(6).any(|word| word == b"status") {
                reply = read_body(&mut data).await;
            }
            let reply: Reply<Confirmation> = protocol::decode_reply(&reply).unwrap();
            Some(reply.unwrap_err().code)
        } else {
            reset_of(data).await
        };
        assert_eq!(answer, Some(code));
        world.pool_is_whole().await;
        assert_eq!(world.files.contents(&name("a")), None);
    }
}
