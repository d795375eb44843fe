//! The blocks of the receiving side.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::proto::send::SendBuffer;

const WINDOW: u64 = 3 * BLOCK + 1_000;

const KIB: u64 = 1_024;

#[derive(Clone, Debug)]
enum Op {
    /// So far ahead of what has been read, so many bytes.
    Insert {
        ahead: u64,
        len: usize,
    },
    /// What comes next, or begins a little before it.
    InsertNext {
        overlap: u64,
        len: usize,
    },
    Read {
        max: usize,
        keep: bool,
    },
}

fn any_len() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..3_000_usize, 1 => 50_000..150_000_usize]
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..WINDOW, any_len()).prop_map(|(ahead, len)| Op::Insert { ahead, len }),
        3 => (0..100_u64, any_len())
            .prop_map(|(overlap, len)| Op::InsertNext { overlap, len }),
        3 => (prop_oneof![0..5_000_usize, Just(usize::MAX)], any::<bool>())
            .prop_map(|(max, keep)| Op::Read { max, keep }),
    ]
}

fn held_bytes(assembler: &Assembler) -> u64 {
    let held = assembler.held_bytes();
    let blocks = assembler.blocks.ring.iter().flatten();
    let spares = assembler.blocks.spares.iter();
    let allocated: u64 = blocks.chain(spares).map(|it| it.allocated_bytes).sum();
    assert!(allocated <= held, "{allocated} of {held} counted");
    held - assembler.blocks.spares.len() as u64 * BLOCK
}

/// Each byte that has come, and how far it was read.
#[derive(Debug, Default)]
struct Model {
    bytes: Vec<Option<u8>>,
    read: usize,
}

impl Model {
    /// Gives how many are new; the first copy stays.
    fn insert(&mut self, offset: u64, data: &[u8]) -> u64 {
        let offset = offset as usize;
        self.bytes
            .resize(self.bytes.len().max(offset + data.len()), None);
        let mut new = 0;
        for (place, &byte) in self.bytes[offset..].iter_mut().zip(data) {
            new += u64::from(place.is_none());
            place.get_or_insert(byte);
        }
        new
    }

    fn contiguous_end(&self) -> usize {
        self.read
            + self.bytes[self.read..]
                .iter()
                .take_while(|byte| byte.is_some())
                .count()
    }

    fn compare(&self, assembler: &Assembler) {
        let contiguous = self.contiguous_end();
        assert_eq!(assembler.read_offset(), self.read as u64);
        assert_eq!(assembler.contiguous_end(), contiguous as u64);
        assert_eq!(assembler.readable(), (contiguous - self.read) as u64);
        let highest = self
            .bytes
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |last| last + 1);
        assert_eq!(assembler.highest(), highest as u64);
        let buffered = self.bytes[self.read..].iter().flatten().count() as u64;
        assert_eq!(assembler.buffered_bytes(), buffered);
        assert!(held_bytes(assembler) <= WINDOW + 2 * BLOCK + 4 * KIB);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn gives_the_first_copy_of_every_byte_once_and_in_order(ops in vec(any_op(), 1..40)) {
        let mut assembler = Assembler::new();
        let mut model = Model::default();
        let mut pieces = Vec::new();
        for (step, op) in ops.into_iter().enumerate() {
            let read = model.read as u64;
            match op {
                Op::Insert { .. } | Op::InsertNext { .. } => {
                    let (offset, len) = match op {
                        Op::Insert { ahead, len } => (read + ahead, len),
                        Op::InsertNext { overlap, len } => {
                            (assembler.contiguous_end().saturating_sub(overlap), len)
                        }
                        Op::Read { .. } => unreachable!(),
                    };
                    let room = (read + WINDOW).saturating_sub(offset) as usize;
                    // Another byte each step shows whose copy stayed.
                    let data = vec![step as u8 + 1; len.min(room)];
                    prop_assert_eq!(
                        assembler.insert(offset, &data),
                        model.insert(offset, &data)
                    );
                }
                Op::Read { max, keep } => {
                    let block_end = (model.read / BLOCK_BYTES + 1) * BLOCK_BYTES;
                    let end = model.contiguous_end().min(block_end);
                    let end = end.min(model.read.saturating_add(max));
                    let expected: Vec<_> =
                        model.bytes[model.read..end].iter().copied().flatten().collect();
                    let piece = assembler.read(max);
                    prop_assert_eq!(piece.is_none(), expected.is_empty());
                    prop_assert_eq!(piece.as_deref().unwrap_or_default(), &expected[..]);
                    model.read = end;
                    pieces.extend(piece.filter(|_| keep).map(|piece| (piece, expected)));
                }
            }
            model.compare(&assembler);
        }
        // No later byte was written into memory that was handed out.
        for (piece, expected) in pieces {
            prop_assert_eq!(&piece[..], &expected[..]);
        }
    }

