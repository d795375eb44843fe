//! The honest side of each test, and what must hold for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lftp_ftp::{
    Client, ClientConfig, DEFAULT_PORT, DataPorts, MemStore, Name, Plan, Server, ServerConfig,
    ServerHandle, Store, Target, TransferError, Tree,
};
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::{Host, World, WorldConfig};
use lftp_transport::{Identity, Runtime, VirtualRuntime};
use serde_json::Value;

use crate::dice::Dice;
use crate::measure;
use crate::peer::{Port, Tally};
use crate::{against_client, against_server, peer, wire};

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));
const NETWORK: &str = "rate = \"1gbit\"\ndelay = \"2ms\"";
const SECOND: u64 = 1_000_000_000;

/// Hostile clients at once, and for how long.
const HOSTILE: u8 = 5;
const HOSTILE_NS: u64 = 6 * SECOND;

/// From the last hostile packet until every timeout of the server has passed.
const QUIET_NS: u64 = 130 * SECOND;

/// Memory of both sides and of the packets between them at most, above what was there before.
const MEMORY_BYTES: usize = 96 << 20;

/// Bytes back for each byte of a peer that asks for no file, whether it has shown its address or not.
const AMPLIFICATION: u64 = 3;

/// Bytes back beside those, of an established connection: its keep-alives, probes and its end.
const ALLOWANCE_BYTES: u64 = 2_000;

/// Files that the hostile clients may ask for, in bytes.
const LARGE_BYTES: usize = 2 << 20;

fn client_ip(index: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 2, index).into()
}

fn name(name: &str) -> Name {
    Name::parse(name).unwrap()
}

struct Scene {
    world: World,
    server: ServerHandle,
    data_ports: Vec<u16>,
    client: Host,
}

/// A world with an honest server and a host for an honest client.
fn scene(seed: u64) -> Scene {
    let network = NetworkProfile::from_toml_str(NETWORK).unwrap();
    let mut world = World::with_config(&WorldConfig::new(&network, seed));
    let host = world.add_server(SERVER).unwrap();
    let files = MemStore::with_capacity(16 << 20);
    files.insert(&name("there"), "contents");
    files.insert(&name("large"), vec![3; LARGE_BYTES]);
    for i in 0..20 {
        files.insert(&name(&format!("t/{i}")), vec![i; usize::from(i) * 500]);
    }
    let mut config = ServerConfig::default();
    // More than the hostile clients can hold at once, so that their transfers go on.
    config.data_ports = DataPorts::Auto(40);
    let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host);
    let server = Server::bind(Arc::clone(&runtime), config, Arc::new(files)).unwrap();
    let (handle, data_ports) = (server.handle(), server.data_ports());
    runtime.spawn(Box::pin(async move {
        server.run().await.expect("a server that serves");
    }));
    let client = world.add_client(client_ip(1)).unwrap();
    Scene {
        world,
        server: handle,
        data_ports,
        client,
    }
}

/// Puts a file and gets it back, with the right bytes.
async fn there_and_back(host: Host, data_ports: Vec<u16>, seed: u64) -> Result<(), TransferError> {
    let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host);
    let mut config = ClientConfig::default();
    config.transport.identity = Some(Identity::from_secret([2; 32]));
    config.likely_ports = Some(data_ports);
    let addr = SocketAddr::new(SERVER, DEFAULT_PORT);
    let contents = Dice::new(seed).bytes(700_000);
    let mut client = Client::connect(runtime, addr, config).await?;
    let source = MemStore::source(contents.clone());
    let sent = client.put(source, "honest", true, &()).await?;
    assert_eq!(sent.hash, blake3::hash(&contents));
    let local = MemStore::new();
    let store: Arc<dyn Store> = Arc::new(local.clone());
    let (to, overwrite) = (name("local"), true);
    let target = Target {
        store: &store,
        name: &to,
        overwrite,
    };
    client.get("honest", target, &()).await?;
    assert!(local.holds(&to, &contents), "other bytes than were sent");
    client.close().await;
    Ok(())
}

fn run_for(world: &mut World, ns: u64) {
    let until = world.now().plus_nanos(ns);
    let mut next = world.now();
    while next < until {
        next = next.plus_nanos(SECOND / 10).min(until);
        world.run_until(next).expect("no livelock");
        measure::allocated();
    }
}

