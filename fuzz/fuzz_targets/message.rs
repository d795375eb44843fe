//! Any bytes as a control message of each kind: what is understood is written as it was.
#![no_main]

use std::fmt::Debug;

use lftp_ftp::message::{
    self, Answer, Granted, Hello, LENGTH_BYTES, Listing, Ready, Request, Verified, Whole,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some((length, body)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return;
    };
    if let Ok(length) = message::body_bytes(*length) {
        assert!(length <= message::MAX_MESSAGE_BYTES);
    }
    if let Ok(hello) = Hello::decode(body) {
        again(&hello, |body| Hello::decode(body));
    }
    if let Ok(request) = message::decode::<Request>(body) {
        again(&request, |body| message::decode(body));
    }
    let _ = message::decode::<Ready>(body);
    let _ = message::decode::<Verified>(body);
    let _ = message::decode::<Answer>(body);
    let _ = message::decode::<Value>(body);
    if let Ok(Err(refusal)) = message::decode_reply::<Granted>(body) {
        assert!(!refusal.reason.chars().any(char::is_control));
    }
    let _ = message::decode_reply::<Listing>(body);
    let _ = message::decode_reply::<Whole>(body);
});

fn again<T, E>(message: &T, decode: impl Fn(&[u8]) -> Result<T, E>)
where
    T: serde::Serialize + PartialEq + Debug,
    E: Debug,
{
    let Ok(framed) = message::encode(message) else {
        return;
    };
    let decoded = decode(&framed[LENGTH_BYTES..]).expect("what was written can be read");
    assert_eq!(&decoded, message);
}
