//! A hostile server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::chaos;
use crate::dice::Dice;
use crate::measure;
use crate::peer::{Connection, Half, MS, Port};
use crate::wire;

/// Acts of a hostile server, by name.
pub(crate) const ACTS: [&str; 4] = ["handshakes", "frames", "messages", "transfers"];

/// Bytes of a file that is served.
const FILE_BYTES: usize = 5000;

/// One port of a hostile server.
pub(crate) struct Server {
    act: &'static str,
    port: Port,
    dice: Dice,
    /// Whether requests come to this port, and not data.
    is_control: bool,
    /// The request that was granted last, of which the data connection is.
    granted: Arc<Mutex<Value>>,
    halves: Vec<(SocketAddr, Half)>,
    connections: Vec<Connection>,
    /// Frames in answer to the first request, with which this server falls silent.
    ending: Option<Vec<u8>>,
    is_silent: bool,
}

impl Server {
    /// Says nothing to a client but these frames, when it asks for something.
    pub(crate) fn ending(port: Port, dice: Dice, frames: Vec<u8>) -> Self {
        let mut server = Self::new("ending", port, dice, true, Arc::default());
        server.ending = Some(frames);
        server
    }

    pub(crate) fn new(
        act: &'static str,
        port: Port,
        dice: Dice,
        is_control: bool,
        granted: Arc<Mutex<Value>>,
    ) -> Self {
        Self {
            act,
            port,
            dice,
            is_control,
            granted,
            halves: Vec::new(),
            connections: Vec::new(),
            ending: None,
            is_silent: false,
        }
    }

    /// Serves for ever.
    pub(crate) async fn run(mut self) {
        loop {
            let received = self.port.receive(50 * MS).await;
            if let Some((from, datagram)) = received {
                self.on_datagram(from, &datagram);
            }
            self.converse();
            measure::allocated();
        }
    }

