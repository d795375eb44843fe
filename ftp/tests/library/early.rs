//! Data connections that come before their grant.

use std::time::Duration;

use lftp_ftp::Code;
use lftp_ftp::protocol::{
    self, Ack, ClientRequest, Granted, Hello, Purpose, Ready, Request, Token,
};
use lftp_transport::Stream;

use crate::protocol::{connect, connect_as, read_reply, reset_of};
use crate::world::{World, name, server_config};

const TOKEN: Token = Token([7; 16]);

/// Opens a connection to the data port before its grant.
async fn early_connection(world: &World, key: [u8; 32]) -> Stream {
    let mut stream = connect_as(world, world.data_ports[0], key).await;
    let hello = Hello::new(Purpose::Data {
        token: TOKEN,
        resume: false,
        ahead: true,
    });
    let ready = Ready { ack: Ack::Ack };
    for message in [protocol::encode(&hello), protocol::encode(&ready)] {
        stream.write_bytes(message.unwrap()).await.unwrap();
    }
    stream
}

/// Requests the file `a`, announcing the data port and the token shown there.
async fn ask(world: &World, data_port: Option<u16>) -> (Stream, Granted) {
    let mut control = connect(world, world.addr.port()).await;
    let hello = Hello::new(Purpose::Control { data_port });
    let asked = ClientRequest {
        request: Request::Get {
            name: "a".into(),
            held: None,
        },
        shown: Some(TOKEN),
    };
    for message in [protocol::encode(&hello), protocol::encode(&asked)] {
        control.write_bytes(message.unwrap()).await.unwrap();
    }
    let granted = read_reply(&mut control).await.unwrap();
    (control, granted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_comes_before_its_grant_is_kept_for_it() {
    let mut config = server_config("auto:1");
    config.hello_timeout = Duration::from_secs(2);
    let world = World::new(config);
    world.files.insert(&name("a"), "contents");
    let mut data = early_connection(&world, [1; 32]).await;
    // A client with the same token and another key gets nothing.
    let thief = early_connection(&world, [2; 32]).await;
    lftp_transport::sleep(&*world.runtime, Duration::from_millis(100)).await;
    let (_control, granted) = ask(&world, Some(world.data_ports[0])).await;
    assert_eq!((granted.port, granted.token), (world.data_ports[0], TOKEN));
    let mut file = [0; 8];
    data.read_exact(&mut file).await.unwrap();
    assert_eq!(&file, b"contents");
    assert_eq!(reset_of(thief).await, Some(Code::BadToken));
    drop(data);
    world.pool_is_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_token_is_granted_for_the_port_it_announced_only() {
    let world = World::new(server_config("auto:1"));
    world.files.insert(&name("a"), "contents");
    for elsewhere in [None, Some(world.addr.port())] {
        let (_control, granted) = ask(&world, elsewhere).await;
        assert_ne!(granted.token, TOKEN);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_grant_never_comes_is_refused_eventually() {
    let mut config = server_config("auto:1");
    config.hello_timeout = Duration::from_millis(200);
    let world = World::new(config);
    let data = early_connection(&world, [1; 32]).await;
    assert_eq!(reset_of(data).await, Some(Code::BadToken));
    assert_eq!(world.server.pool().free(), 1);
}
