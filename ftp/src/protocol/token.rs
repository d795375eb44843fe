//! The token that ties a data connection to its transfer.

use std::fmt;

use lftp_transport::Runtime;
use serde::{Deserialize, Serialize};

/// Secret that a data connection shows to belong to a granted transfer.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(pub [u8; 16]);

impl Token {
    pub(crate) fn generate(runtime: &dyn Runtime) -> Self {
        let mut token = [0; 16];
        runtime.fill_random(&mut token);
        Self(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        format!("{:032x}", u128::from_be_bytes(token.0))
    }
}

impl TryFrom<String> for Token {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| is_hex);
        number
            .map(|n| Self(n.to_be_bytes()))
            .ok_or("a token is 32 hexadecimal digits")
    }
}
