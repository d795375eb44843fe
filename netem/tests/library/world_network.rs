//! Sockets, hosts and links of the virtual world.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails its test")]

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use lftp_netem::{
    Direction, Time,
    profile::NetworkProfile,
    world::{AddressError, DatagramMeta, Host, Run, Socket, World, WorldConfig, WorldError},
};

const MS: u64 = 1_000_000;

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn network(toml: &str) -> NetworkProfile {
    NetworkProfile::from_toml_str(toml).expect("a network")
}

/// A client at 10.0.0.1 and a server at 10.0.1.1.
fn hosts(world: &mut World) -> (Host, Host) {
    let client = world.add_client(addr("10.0.0.1:0").ip()).expect("free");
    let server = world.add_server(addr("10.0.1.1:0").ip()).expect("free");
    (client, server)
}

fn world_of(toml: &str, seed: u64) -> (World, Host, Host) {
    let mut world = World::new(&network(toml), seed);
    let (client, server) = hosts(&mut world);
    (world, client, server)
}

/// Runs a future that needs no more than what is on its way.
fn receive(world: &mut World, socket: &Socket) -> Result<(DatagramMeta, Vec<u8>), WorldError> {
    let mut payload = Vec::new();
    let meta = world.block_on(socket.recv(&mut payload))?.expect("open");
    Ok((meta, payload))
}

#[test]
fn a_datagram_takes_rate_and_delay() {
    let (mut world, client, server) = world_of("rate = \"8mbit\"\ndelay = \"20ms\"", 1);
    let (from, to) = (
        client.bind(addr("0.0.0.0:5")),
        server.bind(addr("10.0.1.1:9")),
    );
    let (from, to) = (from.unwrap(), to.unwrap());
    from.try_send(addr("10.0.1.1:9"), 0, &[7; 972], None)
        .unwrap();
    let (meta, payload) = receive(&mut world, &to).unwrap();
    assert_eq!((meta.source, payload), (addr("10.0.0.1:5"), vec![7; 972]));
    assert_eq!(world.now().as_nanos(), 21 * MS);
}

#[test]
fn the_direction_of_the_links_can_be_turned() {
    let network = network("delay = \"20ms\"\n[reverse]\ndelay = \"5ms\"");
    for (client_to_server, delay_ms) in [(Direction::Forward, 20), (Direction::Reverse, 5)] {
        let mut config = WorldConfig::new(&network, 1);
        config.links.client_to_server = client_to_server;
        let mut world = World::with_config(&config);
        let (client, server) = hosts(&mut world);
        let to = server.bind(addr("0.0.0.0:9")).unwrap();
        let from = client.bind(addr("0.0.0.0:0")).unwrap();
        from.try_send(addr("10.0.1.1:9"), 0, b"x", None).unwrap();
        receive(&mut world, &to).unwrap();
        assert_eq!(world.now().as_nanos(), delay_ms * MS);
        assert_eq!(world.links().counters(client_to_server).packets_in, 1);
    }
}

#[test]
fn hosts_of_one_side_do_not_use_the_link() {
    let (mut world, client, _server) = world_of("rate = \"8kbit\"\ndelay = \"1s\"", 1);
    let other = world.add_client(addr("10.0.0.2:0").ip()).unwrap();
    let (from, to) = (
        client.bind(addr("0.0.0.0:0")),
        other.bind(addr("0.0.0.0:9")),
    );
    from.unwrap()
        .try_send(addr("10.0.0.2:9"), 0, b"x", None)
        .unwrap();
    receive(&mut world, &to.unwrap()).unwrap();
    assert_eq!(world.now().as_nanos(), 1_000);
    assert_eq!(world.stats().local_packets, 1);
    assert_eq!(world.stats().link_entries, 0);
}

#[test]
fn ecn_passes_through() {
    let (mut world, client, server) = world_of("delay = \"1ms\"", 1);
    let from = client.bind(addr("0.0.0.0:0")).unwrap();
    let to = server.bind(addr("0.0.0.0:9")).unwrap();
    for ecn in 0..4 {
        from.try_send(addr("10.0.1.1:9"), ecn, b"x", None).unwrap();
        assert_eq!(receive(&mut world, &to).unwrap().0.ecn, ecn);
    }
}

