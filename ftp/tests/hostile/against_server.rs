//! Hostile clients.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::chaos;
use crate::dice::Dice;
use crate::keys::Handshake;
use crate::peer::{self, Connection, MS, Port, exchange};
use crate::wire;

/// Version of the file transfer, as the document has it.
const VERSION: u32 = 3;

/// What the hostile clients of one world know.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) control: SocketAddr,
    pub(crate) data_ports: Vec<u16>,
}

impl Target {
    /// The control port, or a data port.
    fn any_port(&self, dice: &mut Dice) -> SocketAddr {
        let mut ports = self.data_ports.clone();
        ports.push(self.control.port());
        (self.control.ip(), dice.pick(&ports)).into()
    }
}

/// Acts of a hostile client, by name: a seed can be narrowed down to one of them.
pub(crate) const ACTS: [&str; 10] = [
    "garbage",
    "pings",
    "handshakes",
    "frames",
    "islands",
    "messages",
    "transfers",
    "acknowledgements",
    "replays",
    "silence",
];

/// Performs one act from a port of its own.
pub(crate) async fn act(name: &str, port: &Port, target: &Target, mut dice: Dice) {
    let dice = &mut dice;
    match name {
        "garbage" => garbage(port, target, dice).await,
        "pings" => pings(port, target, dice).await,
        "handshakes" => handshakes(port, target, dice).await,
        "frames" => frames(port, target, dice).await,
        "islands" => islands(port, target, dice).await,
        "messages" => messages(port, target, dice).await,
        "transfers" => transfers(port, target, dice).await,
        "acknowledgements" => acknowledgements(port, target, dice).await,
        "replays" => replays(port, target, dice).await,
        "silence" => silence(port, target, dice).await,
        other => panic!("no act {other}"),
    }
}

fn secret(dice: &mut Dice) -> [u8; 32] {
    // A few keys, so that one client has several connections.
    [dice.below(3) as u8 + 50; 32]
}

async fn connect(port: &Port, to: SocketAddr, dice: &mut Dice) -> Option<Connection> {
    let secret = secret(dice);
    peer::connect(port, to, secret, dice).await
}

/// Datagrams of any bytes, most of them with the head of a packet.
async fn garbage(port: &Port, target: &Target, dice: &mut Dice) {
    for _ in 0..150 {
        let length = dice.pick(&[0, 1, 5, 9, 21, 22, 60, 90, 1199, 1200, 1201, 1472]);
        let mut datagram = dice.bytes(length);
        if dice.chance(80)
            && let Some(kind) = datagram.first_mut()
        {
            *kind = 0x30 + dice.below(16) as u8;
        }
        if dice.chance(50) {
            wire::recheck(&mut datagram);
        }
        port.mutated();
        port.send(target.any_port(dice), &datagram);
        port.receive(MS).await;
    }
}

/// Packets that ask for many acknowledgements, with gaps between their numbers that make each of
/// them long.
async fn pings(port: &Port, target: &Target, dice: &mut Dice) {
    let to = target.any_port(dice);
    let Some(mut connection) = connect(port, to, dice).await else {
        return;
    };
    connection.is_deaf = true;
    let gap = dice.pick(&[2, 100, 1 << 14, 1 << 20]);
    let count = dice.pick(&[1, 2, 32, 1000]);
    for _ in 0..300 {
        connection.next_number += gap;
        port.mutated();
        let packet = connection.packet(&vec![0x01; count]);
        port.send(to, &packet);
        if dice.chance(30) {
            exchange(port, &mut connection, MS).await;
        }
    }
    exchange(port, &mut connection, 100 * MS).await;
}

/// A SYN that is damaged, or contradicts itself.
fn false_syn(dice: &mut Dice, mut syn: Vec<u8>) -> Vec<u8> {
    match dice.below(6) {
        0 => {
            chaos::damage(dice, &mut syn);
            wire::recheck(&mut syn);
        }
        1 => chaos::damage(dice, &mut syn),
        2 => {
            // The length of the message, which comes behind the cookie flag.
            syn[10] = dice.number() as u8;
            wire::recheck(&mut syn);
        }
        3 => {
            syn.truncate(dice.index(1200));
            wire::recheck(&mut syn);
        }
        _ => {}
    }
    syn
}

