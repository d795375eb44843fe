//! Pages of a listing that fit one message.

use crate::protocol::{Entry, Listing, MAX_MESSAGE_BYTES};

/// Entries read for one page of a listing.
pub(super) const MAX_PAGE_ENTRIES: usize = 500;

/// JSON of the entries of one page, in bytes; leaves room for the frame around them.
const MAX_PAGE_BYTES: usize = MAX_MESSAGE_BYTES - 4096;

/// Cuts a page off the front of `entries`: as many as fit one message. There is more if any are
/// left over, so one entry more than [`MAX_PAGE_ENTRIES`] is to be read.
pub(super) fn first_page(mut entries: Vec<Entry>) -> Listing {
    let found = entries.len();
    let mut room = MAX_PAGE_BYTES;
    let fits = entries.iter().take(MAX_PAGE_ENTRIES).take_while(|entry| {
        let bytes = serde_json::to_vec(entry).map_or(usize::MAX, |json| json.len() + 1);
        let fits = bytes <= room;
        room = room.saturating_sub(bytes);
        fits
    });
    let count = fits.count();
    entries.truncate(count);
    Listing {
        more: count < found,
        entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{EntryKind, LENGTH_BYTES, encode_reply};

    #[test]
    fn a_page_of_the_longest_names_fits_a_message_and_none_is_lost() {
        let name = |i: usize| format!("{i:06}{}", "\u{7f}é".repeat(83));
        let entry = |i| Entry {
            name: name(i).into(),
            kind: EntryKind::File,
            size: u64::MAX,
        };
        let mut left: Vec<Entry> = (0..1200).map(entry).collect();
        let mut pages = 0;
        while !left.is_empty() {
            let listing = first_page(left.iter().take(MAX_PAGE_ENTRIES + 1).cloned().collect());
            let count = listing.entries.len();
            assert!(count > 0);
            assert_eq!(listing.entries, left[..count]);
            assert_eq!(listing.more, count < left.len());
            assert!(encode_reply(&Ok(listing)).unwrap().len() <= MAX_MESSAGE_BYTES + LENGTH_BYTES);
            left.drain(..count);
            pages += 1;
        }
        assert!(pages > 2);
    }
}