#[test]
fn a_burst_is_cut_into_segments_and_received_in_runs() {
    let (mut world, client, server) = world_of("delay = \"1ms\"", 1);
    let from = client.bind(addr("0.0.0.0:5")).unwrap();
    let to = server.bind(addr("0.0.0.0:9")).unwrap();
    let contents: Vec<u8> = (0..=255).cycle().take(2_500).collect();
    from.try_send(addr("10.0.1.1:9"), 2, &contents, Some(1_000))
        .unwrap();
    from.try_send(addr("10.0.1.1:9"), 2, &contents, Some(1_250))
        .unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, b"marked otherwise", None)
        .unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, b"", None).unwrap();

    let slot_bytes = 65_536;
    let (mut buffer, mut runs) = (vec![0; 8 * slot_bytes], [Run::EMPTY; 8]);
    let count = world
        .block_on(std::future::poll_fn(|cx| {
            to.poll_recv_runs(cx, &mut buffer, slot_bytes, &mut runs)
        }))
        .unwrap()
        .unwrap();
    let shape = |run: &Run| (run.len, run.stride, run.ecn);
    let shapes: Vec<_> = runs[..count].iter().map(shape).collect();
    assert_eq!(
        shapes,
        [(2_500, 1_000, 2), (2_500, 1_250, 2), (16, 16, 0), (0, 0, 0)]
    );
    assert!(
        runs[..count]
            .iter()
            .all(|run| run.source == addr("10.0.0.1:5"))
    );
    assert_eq!(buffer[..2_500], contents);
    assert_eq!(buffer[slot_bytes..][..2_500], contents);
    assert_eq!(world.stats().link_entries, 7);
}

#[test]
fn a_run_stops_where_its_room_ends() {
    let (mut world, client, server) = world_of("delay = \"1ms\"", 1);
    let from = client.bind(addr("0.0.0.0:0")).unwrap();
    let to = server.bind(addr("0.0.0.0:9")).unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, &[1; 500], Some(100))
        .unwrap();
    world.run_until_idle().unwrap();
    let (mut buffer, mut runs) = ([0; 500], [Run::EMPTY; 8]);
    let mut take = |world: &mut World| {
        let next = std::future::poll_fn(|cx| to.poll_recv_runs(cx, &mut buffer, 250, &mut runs));
        let count = world.block_on(next).unwrap().unwrap();
        runs[..count].iter().map(|run| run.len).collect::<Vec<_>>()
    };
    assert_eq!(take(&mut world), [200, 200]);
    assert_eq!(take(&mut world), [100]);
}

#[test]
fn what_does_not_fit_into_one_call_is_refused() {
    let (_world, client, _server) = world_of("delay = \"1ms\"", 1);
    let socket = client.bind(addr("0.0.0.0:0")).unwrap();
    let send = |contents: &[u8], segment| {
        let sent = socket.try_send(addr("10.0.1.1:9"), 0, contents, segment);
        sent.map_err(|error| error.kind())
    };
    assert_eq!(send(&[0; 65_507], None), Ok(()));
    assert_eq!(send(&[0; 64], Some(1)), Ok(()));
    assert_eq!(send(&[0; 65], Some(1)), Err(io::ErrorKind::InvalidInput));
    assert_eq!(send(&[0; 65_508], None), Err(io::ErrorKind::InvalidInput));
    assert_eq!(send(&[0; 1], Some(0)), Err(io::ErrorKind::InvalidInput));
    let other = socket.try_send(addr("[fd00::1]:9"), 0, b"x", None);
    assert_eq!(other.unwrap_err().kind(), io::ErrorKind::NetworkUnreachable);
}