/// What follows a SYN/ACK: a refusal, the third message, or that of somebody else.
fn last_message(port: &Port, dice: &mut Dice, server_id: u32, mut handshake: Handshake) -> Vec<u8> {
    let mut last = match dice.below(4) {
        0 => {
            let echo = handshake.hash_echo();
            let mut contents = if dice.chance(50) {
                echo.to_vec()
            } else {
                dice.bytes(8)
            };
            wire::put_varint(&mut contents, dice.below(9));
            wire::answer(wire::REFUSE, server_id, &contents)
        }
        1 => {
            let mut ack = vec![wire::ACK];
            ack.extend(server_id.to_be_bytes());
            ack.extend(dice.bytes(64 + 1 + 20));
            ack
        }
        _ => {
            let third = handshake.write(&[]);
            let (seal, _) = handshake.split();
            let mut header = vec![wire::ACK];
            header.extend(server_id.to_be_bytes());
            header.extend(&third);
            let number = if dice.chance(50) { 0 } else { dice.extreme() };
            wire::put_varint(&mut header, number);
            port.count(|tally| tally.connections += 1);
            seal.seal(&header, number, &[0x01])
        }
    };
    if dice.chance(30) {
        chaos::damage(dice, &mut last);
    }
    last
}

/// Handshakes that are wrong at every place where they can be.
async fn handshakes(port: &Port, target: &Target, dice: &mut Dice) {
    for _ in 0..25 {
        let to = target.any_port(dice);
        let own_id = dice.number() as u32;
        let mut handshake = Handshake::new(true, secret(dice), dice);
        let mut parameters = wire::USUAL;
        if dice.chance(40) {
            parameters[dice.index(4)] = dice.extreme();
        }
        let noise = handshake.write(&wire::parameters(parameters));
        let cookie = dice.chance(20).then(|| dice.bytes(40));
        let syn = wire::syn(own_id, cookie.as_deref(), &noise);
        port.mutated();
        port.send(to, &false_syn(dice, syn));
        let Some((_, answer)) = port.receive(30 * MS).await else {
            continue;
        };
        if answer.first() != Some(&wire::SYN_ACK) {
            continue;
        }
        let server_id = handshake
            .read(&answer[5..])
            .and_then(|payload| wire::take_id(&mut &payload[..]));
        let Some(server_id) = server_id else { continue };
        let last = last_message(port, dice, server_id, handshake);
        for _ in 0..1 + dice.below(3) {
            port.send(to, &last);
        }
        port.another().send(to, &last);
        port.receive(10 * MS).await;
    }
}

/// Frames that contradict each other on an established connection.
async fn frames(port: &Port, target: &Target, dice: &mut Dice) {
    let to = target.any_port(dice);
    let Some(mut connection) = connect(port, to, dice).await else {
        return;
    };
    connection.is_deaf = dice.chance(30);
    if dice.chance(60) {
        hello(port, &mut connection, dice).await;
    }
    for _ in 0..200 {
        let frames = chaos::frames(dice, &connection);
        chaos::send(port, &mut connection, dice, &frames);
        exchange(port, &mut connection, dice.below(3) * MS).await;
        if connection.is_over && dice.chance(30) {
            return;
        }
    }
}

/// A byte here and there in the window, and packets with gaps in their numbers.
async fn islands(port: &Port, target: &Target, dice: &mut Dice) {
    let to = target.any_port(dice);
    let Some(mut connection) = connect(port, to, dice).await else {
        return;
    };
    let step = dice.pick(&[2, 3, 1000, 4096, 65_536]);
    for island in 1..(400.min((8 << 20) / step)) {
        let offset = island * step + dice.below(2);
        let frame = wire::stream(offset, &[7], false);
        connection.next_number += dice.below(3);
        port.mutated();
        let packet = connection.packet(&frame);
        port.send(to, &packet);
        if island % 16 == 0 {
            exchange(port, &mut connection, MS).await;
        }
    }
    exchange(port, &mut connection, 200 * MS).await;
}

async fn hello(port: &Port, connection: &mut Connection, dice: &mut Dice) {
    let data_port = dice.chance(30).then(|| 9000 + dice.below(20));
    let hello = json!({"lftp": VERSION, "connection": "control", "data_port": data_port});
    let body = hello.to_string().replace(",\"data_port\":null", "");
    let length = (body.len() as u32).to_be_bytes();
    peer::write(port, connection, &[&length, body.as_bytes()].concat()).await;
}

