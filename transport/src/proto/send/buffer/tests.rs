use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum SentState {
    Unsent,
    InFlight,
    Lost,
    Acked,
}

#[derive(Clone, Debug)]
enum Op {
    Write(usize),
    NextNew(u64, u64),
    NextLost(u64),
    Acked(Range<u64>),
    Lost(Range<u64>),
    Rewind(u64),
}

const SPAN: u64 = 20_000;
const CAPACITY: u64 = 6_000;

fn any_range() -> impl Strategy<Value = Range<u64>> {
    (0..SPAN, 0..4_000_u64).prop_map(|(start, len)| start..start + len)
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => prop_oneof![0..40_usize, 900..1_200_usize, 3_000..5_000_usize].prop_map(Op::Write),
        6 => (0..3_000_u64, 0..2 * SPAN).prop_map(|(max, limit)| Op::NextNew(max, limit)),
        3 => (0..3_000_u64).prop_map(Op::NextLost),
        4 => any_range().prop_map(Op::Acked),
        4 => any_range().prop_map(Op::Lost),
        1 => (0..SPAN).prop_map(Op::Rewind),
    ]
}

fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn stream(range: Range<u64>) -> Vec<u8> {
    range.map(byte_at).collect()
}

/// Every byte's state, one by one.
#[derive(Debug, Default)]
struct Model(Vec<SentState>);

impl Model {
    fn end(&self) -> u64 {
        self.0.len() as u64
    }

    fn count(&self, state: SentState) -> u64 {
        self.0.iter().filter(|&&held| held == state).count() as u64
    }

    /// The first bytes at or after `from` of which `is` holds.
    fn first(&self, from: u64, max: u64, is: impl Fn(SentState) -> bool) -> Option<Range<u64>> {
        let states = self.0.iter().copied().enumerate().skip(from as usize);
        let start = states.clone().find(|&(_, state)| is(state))?.0;
        let len = self.0[start..]
            .iter()
            .take(max as usize)
            .take_while(|&&f| is(f))
            .count();
        (len > 0).then(|| start as u64..(start + len) as u64)
    }

    fn set(&mut self, range: Range<u64>, change: impl Fn(SentState) -> SentState) {
        for state in &mut self.0[range.start as usize..range.end as usize] {
            *state = change(*state);
        }
    }

    fn sent(&self) -> u64 {
        let unsent = self.0.iter().position(|&state| state == SentState::Unsent);
        unsent.unwrap_or(self.0.len()) as u64
    }
}

fn clip(range: &Range<u64>, end: u64) -> Range<u64> {
    range.start.min(end)..range.end.min(end)
}

/// Does the same to both and compares what they answer.
fn apply(op: Op, buffer: &mut SendBuffer, model: &mut Model) {
    let end = model.end();
    match op {
        Op::Write(len) => {
            let behind = end + len as u64;
            buffer.write(stream(end..behind).into());
            model.0.resize(behind as usize, SentState::Unsent);
        }
        Op::NextNew(max, limit) => {
            let expected = model
                .first(0, max, |state| state == SentState::Unsent)
                .map(|range| clip(&range, limit))
                .filter(|range| !range.is_empty());
            assert_eq!(buffer.next_new(max, limit), expected);
            model.set(expected.unwrap_or(0..0), |_| SentState::InFlight);
        }
        Op::NextLost(max) => {
            let expected = model.first(0, max, |state| state == SentState::Lost);
            assert_eq!(buffer.next_lost(max), expected);
            model.set(expected.unwrap_or(0..0), |_| SentState::InFlight);
        }
        Op::Acked(range) => {
            let range = clip(&range, end);
            let before = model.count(SentState::Acked);
            model.set(range.clone(), |_| SentState::Acked);
            assert_eq!(
                buffer.on_acked(range),
                model.count(SentState::Acked) - before
            );
        }
        Op::Lost(range) => {
            let range = clip(&range, end);
            model.set(range.clone(), |state| match state {
                SentState::InFlight => SentState::Lost,
                other => other,
            });
            buffer.on_lost(range);
        }
        Op::Rewind(to) => {
            model.set(to.min(end)..end, |state| match state {
                SentState::Acked => SentState::Acked,
                _ => SentState::Unsent,
            });
            buffer.rewind(to);
        }
    }
}