    fn on_datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        match datagram.first() {
            Some(&wire::SYN) => return self.on_syn(from, datagram),
            Some(&wire::ACK) => {
                let half = self
                    .halves
                    .iter()
                    .position(|(_, half)| half.is_for(datagram));
                if let Some(half) = half {
                    let (_, half) = self.halves.swap_remove(half);
                    if let Some(connection) = half.complete(from, datagram) {
                        self.port.count(|tally| tally.connections += 1);
                        self.connections.push(connection);
                    }
                    return;
                }
            }
            _ => {}
        }
        for connection in &mut self.connections {
            connection.on_datagram(datagram);
        }
    }

    fn on_syn(&mut self, from: SocketAddr, syn: &[u8]) {
        // Most of the time a server that is worth talking to.
        let is_honest = self.act != "handshakes" || self.dice.chance(25);
        if let Some((_, half)) = self.halves.iter().find(|(of, _)| *of == from)
            && is_honest
        {
            return self.port.send(from, &half.syn_ack);
        }
        let mut parameters = wire::USUAL;
        if !is_honest && self.dice.chance(40) {
            parameters[self.dice.index(4)] = self.dice.extreme();
        }
        let half = Half::answer(syn, [77; 32], parameters, &mut self.dice);
        let half = half.expect("a SYN as documented");
        let mut answer = half.syn_ack.clone();
        if !is_honest {
            answer = self.false_answer(syn, answer);
            self.port.mutated();
        }
        self.port.send(from, &answer);
        self.halves.retain(|(of, _)| *of != from);
        self.halves.push((from, half));
    }

    fn false_answer(&mut self, syn: &[u8], mut answer: Vec<u8>) -> Vec<u8> {
        let dice = &mut self.dice;
        let (client_id, mut echo) = Half::echo(syn).expect("a SYN as documented");
        if dice.chance(40) {
            echo = dice.number().to_be_bytes();
        }
        match dice.below(6) {
            0 => chaos::damage(dice, &mut answer),
            1 => answer.truncate(dice.index(answer.len())),
            2 => {
                let mut contents = echo.to_vec();
                wire::put_varint(&mut contents, dice.below(8));
                return wire::answer(wire::REFUSE, client_id, &contents);
            }
            3 => {
                let contents = [&echo[..], &dice.bytes(40)].concat();
                return wire::answer(wire::COOKIE, client_id, &contents);
            }
            4 => {
                answer = vec![wire::LOST];
                answer.extend(client_id.to_be_bytes());
                answer.extend(dice.bytes(16));
            }
            // Parameters that were drawn above.
            _ => {}
        }
        answer
    }

    /// Answers what has arrived on every connection.
    fn converse(&mut self) {
        if self.is_silent {
            return;
        }
        let mut connections = std::mem::take(&mut self.connections);
        connections.retain(|connection| !connection.is_over);
        for connection in &mut connections {
            if let Some(mut frames) = connection.due() {
                frames.extend(connection.window());
                let packet = connection.packet(&frames);
                self.port.send(connection.to, &packet);
            }
            if self.act == "frames" {
                for _ in 0..self.dice.below(4) {
                    let frames = chaos::frames(&mut self.dice, connection);
                    chaos::send(&self.port, connection, &mut self.dice, &frames);
                }
            }
            while let Some(message) = connection.message() {
                let is_hello = message.windows(12).any(|word| word == b"\"connection\"");
                if let Some(frames) = self.ending.as_ref().filter(|_| !is_hello) {
                    let packet = connection.packet(frames);
                    self.port.send(connection.to, &packet);
                    self.is_silent = true;
                    break;
                }
                let reply = self.reply(&message);
                for packet in connection.packets(&reply) {
                    self.port.send(connection.to, &packet);
                }
            }
            // A file that the client sends, between its messages.
            if !self.is_control && connection.arrived_bytes() > 1 << 16 {
                connection.skip(1 << 16);
            }
        }
        self.connections.extend(connections);
    }

    fn say(&mut self, message: &Value) -> Vec<u8> {
        let is_changed = match self.act {
            "messages" => true,
            "transfers" => self.dice.chance(15),
            _ => false,
        };
        if is_changed {
            return chaos::message(&self.port, &mut self.dice, message);
        }
        let body = message.to_string();
        [&(body.len() as u32).to_be_bytes(), body.as_bytes()].concat()
    }

    fn reply(&mut self, message: &[u8]) -> Vec<u8> {
        // What is not JSON is the file that the client sends.
        let Ok(message) = serde_json::from_slice::<Value>(message) else {
            return Vec::new();
        };
        if message.get("connection").is_some() {
            if self.is_control {
                return Vec::new();
            }
            self.port.count(|tally| tally.transfers += 1);
            return self.data();
        }
        if !self.is_control {
            return self.answer(&message);
        }
        if self.dice.chance(8) {
            let code = self.dice.pick(&["io", "busy", "stalled", "no-such-code"]);
            return self.say(&json!({"status": false, "code": code, "reason": "no"}));
        }
        let reply = match message["action"].as_str().unwrap_or_default() {
            "ls" => json!({
                "status": true,
                "entries": [
                    {"name": "a", "kind": "file", "size": 1},
                    {"name": "b", "kind": "folder", "size": 0},
                ],
                "more": self.dice.chance(20),
            }),
            "hash" => json!({"status": true, "bytes": 5, "hash": "ab".repeat(32)}),
            "cancel" => json!({"status": true}),
            "get" => json!({
                "status": true, "port": 9000, "size": FILE_BYTES, "token": "0".repeat(32),
            }),
            _ => json!({"status": true, "port": 9000, "size": 0, "token": "0".repeat(32)}),
        };
        *self.granted.lock().expect("no panic elsewhere") = message;
        self.say(&reply)
    }

    /// What follows the hello of a data connection.
    fn data(&mut self) -> Vec<u8> {
        let granted = self.granted.lock().expect("no panic elsewhere").clone();
        let summary = json!({
            "status": true, "files": 1, "bytes": 2, "unchanged": 0, "skipped": 0, "failed": 0,
            "failures": [],
        });
        match granted["action"].as_str().unwrap_or_default() {
            "get" => self.file(FILE_BYTES),
            "get-tree" => {
                let page = json!({
                    "entries": [
                        {"path": "d"}, {"path": "d/a", "size": 10, "modified_ns": 5, "mode": 420},
                        {"path": "b", "size": 300_000},
                    ],
                    "last": true,
                });
                self.say(&page)
            }
            "put-tree" => {
                let want: Vec<_> = (0..self.dice.below(4))
                    .map(|i| json!({"index": i}))
                    .collect();
                let messages = [json!({"ack": "ACK"}), json!({"want": want}), summary];
                messages.map(|message| self.say(&message)).concat()
            }
            _ => {
                let hash = "cd".repeat(32);
                let messages = [
                    json!({"ack": "ACK"}),
                    json!({"verified": 4 << 20}),
                    json!({"status": true, "bytes": 5, "hash": hash}),
                ];
                messages.map(|message| self.say(&message)).concat()
            }
        }
    }

    /// Answers a message on a data connection.
    fn answer(&mut self, message: &Value) -> Vec<u8> {
        if message.get("want").is_none() {
            return Vec::new();
        }
        let mut files = Vec::new();
        for (index, size) in [(1, 10), (2, 300_000)] {
            files.extend(self.say(&json!({"index": index, "size": size})));
            files.extend(self.file(size));
        }
        files
    }

    /// A file and its hash, sometimes damaged, cut or too long.
    fn file(&mut self, size: usize) -> Vec<u8> {
        let contents = self.dice.bytes(size);
        let hash = blake3::hash(&contents);
        let mut file = [&contents[..], hash.as_bytes()].concat();
        if self.act == "transfers" && self.dice.chance(60) {
            self.port.mutated();
            match self.dice.below(4) {
                0 => file.truncate(self.dice.index(file.len())),
                1 => file.extend(self.dice.bytes(100)),
                _ => chaos::damage(&mut self.dice, &mut file),
            }
        }
        file
    }
}
