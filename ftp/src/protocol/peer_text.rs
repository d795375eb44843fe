//! Text from outside: what a peer, or anyone who can name a file, has written.
//!
//! Such a text may hold the escape sequences of a terminal, turn the direction of writing, or look
//! like another line of a log. [`PeerText`] carries it as it is, for programs, and can be formatted
//! only with those characters escaped and its length cut: every string of a message that a person
//! may read has this type. Text that is plain for another reason is formatted with [`shown`].

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// Characters of a text that [`PeerText`]'s `Display` shows at most.
pub const MAX_SHOWN_CHARS: usize = 500;

/// A text that a peer has written. `Display` and `Debug` show it escaped and cut.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerText(String);

impl PeerText {
    /// The text as it came, for programs: not for a terminal or a log.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Returns the text as it came, for programs.
    pub fn into_raw(self) -> String {
        self.0
    }

    /// Formats the text where at most `max_chars` characters have room.
    pub fn brief(&self, max_chars: usize) -> Shown<'_> {
        shown(&self.0, max_chars)
    }
}

impl From<String> for PeerText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for PeerText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.brief(MAX_SHOWN_CHARS).fmt(f)
    }
}

impl fmt::Debug for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.brief(MAX_SHOWN_CHARS), f)
    }
}

/// Text from outside, as a person may see it: see [`shown`].
#[derive(Copy, Clone)]
pub struct Shown<'a> {
    text: &'a str,
    max_chars: usize,
}

/// Formats text from outside: characters that do more than stand there are escaped as in
/// `\u{1b}`, and what is behind `max_chars` characters is cut off.
pub const fn shown(text: &str, max_chars: usize) -> Shown<'_> {
    Shown { text, max_chars }
}

impl Shown<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, quote: Option<char>) -> fmt::Result {
        let mut chars = self.text.chars();
        for c in chars.by_ref().take(self.max_chars) {
            if is_harmful(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else if quote == Some(c) {
                write!(f, "\\{c}")?;
            } else {
                f.write_char(c)?;
            }
        }
        match chars.next() {
            Some(_) => f.write_char('…'),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

/// Formats the text in quotation marks.
impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.write(f, Some('"'))?;
        f.write_char('"')
    }
}

/// Escapes a JSON text so that it is as harmless as [`shown`] text, and the same to a parser.
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        // A line break can only stand between two tokens: inside of strings it is escaped already.
        if c == '\n' || !is_harmful(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

/// Returns true for characters that do more than stand in their place: those of Unicode's general
/// categories Cc (control, C0 and C1), Cf (format: direction of writing, zero width, tags), Zl and
/// Zp (line and paragraph separators).
const fn is_harmful(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_more_than_stand_there_is_escaped() {
        let text = PeerText::from("a\u{1b}[2J\u{9b}\u{202e}\r\nb\\\"c");
        let escaped = "a\\u{1b}[2J\\u{9b}\\u{202e}\\u{d}\\u{a}b\\";
        assert_eq!(text.to_string(), format!("{escaped}\"c"));
        assert_eq!(format!("{text:?}"), format!("\"{escaped}\\\"c\""));
        assert_eq!(text.raw(), "a\u{1b}[2J\u{9b}\u{202e}\r\nb\\\"c");
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        for text in [
            "grüße.txt",
            "e\u{301}",
            "日本語",
            "שלום",
            "नमस्ते",
            "👍🏽",
            "a b\u{a0}c",
        ] {
            assert_eq!(PeerText::from(text).to_string(), text);
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = PeerText::from("é".repeat(600));
        assert_eq!(text.to_string(), format!("{}…", "é".repeat(500)));
        assert_eq!(text.brief(2).to_string(), "éé…");
        assert_eq!(PeerText::from("ab").brief(2).to_string(), "ab");
    }

    proptest! {
        /// The standard library's own idea of a printable character, by its `Debug`, is the
        /// reference: nothing that it escapes as a control or format character may pass.
        #[test]
        fn no_character_that_the_standard_library_calls_a_control_passes(text in any::<String>()) {
            let escaped = PeerText::from(text).to_string();
            prop_assert!(!escaped.chars().any(char::is_control), "{escaped:?}");
        }

        #[test]
        fn escaped_json_is_the_same_to_a_parser(text in any::<String>()) {
            let json = serde_json::json!({ "text": text, "more": [1, "\u{e0041}"] });
            for json_text in [json.to_string(), format!("{json:#}")] {
                let escaped = escape_json(&json_text);
                prop_assert!(!escaped.chars().any(|c| c != '\n' && is_harmful(c)));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), &json);
            }
        }
    }

    #[test]
    fn every_format_character_of_the_basic_plane_is_known() {
        // Unassigned and private characters, and spaces, are escaped by Debug as well, so this
        // compares with the list of Unicode 16 in the other direction.
        for c in ('\0'..='\u{10ffff}').filter(|&c| is_harmful(c)) {
            let debug = format!("{:?}", format!("a{c}"));
            assert!(debug.contains('\\'), "{debug} is an ordinary character");
        }
    }
}
