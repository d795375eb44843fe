//! What the fuzz target `message` does; the target itself is in `fuzz/fuzz_targets`.

use std::fmt::Debug;

use lftp_ftp::protocol::{
    self, Answer, ClientRequest, Confirmation, Granted, Hello, LENGTH_BYTES, Listing, Ready,
    Verified,
};

/// Reads any bytes as a message of each kind; whether they are one of any. What is understood is
/// written as it was.
pub(crate) fn understands(bytes: &[u8]) -> bool {
    let Some((length, body)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return false;
    };
    if let Ok(length) = protocol::body_bytes(*length) {
        assert!(length <= protocol::MAX_MESSAGE_BYTES);
    }
    let hello = Hello::decode(body);
    if let Ok(hello) = &hello {
        again(hello, Hello::decode);
    }
    let request = protocol::decode::<ClientRequest>(body);
    if let Ok(request) = &request {
        again(request, protocol::decode);
    }
    let _ = protocol::decode::<serde_json::Value>(body);
    let granted = protocol::decode_reply::<Granted>(body);
    if let Ok(Err(refusal)) = &granted {
        assert!(!refusal.to_string().chars().any(char::is_control));
    }
    [
        hello.is_ok(),
        request.is_ok(),
        granted.is_ok(),
        protocol::decode::<Ready>(body).is_ok(),
        protocol::decode::<Verified>(body).is_ok(),
        protocol::decode::<Answer>(body).is_ok(),
        protocol::decode_reply::<Listing>(body).is_ok(),
        protocol::decode_reply::<Confirmation>(body).is_ok(),
    ]
    .contains(&true)
}

fn again<T, E>(message: &T, decode: impl Fn(&[u8]) -> Result<T, E>)
where
    T: serde::Serialize + PartialEq + Debug,
    E: Debug,
{
    let Ok(framed) = protocol::encode(message) else {
        return;
    };
    let decoded = decode(&framed[LENGTH_BYTES..]).expect("what was written can be read");
    assert_eq!(&decoded, message);
}