pub(crate) fn server_among_hostile_clients(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let mut scene = scene(seed);
    let before = measure::allocated();
    measure::take_peak();
    let tally = Arc::new(Mutex::new(Tally::default()));
    let target = against_server::Target {
        control: (SERVER, DEFAULT_PORT).into(),
        data_ports: scene.data_ports.clone(),
    };
    let mut hosts = Vec::new();
    for index in 0..HOSTILE {
        let host = scene.world.add_client(client_ip(10 + index)).unwrap();
        let (task_host, tally, target) = (host.clone(), Arc::clone(&tally), target.clone());
        let mut dice = dice.fork();
        host.spawn(async move {
            loop {
                let name = dice.pick(&against_server::ACTS);
                let of_act = Arc::new(Mutex::new(Tally::default()));
                let port = Port::open(&task_host, 0, &of_act);
                against_server::act(name, &port, &target, dice.fork()).await;
                port.sleep(peer::MS).await;
                let of_act = *of_act.lock().unwrap();
                assert_bounded(name, of_act);
                tally.lock().unwrap().add(of_act);
            }
        });
        hosts.push(host);
    }
    // Beside them an honest client, which may be refused, but not deceived.
    let honest = there_and_back(scene.client.clone(), scene.data_ports.clone(), seed);
    scene.client.spawn(async move {
        let _ = honest.await;
    });
    run_for(&mut scene.world, HOSTILE_NS);
    let peak = measure::take_peak().saturating_sub(before);
    hosts.iter().for_each(Host::kill);
    run_for(&mut scene.world, QUIET_NS);

    let honest = there_and_back(scene.client.clone(), scene.data_ports.clone(), !seed);
    let served = scene.world.block_on(honest).expect("an end");
    served.expect("an honest client is served");
    run_for(&mut scene.world, QUIET_NS);
    assert_eq!(scene.server.pool().free(), scene.server.pool().size());
    let load = scene.server.load();
    assert_eq!((load.connections, load.half_open), (0, 0), "{load:?}");
    assert!(peak < MEMORY_BYTES, "{peak} bytes of memory");
    Tally {
        peak_bytes: peak,
        ..*tally.lock().unwrap()
    }
}

/// Checks what an act got back that asked for no file.
fn assert_bounded(name: &str, tally: Tally) {
    // These ask for files.
    if ["messages", "transfers", "acknowledgements"].contains(&name) {
        return;
    }
    assert!(
        tally.bytes_back <= AMPLIFICATION * tally.bytes + ALLOWANCE_BYTES,
        "{name}: {} bytes back for {}",
        tally.bytes_back,
        tally.bytes
    );
}

/// Bytes to one address, and from it.
struct Source {
    port: Port,
    tally: Arc<Mutex<Tally>>,
}

pub(crate) fn server_in_a_flood(seed: u64) -> Tally {
    let mut dice = Dice::new(seed);
    let mut scene = scene(seed);
    let target = SocketAddr::new(SERVER, DEFAULT_PORT);
    let sources: Vec<Source> = (0..200)
        .map(|index| {
            let ip = Ipv4Addr::new(10, 9, index, 1).into();
            let host = scene.world.add_client(ip).unwrap();
            let tally = Arc::new(Mutex::new(Tally::default()));
            let port = Port::open(&host, 0, &tally);
            Source { port, tally }
        })
        .collect();
    let sources = Arc::new(sources);
    let flooding = Arc::clone(&sources);
    let clock = scene.client.clone();
    scene.client.spawn(async move {
        for number in 0..1500 {
            let source = &flooding[dice.index(flooding.len())];
            source.port.mutated();
            source.port.send(target, &flood_packet(&mut dice));
            if number % 4 == 0 {
                clock.sleep_ns(100_000).await;
            }
        }
    });
    run_for(&mut scene.world, QUIET_NS);
    let receive = async {
        for source in sources.iter() {
            while source.port.receive(1).await.is_some() {}
        }
    };
    scene.world.block_on(receive).expect("an end");
    let mut all = Tally::default();
    for source in sources.iter() {
        let tally = *source.tally.lock().unwrap();
        assert!(
            tally.bytes_back <= AMPLIFICATION * tally.bytes,
            "{} bytes back for {}",
            tally.bytes_back,
            tally.bytes
        );
        all.add(tally);
    }
    let honest = there_and_back(scene.client.clone(), scene.data_ports.clone(), seed);
    let served = scene.world.block_on(honest).expect("an end");
    served.expect("an honest client is served");
    all
}

/// A packet that anybody can send.
fn flood_packet(dice: &mut Dice) -> Vec<u8> {
    match dice.below(4) {
        0 | 1 => {
            let mut noise = dice.bytes(32);
            noise.extend(wire::parameters(wire::USUAL));
            let cookie = dice.chance(20).then(|| dice.bytes(40));
            wire::syn(dice.number() as u32 | 1, cookie.as_deref(), &noise)
        }
        2 => {
            let kind = dice.pick(&[wire::ACK, wire::DATA, 0x3c]);
            let mut packet = vec![kind];
            packet.extend(dice.bytes(20 + dice.clone().index(1400)));
            packet
        }
        _ => dice.bytes(1 + dice.clone().index(60)),
    }
}

