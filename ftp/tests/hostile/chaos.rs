//! Frames, packets and messages that are wrong in ways that matter.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::peer::{Connection, Port};
use crate::wire;

/// Frames that contradict each other, the past, or the document.
pub(crate) fn frames(dice: &mut Dice, connection: &Connection) -> Vec<u8> {
    let mut frames = Vec::new();
    for _ in 0..1 + dice.below(4) {
        let frame = frame(dice, connection);
        let is_last = matches!(frame.first(), Some(0x08 | 0x09));
        frames.extend(frame);
        // Data extends to the end of the packet; most of the time it is the last.
        if is_last && dice.chance(90) {
            break;
        }
    }
    frames
}

fn frame(dice: &mut Dice, connection: &Connection) -> Vec<u8> {
    let largest = connection.largest.unwrap_or(0);
    match dice.below(16) {
        0 => vec![0x00; dice.index(40) + 1],
        1 => vec![0x01; dice.pick(&[1, 2, 5, 32, 300])],
        // Numbers that were never received, and optimistic ones.
        2 => wire::acked(largest + dice.below(3)),
        3 => {
            let fields = [
                dice.extreme(),
                dice.extreme(),
                dice.below(4),
                dice.extreme(),
            ];
            let mut frame = wire::numbers(0x02 + dice.below(2) as u8, &fields);
            for _ in 0..dice.below(9) {
                wire::put_varint(&mut frame, dice.extreme());
            }
            frame
        }
        4 => {
            let gaps = dice.below(6);
            let mut frame = wire::numbers(0x02, &[largest, dice.extreme(), gaps, 0]);
            for _ in 0..2 * gaps {
                wire::put_varint(&mut frame, dice.below(2));
            }
            frame
        }
        5 => {
            let counts = [dice.extreme(), dice.extreme(), dice.extreme()];
            let ranges = [largest, 0, 0, largest];
            wire::numbers(0x03, &[&ranges[..], &counts].concat())
        }
        6 => wire::numbers(0x04, &[dice.extreme()]),
        7 => wire::numbers(0x05, &[dice.extreme()]),
        8 if dice.chance(10) => wire::numbers(0x06, &[dice.extreme()]),
        9 => [&[0x0a][..], &dice.bytes(8)].concat(),
        10 => [&[0x0b][..], &dice.bytes(8)].concat(),
        11 => dice.bytes(1 + dice.clone().index(30)),
        12 => {
            let data = dice.bytes(1 + dice.clone().index(20));
            wire::stream(dice.extreme(), &data, dice.chance(20))
        }
        // Another version of what was sent, behind a gap, or an end in the middle.
        _ => {
            let near = connection.sent.saturating_sub(dice.below(30)) + dice.below(60);
            let data = dice.bytes(dice.clone().index(100));
            wire::stream(near, &data, dice.chance(5))
        }
    }
}

/// Sends a packet in a way that an honest side would not.
pub(crate) fn send(port: &Port, connection: &mut Connection, dice: &mut Dice, frames: &[u8]) {
    port.mutated();
    let mut packet = match dice.below(8) {
        0 => {
            let number = connection.next_number.saturating_sub(dice.below(20));
            connection.packet_of(wire::DATA, number, frames)
        }
        1 => {
            connection.next_number = (connection.next_number + dice.below(1 << 20)).min(1 << 50);
            connection.packet(frames)
        }
        2 => {
            let number = connection.next_number;
            connection.packet_of(0x3c, number, frames)
        }
        3 => connection.packet_of(dice.number() as u8, dice.extreme(), frames),
        _ => connection.packet(frames),
    };
    match dice.below(12) {
        0 => damage(dice, &mut packet),
        1 => packet.truncate(dice.index(packet.len())),
        2 => packet.extend(dice.bytes(dice.clone().index(1500))),
        3 => {
            // The same packet three times.
            port.send(connection.to, &packet);
            port.send(connection.to, &packet);
        }
        _ => {}
    }
    port.send(connection.to, &packet);
}

/// Changes some bytes.
pub(crate) fn damage(dice: &mut Dice, bytes: &mut [u8]) {
    for _ in 0..1 + dice.below(4) {
        if let Some(byte) = bytes.get_mut(dice.index(bytes.len().max(1))) {
            *byte ^= 1 << dice.below(8);
        }
    }
}

/// Puts the length before a message; sometimes another length.
pub(crate) fn framed(dice: &mut Dice, body: &[u8]) -> Vec<u8> {
    let length = match dice.below(40) {
        0 => dice.number() as u32,
        1 => 0,
        2 => body.len() as u32 + 1,
        3 => 65_537,
        _ => body.len() as u32,
    };
    [&length.to_be_bytes(), body].concat()
}

/// A value in place of a field.
pub(crate) fn value(dice: &mut Dice) -> Value {
    match dice.below(10) {
        0 => Value::Null,
        1 => dice.chance(50).into(),
        2 => dice.extreme().into(),
        3 => u64::MAX.into(),
        4 => (-(dice.below(1 << 40) as i64)).into(),
        5 => json!([]),
        6 => json!({"a": {"b": [1, 2.5e300]}}),
        7 => "x".repeat(dice.index(3000)).into(),
        8 => "../\u{1b}[2J\u{202e}\u{0}".into(),
        _ => dice
            .pick(&["a", "", ".", "/", "large", "t", "there", "con"])
            .into(),
    }
}

/// Changes a message: a field goes, comes, or has another value.
pub(crate) fn mutate(dice: &mut Dice, message: &mut Value) {
    match message {
        Value::Object(fields) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            match dice.below(6) {
                0 if !keys.is_empty() => {
                    fields.remove(&dice.pick(&keys));
                }
                1 => {
                    let name = dice.pick(&["held", "verified", "want", "again", "status", "size"]);
                    fields.insert(name.to_owned(), value(dice));
                }
                2 | 3 if !keys.is_empty() => {
                    fields.insert(dice.pick(&keys), value(dice));
                }
                _ if !keys.is_empty() => {
                    if let Some(inner) = fields.get_mut(&dice.pick(&keys)) {
                        mutate(dice, inner);
                    }
                }
                _ => {}
            }
        }
        Value::Array(items) => match items.len() {
            0 => items.push(value(dice)),
            _ if dice.chance(30) => items.push(items[0].clone()),
            length => {
                let index = dice.index(length);
                mutate(dice, &mut items[index]);
            }
        },
        other => *other = value(dice),
    }
}

/// Encodes a message, in two of three cases a changed one.
pub(crate) fn message(port: &Port, dice: &mut Dice, message: &Value) -> Vec<u8> {
    let mut message = message.clone();
    if dice.chance(66) {
        port.mutated();
        for _ in 0..1 + dice.below(2) {
            mutate(dice, &mut message);
        }
    }
    let mut body = message.to_string().into_bytes();
    if dice.chance(5) {
        damage(dice, &mut body);
    }
    framed(dice, &body)
}