    #[test]
    fn a_stream_sent_over_a_bad_network_arrives_whole(
        writes in vec(1..60_000_usize, 1..8),
        packets in vec((1..1_500_u64, 0..5_u8), 0..400),
    ) {
        let mut byte = 0_u64;
        let mut sender = SendBuffer::new(u64::MAX, u64::MAX);
        let mut sent = Vec::new();
        for len in writes {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                byte += 1;
                (byte.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
            })
            .take(len)
            .collect();
            sent.extend_from_slice(&bytes);
            sender.write(bytes.into());
        }
        let mut receiver = Assembler::new();
        let mut received = Vec::new();
        let mut unanswered = VecDeque::new();
        let mut late = Vec::new();
        let total = sent.len() as u64;
        let mut arrived = 0;
        let rest = std::iter::repeat_n((1_440, 0), 4 * sent.len() / 1_440 + 2_000);
        for (max, outcome) in packets.into_iter().chain(rest) {
            // A loss is noticed some packets later, or when there is nothing else to do.
            let next = sender.next_lost(max).or_else(|| sender.next_new(max, u64::MAX));
            if (next.is_none() || unanswered.len() > 8)
                && let Some(range) = unanswered.pop_front()
            {
                sender.on_lost(range);
            }
            let Some(range) = next else { continue };
            let mut packet = Vec::new();
            sender.copy(range.clone(), &mut packet);
            if outcome == 3 {
                late.push((range.clone(), packet.clone()));
            }
            // 0 and 1 arrive, and so does 4, whose acknowledgement is lost.
            if matches!(outcome, 0 | 1 | 4) {
                arrived += receiver.insert(range.start, &packet);
            }
            if outcome <= 1 {
                sender.on_acked(range);
            } else {
                unanswered.push_back(range);
            }
            received.extend(receiver.read(usize::MAX).into_iter().flatten());
        }
        for (range, packet) in late {
            arrived += receiver.insert(range.start, &packet);
            prop_assert_eq!(sender.on_acked(range), 0);
        }
        while let Some(piece) = receiver.read(usize::MAX) {
            received.extend_from_slice(&piece);
        }
        prop_assert!(sender.is_fully_acked());
        prop_assert_eq!(arrived, total);
        prop_assert!(received == sent);
    }
}

#[test]
fn filling_a_gap_exactly_makes_what_lies_behind_it_readable() {
    let mut assembler = Assembler::new();
    assert_eq!(assembler.insert(20, &[3; 10]), 10);
    assert_eq!(assembler.insert(0, &[1; 10]), 10);
    assert_eq!(assembler.contiguous_end(), 10);
    assert_eq!(assembler.insert(10, &[2; 10]), 10);
    assert_eq!(assembler.contiguous_end(), 30);
    assert_eq!(
        assembler.read(100).unwrap(),
        [[1; 10], [2; 10], [3; 10]].concat()
    );
}

#[test]
fn one_byte_in_each_block_takes_no_more_than_the_window() {
    let window = 64 * BLOCK;
    let mut assembler = Assembler::new();
    assembler.insert(0, &[1; 10]);
    assembler.read(10);
    for block in 0..=64 {
        assembler.insert((block * BLOCK + BLOCK / 2).min(10 + window - 1), &[1]);
    }
    assert_eq!(assembler.buffered_bytes(), 65);
    assert!(held_bytes(&assembler) <= window + 2 * BLOCK + 4 * KIB);
    let reach: usize = assembler
        .blocks
        .ring
        .iter()
        .flatten()
        .map(|block| block.bytes.capacity())
        .sum();
    assert!(reach as u64 <= window + 2 * BLOCK);
}

#[test]
fn a_byte_far_ahead_costs_one_block() {
    let mut assembler = Assembler::new();
    assert_eq!(assembler.insert(1 << 28, &[1]), 1);
    let places = (1 << 28) / BLOCK + 1;
    assert_eq!(
        held_bytes(&assembler),
        BLOCK + places * PLACE_BYTES + RANGE_BYTES
    );
    assert_eq!(assembler.highest(), (1 << 28) + 1);
    assert_eq!(assembler.read(usize::MAX), None);
}

#[test]
fn a_block_is_reused_once_its_pieces_are_dropped() {
    let mut assembler = Assembler::new();
    let mut read_block = |byte| {
        for offset in (0..BLOCK).step_by(1_024) {
            assembler.insert(assembler.highest().max(offset), &[byte; 1_024]);
        }
        assembler.read(usize::MAX).unwrap()
    };
    let first = read_block(1);
    let memory = first.as_ptr();
    let second = read_block(2);
    assert_ne!(second.as_ptr(), memory);
    assert!(first.iter().all(|&byte| byte == 1));
    drop((first, second));
    let third = read_block(3);
    let fourth_memory = third.as_ptr();
    drop(third);
    let fourth = read_block(4);
    assert_eq!(fourth.as_ptr(), fourth_memory);
    assert!(fourth.len() == BLOCK_BYTES && fourth.iter().all(|&byte| byte == 4));
}

#[test]
fn reading_splits_a_block_without_copying() {
    let mut assembler = Assembler::new();
    assembler.insert(0, &[5; 3_000]);
    let first = assembler.read(1_000).unwrap();
    let second = assembler.read(usize::MAX).unwrap();
    assert_eq!((first.len(), second.len()), (1_000, 2_000));
    assert_eq!(first.as_ptr_range().end, second.as_ptr());
    assembler.insert(3_000, &[6; 10]);
    let third = assembler.read(usize::MAX).unwrap();
    assert_eq!(second.as_ptr_range().end, third.as_ptr());
    assert_eq!(&third[..], &[6; 10]);
}