#[test]
fn a_full_receive_queue_drops_and_counts() {
    let mut config = WorldConfig::new(&network("delay = \"1ms\""), 1);
    config.receive_queue_bytes = 10_000;
    let mut world = World::with_config(&config);
    let (client, server) = hosts(&mut world);
    let from = client.bind(addr("0.0.0.0:0")).unwrap();
    let to = server.bind(addr("0.0.0.0:9")).unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, &[0; 20_000], Some(1_000))
        .unwrap();
    world.run_until_idle().unwrap();
    // Each counts 64 bytes beside its payload: nine fit.
    assert_eq!(
        (world.stats().delivered, world.stats().dropped_queue_full),
        (9, 11)
    );
    assert_eq!(to.dropped().unwrap(), 11);
    receive(&mut world, &to).unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, &[0; 1_000], None)
        .unwrap();
    world.run_until_idle().unwrap();
    assert_eq!(world.stats().delivered, 10);
}

#[test]
fn datagrams_to_nobody_load_the_link_and_are_counted() {
    let (mut world, client, _server) = world_of("delay = \"1ms\"", 1);
    let from = client.bind(addr("0.0.0.0:0")).unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, b"no such port", None)
        .unwrap();
    from.try_send(addr("10.9.9.9:9"), 0, b"no such host", None)
        .unwrap();
    from.try_send(addr("10.0.0.1:9"), 0, b"no such port here", None)
        .unwrap();
    world.run_until_idle().unwrap();
    let stats = world.stats();
    assert_eq!(
        (
            stats.link_entries,
            stats.local_packets,
            stats.dropped_unclaimed
        ),
        (2, 1, 3)
    );
}

#[test]
fn ports_are_taken_given_back_and_handed_out_in_order() {
    let (_world, client, _server) = world_of("delay = \"1ms\"", 1);
    let bind = |text| client.bind(addr(text));
    let kind = |text| bind(text).unwrap_err().kind();
    let first = bind("0.0.0.0:9000").unwrap();
    assert_eq!(kind("10.0.0.1:9000"), io::ErrorKind::AddrInUse);
    assert_eq!(kind("10.0.1.1:9000"), io::ErrorKind::AddrNotAvailable);
    drop(first);
    let again = bind("10.0.0.1:9000").unwrap();
    assert_eq!(again.local_addr().unwrap(), addr("10.0.0.1:9000"));

    let ephemeral = || bind("[::]:0").unwrap();
    let (one, two) = (ephemeral(), ephemeral());
    assert_eq!(one.local_addr().unwrap(), addr("10.0.0.1:49152"));
    drop(one);
    assert_eq!(two.local_addr().unwrap(), addr("10.0.0.1:49153"));
    assert_eq!(ephemeral().local_addr().unwrap(), addr("10.0.0.1:49154"));
}

#[test]
fn a_socket_on_a_reused_port_hears_nothing_meant_for_the_last_one() {
    let (mut world, client, server) = world_of("delay = \"1ms\"", 1);
    let from = client.bind(addr("0.0.0.0:0")).unwrap();
    let old = server.bind(addr("0.0.0.0:9")).unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, b"old", None).unwrap();
    world.run_until_idle().unwrap();
    drop(old);
    let new = server.bind(addr("0.0.0.0:9")).unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, b"new", None).unwrap();
    assert_eq!(receive(&mut world, &new).unwrap().1, b"new");
}

#[test]
fn an_address_has_one_host() {
    let (mut world, client, server) = world_of("delay = \"1ms\"", 1);
    let ip = addr("10.0.1.1:0").ip();
    assert_eq!(world.add_client(ip).unwrap_err(), AddressError::InUse(ip));
    assert_eq!(client.set_ip(ip), Err(AddressError::InUse(ip)));
    let unspecified = addr("0.0.0.0:0").ip();
    assert_eq!(
        server.set_ip(unspecified),
        Err(AddressError::NotAHost(unspecified))
    );
}