/// A client that waits for nothing longer than a few seconds.
fn impatient() -> ClientConfig {
    let mut config = ClientConfig::default();
    config.transport.identity = Some(Identity::from_secret([2; 32]));
    config.transport.idle_timeout = Duration::from_secs(8);
    config.connect_timeout = Duration::from_secs(5);
    config.answer_timeout = Duration::from_secs(5);
    config.stall_limit = Duration::from_secs(5);
    config.confirmation_timeout = Duration::from_secs(5);
    config.close_timeout = Duration::from_secs(2);
    config
}

/// Does one thing with a server, whatever comes of it.
async fn ask(host: Host, operation: u64, dice: &mut Dice) -> Result<(), String> {
    let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host);
    let addr = SocketAddr::new(SERVER, DEFAULT_PORT);
    let client = Client::connect(runtime, addr, impatient()).await;
    let mut client = client.map_err(|error| error.to_string())?;
    let local = MemStore::new();
    let store: Arc<dyn Store> = Arc::new(local.clone());
    let (to, plan) = (name("local"), Plan::default());
    let tree = Tree {
        store: &store,
        root: None,
        source: "source",
    };
    let contents = dice.bytes(dice.clone().index(200_000));
    let done = match operation {
        0 => {
            let target = Target {
                store: &store,
                name: &to,
                overwrite: true,
            };
            let got = client.get("a", target, &()).await;
            let held = local.contents(&to);
            match &got {
                Ok(receipt) => assert_eq!(blake3::hash(&held.unwrap()), receipt.hash),
                Err(_) => assert!(held.is_none(), "a file that did not arrive has its name"),
            }
            got.map(drop).map_err(|error| error.to_string())
        }
        1 => {
            let put = client.put(MemStore::source(contents), "a", true, &()).await;
            put.map(drop).map_err(|error| error.to_string())
        }
        2 => {
            let pipe = Box::new(std::io::Cursor::new(contents));
            let put = client.put_piped(pipe, "a", true, &()).await;
            put.map(drop).map_err(|error| error.to_string())
        }
        3 => {
            for i in 0..3 {
                local.insert(&name(&format!("x/{i}")), contents.clone());
            }
            let put = client.put_tree(tree, "t", &plan, &()).await;
            put.map(drop).map_err(|error| error.to_string())
        }
        4 => {
            let got = client.get_tree("t", tree, &plan, &()).await;
            got.map(drop).map_err(|error| error.to_string())
        }
        5 => client
            .ls("")
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
        _ => client
            .hash("a")
            .await
            .map(drop)
            .map_err(|error| error.to_string()),
    };
    client.close().await;
    done
}

pub(crate) fn client_of_a_hostile_server(seed: u64) -> Tally {
    let mut all = Tally::default();
    for operation in 0..7 {
        let mut dice = Dice::new(seed ^ (operation << 40));
        let network = NetworkProfile::from_toml_str(NETWORK).unwrap();
        let mut world = World::with_config(&WorldConfig::new(&network, seed));
        let host = world.add_server(SERVER).unwrap();
        let client = world.add_client(client_ip(1)).unwrap();
        let before = measure::allocated();
        measure::take_peak();
        let (tally, granted) = (Arc::new(Mutex::new(Tally::default())), Arc::default());
        let act = dice.pick(&against_client::ACTS);
        for (number, is_control) in [(DEFAULT_PORT, true), (9000, false)] {
            let port = Port::open(&host, number, &tally);
            let granted: Arc<Mutex<Value>> = Arc::clone(&granted);
            let server = against_client::Server::new(act, port, dice.fork(), is_control, granted);
            host.spawn(server.run());
        }
        let started = world.now();
        // Whatever the server does, the client comes to an end, and does not panic.
        let asked = world.block_on(ask(client, operation, &mut dice));
        let said = asked.expect("an end");
        let took = world.now().as_nanos() - started.as_nanos();
        // A server has a day to hash a file, as documented; nothing else takes minutes.
        let limit = if operation == 6 { 90_000 } else { 400 };
        assert!(took < limit * SECOND, "{act}: {took} ns until {said:?}");
        let peak = measure::take_peak().saturating_sub(before);
        assert!(peak < MEMORY_BYTES, "{act}: {peak} bytes of memory");
        all.add(Tally {
            peak_bytes: peak,
            ..*tally.lock().unwrap()
        });
    }
    all
}
