//! Round trips of every encoding; no input makes decoding panic.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;

use super::varint::VARINT_MAX;
use super::*;

/// Numbers around each change of length, and any others.
fn varint() -> impl Strategy<Value = u64> {
    let edges = [0x3f, 0x3fff, 0x3fff_ffff, VARINT_MAX - 1];
    prop_oneof![
        prop::sample::select(edges.to_vec()).prop_flat_map(|edge| edge - 1..=edge + 1),
        0..=VARINT_MAX,
    ]
}

/// Ranges of packet numbers, highest first, at least one number apart.
fn ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
    vec((1_u64..100_000, 1_u64..100_000), 1..40).prop_map(|steps| {
        let mut next = 0;
        let ascending = steps.into_iter().map(|(gap, len)| {
            let range = next + gap..next + gap + len;
            next = range.end;
            range
        });
        let mut ranges: Vec<_> = ascending.collect();
        ranges.reverse();
        ranges
    })
}

fn ecn() -> impl Strategy<Value = Option<EcnCounts>> {
    let counts = (varint(), varint(), varint());
    prop::option::of(counts.prop_map(|(ect0, ect1, ce)| EcnCounts { ect0, ect1, ce }))
}

fn read(bytes: &[u8]) -> Vec<Result<Frame<'_>, DecodeError>> {
    Frames::new(Reader::new(bytes)).collect()
}

proptest! {
    #[test]
    fn a_varint_round_trips_and_has_its_computed_length(value in varint()) {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, value);
        prop_assert_eq!(bytes.len(), varint_len(value));
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.varint(), Ok(value));
        prop_assert!(reader.rest().is_empty());
    }

    #[test]
    fn frames_round_trip_in_order(
        max_offset in varint(), offset in varint(), token in any::<u64>(), reason in any::<u32>(),
        data in vec(any::<u8>(), 0..100), at in 0..VARINT_MAX / 2, fin in any::<bool>(),
        padding in 0_usize..4,
    ) {
        let mut bytes = vec![0; padding];
        encode::ping(&mut bytes);
        encode::rwnd(&mut bytes, max_offset);
        bytes.resize(bytes.len() + padding, 0);
        encode::rwnd_check(&mut bytes, offset);
        encode::challenge(&mut bytes, token);
        encode::response(&mut bytes, !token);
        encode::reset(&mut bytes, reason);
        let before = bytes.len();
        encode::stream(&mut bytes, at, fin);
        prop_assert_eq!(bytes.len() - before, encode::stream_overhead(at));
        bytes.extend_from_slice(&data);
        prop_assert_eq!(read(&bytes), [
            Ok(Frame::Ping),
            Ok(Frame::Rwnd { max_offset }),
            Ok(Frame::RwndCheck { offset }),
            Ok(Frame::Challenge { token }),
            Ok(Frame::Response { token: !token }),
            Ok(Frame::Reset { reason }),
            Ok(Frame::Stream { offset: at, data: &data, fin }),
        ]);
    }

    #[test]
    fn acknowledged_ranges_round_trip_and_the_highest_are_kept_when_space_is_short(
        ranges in ranges(), delay_us in varint(), ecn in ecn(), space in 0_usize..800,
    ) {
        let mut bytes = Vec::new();
        encode::acked(&mut bytes, ranges.iter().cloned(), delay_us, ecn, space);
        prop_assert!(bytes.len() <= space);
        let frames = read(&bytes);
        let Some(frame) = frames.first() else {
            prop_assert!(space < 64, "one range fits");
            return Ok(());
        };
        let Ok(Frame::Acked(frame)) = frame else {
            return Err(TestCaseError::fail(format!("{frame:?}")));
        };
        prop_assert_eq!(frame.largest, ranges[0].end - 1);
        prop_assert_eq!(frame.delay_us, delay_us);
        prop_assert_eq!(frame.ecn, ecn);
        let decoded: Vec<_> = frame.ranges().map(|it| *it.start()..*it.end() + 1).collect();
        prop_assert!(decoded.len() == ranges.len() || space < 400);
        prop_assert_eq!(&decoded[..], &ranges[..decoded.len()]);
    }

    #[test]
    fn headers_round_trip(
        destination in any::<u32>(), echo in any::<u64>(), number in varint(), phase in any::<bool>(),
        noise in vec(any::<u8>(), 1..200), cookie in any::<[u8; COOKIE_BYTES]>(),
        handshake_finish in vec(any::<u8>(), HANDSHAKE_FINISH_BYTES), with_cookie in any::<bool>(),
    ) {
        let handshake_finish: &[u8; HANDSHAKE_FINISH_BYTES] =
            handshake_finish[..].try_into().expect("its length");
        for header in [
            Header::Syn {
                source: destination,
                cookie: with_cookie.then_some(&cookie),
                noise: &noise,
            },
            Header::SynAck { destination, noise: &noise },
            Header::Ack { destination, handshake_finish, packet_number: number },
            Header::Data { destination, phase, packet_number: number },
            Header::Refuse { destination, echo, reason: number },
            Header::Cookie { destination, echo, cookie: &cookie },
        ] {
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            let (read, length) = Header::decode(&bytes).expect("an encoded header decodes");
            prop_assert_eq!(read, header);
            prop_assert_eq!(length, bytes.len());
        }
    }

    #[test]
    fn any_bytes_decode_to_frames_or_one_error(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Header::decode(&bytes);
        // Decoding stops at the first error.
        let frames = read(&bytes);
        let errors = frames.iter().filter(|frame| frame.is_err()).count();
        prop_assert!(errors <= 1);
        prop_assert!(errors == 0 || frames.last().is_some_and(Result::is_err));
    }
}

const DOCUMENT: &str = include_str!("../../../docs/PROTOCOL.md");

/// Returns the codes in the first column of the document's table under `header`.
fn documented(header: &str) -> Vec<u64> {
    let (_, table) = DOCUMENT.split_once(header).expect("the table's header");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let codes = rows.map(|row| row.split('|').nth(1).unwrap_or_default());
    codes
        .map(|code| {
            let code = code.trim().trim_matches('`');
            match code.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).expect("a hexadecimal code"),
                None => code.parse().expect("a decimal code"),
            }
        })
        .collect()
}

#[test]
fn the_document_has_every_packet_type_and_no_other() {
    let is_known =
        |kind: &u8| Header::decode(&[*kind, 0, 0, 0, 0]) != Err(DecodeError::UnknownPacket(*kind));
    let known: Vec<u64> = (0..=u8::MAX).filter(is_known).map(u64::from).collect();
    assert_eq!(
        documented("| type | name | sent by | connection id |"),
        known
    );
}

#[test]
fn the_document_has_every_frame_type_and_no_other() {
    let is_known = |kind: &u8| {
        let bytes = [*kind];
        let first = Frames::new(Reader::new(&bytes)).next();
        first != Some(Err(DecodeError::UnknownFrame(*kind)))
    };
    let known: Vec<u64> = (0..=u8::MAX).filter(is_known).map(u64::from).collect();
    assert_eq!(
        documented("| type | name | fields | ack-eliciting |"),
        known
    );
}

#[test]
fn the_document_has_every_reason_of_a_refusal_and_no_other() {
    use crate::proto::Refusal;
    let is_known = |reason: &u64| !matches!(Refusal::from_wire(*reason), Refusal::Other(_));
    let known: Vec<u64> = (0..=1000).filter(is_known).collect();
    assert_eq!(
        documented("ends the connection attempt.\n\n| reason | meaning |"),
        known
    );
}