#[test]
fn sockets_follow_their_host_to_a_new_address() {
    let (mut world, client, server) = world_of("delay = \"1ms\"", 1);
    let roaming = client.bind(addr("0.0.0.0:5")).unwrap();
    let to = server.bind(addr("0.0.0.0:9")).unwrap();
    to.try_send(addr("10.0.0.1:5"), 0, b"too late", None)
        .unwrap();
    client.set_ip(addr("10.0.0.77:0").ip()).unwrap();
    assert_eq!(roaming.local_addr().unwrap(), addr("10.0.0.77:5"));
    roaming.try_send(addr("10.0.1.1:9"), 0, b"x", None).unwrap();
    let (meta, _) = receive(&mut world, &to).unwrap();
    assert_eq!(meta.source, addr("10.0.0.77:5"));
    to.try_send(meta.source, 0, b"found", None).unwrap();
    assert_eq!(receive(&mut world, &roaming).unwrap().1, b"found");
    assert_eq!(world.stats().dropped_unclaimed, 1);
}

/// Sends a 1000-byte packet every millisecond on average, for a second. The pauses are random:
/// of two regular senders, one would always come first to the place that has become free.
fn pace(host: &Host, to: SocketAddr) {
    let socket = host.bind(addr("0.0.0.0:0")).unwrap();
    let task_host = host.clone();
    host.spawn(async move {
        while task_host.now().as_nanos() < 1_000 * MS {
            socket.try_send(to, 0, &[0; 972], None).unwrap();
            let mut random = [0; 4];
            task_host.fill_random(&mut random);
            let pause_ns = u64::from(u32::from_le_bytes(random)) % (2 * MS);
            task_host.sleep_ns(pause_ns).await;
        }
    });
}

#[test]
fn flows_share_the_bottleneck() {
    let (mut world, client, server) =
        world_of("rate = \"8mbit\"\ndelay = \"10ms\"\nqueue = \"20p\"", 1);
    let other = world.add_client(addr("10.0.0.2:0").ip()).unwrap();
    let counts = Arc::new(Mutex::new([0_u64; 2]));
    for (index, port) in [9_001, 9_002].into_iter().enumerate() {
        let socket = server.bind(SocketAddr::new(server.ip(), port)).unwrap();
        let counts = Arc::clone(&counts);
        server.spawn(async move {
            let mut payload = Vec::new();
            while socket.recv(&mut payload).await.is_ok() {
                counts.lock().unwrap()[index] += 1;
            }
        });
    }
    // Each alone would fill the link, which takes 1000 packets a second.
    pace(&client, addr("10.0.1.1:9001"));
    pace(&other, addr("10.0.1.1:9002"));
    world.run_until_idle().unwrap();
    let counts = *counts.lock().unwrap();
    let counters = world.links().counters(Direction::Forward);
    assert_eq!(counters.delivered, counts.iter().sum::<u64>());
    assert!((980..=1_021).contains(&counters.delivered), "{counts:?}");
    assert!(counts.iter().all(|count| *count >= 300), "{counts:?}");
    assert_eq!(
        counters.queue_drops,
        counters.packets_in - counters.delivered
    );
    assert_eq!(world.links().inside_packets(Direction::Forward), 0);
}

#[test]
fn links_show_their_queues_and_records() {
    let mut config = WorldConfig::new(&network("rate = \"8mbit\"\ndelay = \"10ms\""), 1);
    config.recording = true;
    let mut world = World::with_config(&config);
    let (client, server) = hosts(&mut world);
    let _to = server.bind(addr("0.0.0.0:9")).unwrap();
    let from = client.bind(addr("0.0.0.0:0")).unwrap();
    from.try_send(addr("10.0.1.1:9"), 0, &[0; 9_720], Some(972))
        .unwrap();
    let links = world.links();
    assert_eq!(links.inside_packets(Direction::Forward), 10);
    assert_eq!(links.queue_bytes(Direction::Forward), 10_000);
    world.run_until(Time::from_nanos(1_000 * MS)).unwrap();
    let mut records = Vec::new();
    links.take_records(Direction::Forward, &mut records);
    let delays: Vec<_> = records
        .iter()
        .map(|record| record.delay_ns().unwrap())
        .collect();
    assert_eq!(delays, (11..=20).map(|ms| ms * MS).collect::<Vec<_>>());
    links.take_records(Direction::Forward, &mut records);
    assert_eq!(records.len(), 10);
}