/// A request that is valid, before it is changed.
fn request(dice: &mut Dice) -> Value {
    let name = dice.pick(&["there", "large", "t", "new", "t/x", "", "nowhere"]);
    let hash = "ab".repeat(32);
    let held = json!({"blocks": 1, "size": 9_000_000, "samples": [{"block": 0, "hash": hash}]});
    match dice.below(9) {
        0 => json!({"action": "put", "name": name, "size": dice.below(1 << 16)}),
        1 => json!({"action": "put", "name": "new", "size": 9_000_000, "source": "s"}),
        2 => json!({"action": "put-piped", "name": name}),
        3 => json!({"action": "get", "name": name}),
        4 => json!({"action": "get", "name": "large", "held": held}),
        5 => json!({"action": "put-tree", "name": name, "source": "s", "dry_run": dice.chance(30)}),
        6 => json!({"action": "get-tree", "name": name}),
        7 => json!({"action": "hash", "name": name}),
        _ => json!({"action": "ls", "path": name}),
    }
}

/// Requests that are valid, and others that nearly are.
async fn messages(port: &Port, target: &Target, dice: &mut Dice) {
    let Some(mut connection) = connect(port, target.control, dice).await else {
        return;
    };
    hello(port, &mut connection, dice).await;
    for _ in 0..30 {
        let request = request(dice);
        let message = chaos::message(port, dice, &request);
        peer::write(port, &mut connection, &message).await;
        if dice.chance(70) {
            peer::message(port, &mut connection, 200 * MS).await;
        }
        if connection.is_over {
            return;
        }
    }
}

/// Transfers that are granted, and go wrong on their data connection.
async fn transfers(port: &Port, target: &Target, dice: &mut Dice) {
    let secret = secret(dice);
    let Some(mut control) = peer::connect(port, target.control, secret, dice).await else {
        return;
    };
    hello(port, &mut control, dice).await;
    for _ in 0..4 {
        let request = request(dice);
        let body = request.to_string();
        let message = [&(body.len() as u32).to_be_bytes(), body.as_bytes()].concat();
        peer::write(port, &mut control, &message).await;
        let Some(reply) = peer::message(port, &mut control, 500 * MS).await else {
            return;
        };
        let reply: Value = serde_json::from_slice(&reply).expect("JSON, as documented");
        let (Some(number), Some(token)) = (reply["port"].as_u64(), reply.get("token")) else {
            continue;
        };
        port.count(|tally| tally.transfers += 1);
        let to = (target.control.ip(), number as u16).into();
        let data_port = port.another();
        let Some(mut data) = peer::connect(&data_port, to, secret, dice).await else {
            continue;
        };
        let resume = dice.chance(20);
        let hello =
            json!({"lftp": VERSION, "connection": "data", "token": token, "resume": resume});
        let body = hello.to_string();
        let message = [&(body.len() as u32).to_be_bytes(), body.as_bytes()].concat();
        peer::write(&data_port, &mut data, &message).await;
        data_connection(&data_port, &mut data, &request, dice).await;
        exchange(port, &mut control, 5 * MS).await;
    }
}

/// What follows the hello of a data connection, nearly as documented.
async fn data_connection(port: &Port, data: &mut Connection, request: &Value, dice: &mut Dice) {
    let size = request["size"].as_u64().unwrap_or(1000).min(1 << 16) as usize;
    let action = request["action"].as_str().unwrap_or_default().to_owned();
    let entry = |i: u64| json!({"path": format!("f{i}"), "size": i * 1000, "modified_ns": i});
    for _ in 0..12 {
        let bytes = match (action.as_str(), dice.below(6)) {
            ("put", 0..=3) => {
                let contents = vec![5; size];
                let hash = blake3::hash(&contents);
                let mut file = [&contents[..], hash.as_bytes()].concat();
                if dice.chance(50) {
                    port.mutated();
                    chaos::damage(dice, &mut file);
                }
                file
            }
            ("put-piped", 0..=3) => {
                let length = dice.pick(&[0_u32, 1, 1000, 4 << 20, u32::MAX]);
                port.mutated();
                [&length.to_be_bytes()[..], &dice.bytes(1032)].concat()
            }
            ("put-tree", 0..=2) => {
                let page = json!({
                    "entries": [entry(1), entry(2), json!({"path": "d"})],
                    "last": dice.chance(50),
                });
                chaos::message(port, dice, &page)
            }
            ("put-tree", 3..=4) => {
                let head = json!({"index": dice.below(3), "size": 10});
                let contents = [6; 10];
                let hash = *blake3::hash(&contents).as_bytes();
                let head = chaos::message(port, dice, &head);
                [&head[..], &contents, &hash].concat()
            }
            ("get" | "get-tree", 0..=1) => chaos::message(port, dice, &json!({"ack": "ACK"})),
            ("get-tree", 2..=4) => {
                let want: Vec<_> = (0..dice.below(9))
                    .map(|i| json!({"index": i % 5}))
                    .collect();
                chaos::message(port, dice, &json!({"want": want}))
            }
            (_, 4) => {
                let hash = "cd".repeat(32);
                let confirmation = json!({"status": true, "bytes": 5, "hash": hash});
                chaos::message(port, dice, &confirmation)
            }
            _ => {
                let verified = json!({"verified": dice.extreme(), "checked": 1});
                chaos::message(port, dice, &verified)
            }
        };
        peer::write(port, data, &bytes).await;
        exchange(port, data, dice.below(40) * MS).await;
        if data.arrived_bytes() > 1 << 20 {
            data.skip(1 << 20);
        }
        if data.is_over {
            return;
        }
        if dice.chance(15) {
            let frames = chaos::frames(dice, data);
            chaos::send(port, data, dice, &frames);
        }
    }
}

