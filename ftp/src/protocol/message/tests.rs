use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::protocol::*;

fn body(framed: &Bytes) -> &[u8] {
    let length = framed[..LENGTH_BYTES].try_into().unwrap();
    assert_eq!(body_bytes(length).unwrap(), framed.len() - LENGTH_BYTES);
    &framed[LENGTH_BYTES..]
}

fn token() -> impl Strategy<Value = Token> {
    any::<[u8; 16]>().prop_map(Token)
}

const fn plain(port: u16, size: u64, token: Token) -> Granted {
    Granted {
        port,
        size,
        token,
        held: None,
        from: 0,
        source: None,
        allocated: None,
        attributes: Attributes {
            mode: None,
            modified_ns: None,
        },
    }
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (any::<String>(), any::<u64>(), any::<bool>()).prop_map(|(name, size, overwrite)| {
            Request::Put {
                name,
                size,
                overwrite,
                source: overwrite.then(|| "fingerprint".to_owned()),
                allocated: None,
                attributes: Attributes {
                    mode: overwrite.then_some(0o644),
                    modified_ns: overwrite.then_some(-1),
                },
            }
        }),
        any::<String>().prop_map(|name| Request::Get { name, held: None }),
        (any::<String>(), any::<Option<String>>())
            .prop_map(|(path, after)| Request::Ls { path, after }),
        token().prop_map(|token| Request::Cancel { token }),
    ]
}

proptest! {
    #[test]
    fn a_request_comes_out_as_it_went_in(
        request in request(), shown in prop::option::of(token()),
    ) {
        let framed = encode(&request).unwrap();
        prop_assert_eq!(decode::<Request>(body(&framed)).unwrap(), request.clone());
        let asked = ClientRequest { request, shown };
        let framed = encode(&asked).unwrap();
        prop_assert_eq!(decode::<ClientRequest>(body(&framed)).unwrap(), asked);
    }

    #[test]
    fn a_hello_comes_out_as_it_went_in(
        token in token(), is_data in any::<bool>(), is_resumed in any::<bool>(),
        ahead in any::<bool>(),
        data_port in any::<Option<u16>>(),
    ) {
        let data = Purpose::Data { token, resume: is_resumed, ahead };
        let purpose = if is_data { data } else { Purpose::Control { data_port } };
        let hello = Hello::new(purpose);
        let framed = encode(&hello).unwrap();
        prop_assert_eq!(Hello::decode(body(&framed)).unwrap(), hello);
    }

    #[test]
    fn a_reply_comes_out_as_it_went_in(
        token in token(), port in any::<u16>(), size in any::<u64>(), reason in "[ -~]{0,99}",
    ) {
        let granted: Reply<Granted> = Ok(plain(port, size, token));
        let framed = encode_reply(&granted).unwrap();
        prop_assert_eq!(decode_reply(body(&framed)).unwrap(), granted);
        let refused: Reply<Granted> = Err(Refusal::new(Code::Busy, reason));
        let framed = encode_reply(&refused).unwrap();
        prop_assert_eq!(decode_reply(body(&framed)).unwrap(), refused);
    }

    #[test]
    fn arbitrary_bytes_are_an_error_and_no_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode::<ClientRequest>(&bytes);
        let _ = Hello::decode(&bytes);
        let _ = decode_reply::<Listing>(&bytes);
    }

    #[test]
    fn no_length_above_the_bound_is_believed(length in any::<u32>()) {
        let bytes = body_bytes(length.to_be_bytes());
        prop_assert_eq!(bytes.is_ok(), length as usize <= MAX_MESSAGE_BYTES);
    }
}

#[test]
fn the_words_on_the_wire_are_the_documented_ones() {
    let request = Request::Put {
        name: "a".into(),
        size: 3,
        overwrite: true,
        source: None,
        allocated: None,
        attributes: Attributes::default(),
    };
    assert_eq!(
        body(&encode(&request).unwrap()),
        br#"{"action":"put","name":"a","size":3,"overwrite":true}"#
    );
    let token = Token(*b"0123456789abcdef");
    let granted: Reply<Granted> = Ok(Granted {
        port: 9000,
        size: 3,
        token,
        held: None,
        from: 0,
        source: None,
        allocated: None,
        attributes: Attributes::default(),
    });
    assert_eq!(
        body(&encode_reply(&granted).unwrap()),
        br#"{"status":true,"port":9000,"size":3,"token":"30313233343536373839616263646566"}"#
    );
    let busy: Reply<Granted> = Err(Refusal::new(Code::Busy, "later"));
    assert_eq!(
        body(&encode_reply(&busy).unwrap()),
        br#"{"status":false,"code":"busy","reason":"later"}"#
    );
    assert_eq!(
        body(&encode(&Ready { ack: Ack::Ack }).unwrap()),
        br#"{"ack":"ACK"}"#
    );
    let hello = Hello::new(Purpose::Control { data_port: None });
    assert_eq!(
        body(&encode(&hello).unwrap()),
        br#"{"lftp":3,"connection":"control"}"#
    );
}

#[test]
fn a_message_that_is_too_long_is_not_made() {
    let request = Request::Get {
        name: "x".repeat(MAX_MESSAGE_BYTES),
        held: None,
    };
    assert!(matches!(
        encode(&request),
        Err(MessageError::TooLong { .. })
    ));
}

#[test]
fn another_version_is_named_even_when_its_hello_looks_different() {
    let error = Hello::decode(br#"{"lftp":7,"connection":{"kind":"quantum"}}"#).unwrap_err();
    assert!(
        matches!(error, MessageError::Version { version: 7 }),
        "{error}"
    );
}

#[test]
fn tokens_are_exactly_thirty_two_hexadecimal_digits() {
    let wrong = ["", "+0313233343536373839616263646566", "3031", "zz"];
    for text in wrong {
        assert!(Token::try_from(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn a_refusal_cannot_command_the_terminal() {
    let body = br#"{"status":false,"code":"io","reason":"\u001b[2Jgone"}"#;
    let refusal = decode_reply::<Listing>(body).unwrap().unwrap_err();
    assert_eq!(refusal.to_string(), "\\u{1b}[2Jgone");
}