fn compare(buffer: &SendBuffer, model: &Model, probe: Range<u64>) {
    let acked = |state| state == SentState::Acked;
    let prefix = model.0.iter().take_while(|&&state| acked(state)).count() as u64;
    assert_eq!(buffer.end(), model.end());
    assert_eq!(buffer.sent(), model.sent());
    assert_eq!(buffer.acked_prefix(), prefix);
    assert_eq!(buffer.room(), CAPACITY.saturating_sub(model.end() - prefix));
    assert_eq!(
        buffer.unacked_bytes(),
        model.end() - model.count(SentState::Acked)
    );
    assert_eq!(
        buffer.is_fully_acked(),
        model.0.iter().all(|&state| acked(state))
    );
    assert_eq!(buffer.lost_bytes(), model.count(SentState::Lost));
    assert_eq!(buffer.has_lost(), model.count(SentState::Lost) > 0);
    assert_eq!(buffer.unsent_bytes(), model.count(SentState::Unsent));
    assert_eq!(buffer.has_unsent(), buffer.unsent_bytes() > 0);
    let max = probe.end - probe.start;
    let outstanding = model
        .first(probe.start, max, |state| !acked(state))
        .map(|range| clip(&range, model.sent()))
        .filter(|range| !range.is_empty());
    assert_eq!(buffer.next_unacked(probe.start, max), outstanding);
    // Whatever is not acknowledged can be sent once more, just as it was written.
    let mut at = 0;
    while let Some(range) = model.first(at, 1_440, |state| !acked(state)) {
        let mut out = vec![7];
        buffer.copy(range.clone(), &mut out);
        assert_eq!(out[1..], stream(range.clone()));
        at = range.end;
    }
    let useful = buffer
        .chunks
        .front()
        .is_none_or(|front| front.end() > prefix);
    assert!(useful, "acknowledged chunks are let go");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn keeps_the_account_of_every_byte(ops in vec(any_op(), 1..50), probe in any_range()) {
        let mut buffer = SendBuffer::new(CAPACITY, u64::MAX);
        let mut model = Model::default();
        for op in ops {
            apply(op, &mut buffer, &mut model);
            compare(&buffer, &model, probe.clone());
        }
    }
}

#[test]
fn large_writes_are_not_copied_and_are_let_go_once_acknowledged() {
    let mut buffer = SendBuffer::new(1 << 20, u64::MAX);
    let file = Bytes::from(vec![1; 64 * 1024]);
    buffer.write(file.clone());
    assert!(!file.is_unique());
    assert_eq!(buffer.next_new(u64::MAX, u64::MAX), Some(0..65_536));
    buffer.on_acked(1..65_536);
    assert!(!file.is_unique());
    buffer.on_acked(0..1);
    assert!(file.is_unique());
    assert_eq!(buffer.room(), 1 << 20);
}

#[test]
fn single_bytes_are_gathered_into_few_chunks() {
    let mut buffer = SendBuffer::new(1 << 20, u64::MAX);
    for offset in 0..100_000 {
        buffer.write(stream(offset..offset + 1).into());
    }
    assert!(buffer.chunks.len() <= 100_000 / GATHERED_BYTES + 1);
    let mut out = Vec::new();
    buffer.copy(0..100_000, &mut out);
    assert_eq!(out, stream(0..100_000));
}

#[test]
fn one_write_may_go_beyond_the_room_and_leaves_none() {
    let mut buffer = SendBuffer::new(10, u64::MAX);
    buffer.write(Bytes::from_static(&[0; 16]));
    assert_eq!(buffer.room(), 0);
    assert_eq!(buffer.next_new(100, 100), Some(0..16));
    buffer.on_acked(0..12);
    assert_eq!(buffer.room(), 6);
}

#[test]
fn what_was_acknowledged_is_skipped_after_going_back() {
    let mut buffer = SendBuffer::new(100, u64::MAX);
    buffer.write(Bytes::from_static(&[0; 60]));
    assert_eq!(buffer.next_new(50, 100), Some(0..50));
    buffer.on_acked(20..40);
    buffer.rewind(0);
    assert_eq!(buffer.next_new(100, 100), Some(0..20));
    assert_eq!(buffer.sent(), 40);
    assert_eq!(buffer.next_new(100, 100), Some(40..60));
}