/// A download whose receiver acknowledges what it has not received, or asks for ever more.
async fn acknowledgements(port: &Port, target: &Target, dice: &mut Dice) {
    let secret = secret(dice);
    let Some(mut control) = peer::connect(port, target.control, secret, dice).await else {
        return;
    };
    hello(port, &mut control, dice).await;
    let body = r#"{"action":"get","name":"large"}"#;
    let message = [&(body.len() as u32).to_be_bytes(), body.as_bytes()].concat();
    peer::write(port, &mut control, &message).await;
    let Some(reply) = peer::message(port, &mut control, 500 * MS).await else {
        return;
    };
    let reply: Value = serde_json::from_slice(&reply).expect("JSON, as documented");
    let (Some(number), Some(token)) = (reply["port"].as_u64(), reply.get("token")) else {
        return;
    };
    let to = (target.control.ip(), number as u16).into();
    let data_port = port.another();
    let Some(mut data) = peer::connect(&data_port, to, secret, dice).await else {
        return;
    };
    data.is_deaf = true;
    let hello = json!({"lftp": VERSION, "connection": "data", "token": token}).to_string();
    let ready = r#"{"ack":"ACK"}"#;
    for body in [&hello[..], ready] {
        let message = [&(body.len() as u32).to_be_bytes(), body.as_bytes()].concat();
        peer::write(&data_port, &mut data, &message).await;
    }
    let ahead = dice.pick(&[0, 1, 10, 1000]);
    for _ in 0..150 {
        let largest = data.largest.unwrap_or(0) + dice.below(ahead + 1);
        let mut frames = wire::acked(largest);
        frames.extend(wire::numbers(0x04, &[1 << 40]));
        data_port.mutated();
        let packet = data.packet(&frames);
        data_port.send(to, &packet);
        exchange(&data_port, &mut data, MS).await;
        data.skip(usize::MAX);
        if data.is_over {
            return;
        }
    }
}

/// Everything that was sent once is sent again, in another order and from another address.
async fn replays(port: &Port, target: &Target, dice: &mut Dice) {
    let Some(mut connection) = connect(port, target.control, dice).await else {
        return;
    };
    hello(port, &mut connection, dice).await;
    let mut packets = Vec::new();
    for _ in 0..10 {
        let body = request(dice).to_string();
        let message = [&(body.len() as u32).to_be_bytes(), body.as_bytes()].concat();
        packets.extend(connection.packets(&message));
    }
    let other = port.another();
    for round in 0..3 {
        for index in 0..packets.len() {
            let index = if round == 0 {
                index
            } else {
                dice.index(packets.len())
            };
            let from = if dice.chance(70) { port } else { &other };
            port.mutated();
            from.send(connection.to, &packets[index]);
        }
        exchange(port, &mut connection, 20 * MS).await;
        while let Some((_, datagram)) = other.receive(MS).await {
            connection.on_datagram(&datagram);
        }
    }
}

/// A handshake, a part of a message at most, and nothing more.
async fn silence(port: &Port, target: &Target, dice: &mut Dice) {
    let to = target.any_port(dice);
    let Some(mut connection) = connect(port, to, dice).await else {
        return;
    };
    let part = dice.pick(&[&b""[..], b"\0", b"\0\0\0\x21{\"lftp\"", b"\0\x01\0\0{"]);
    peer::write(port, &mut connection, part).await;
    connection.is_deaf = dice.chance(50);
    exchange(port, &mut connection, dice.below(5000) * MS).await;
}
