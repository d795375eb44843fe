//! Pages of a listing: each fits one message, and many come from one pass over the folder.

use std::collections::VecDeque;
use std::time::Duration;

use lftp_transport::Time;

use crate::protocol::{Entry, Listing, MAX_MESSAGE_BYTES, Name};
use crate::store::{Store, StoreError};

/// Entries of one page at most.
const MAX_PAGE_ENTRIES: usize = 500;

/// JSON of the entries of one page, in bytes; leaves room for the frame around them.
const MAX_PAGE_BYTES: usize = MAX_MESSAGE_BYTES - 4096;

/// Entries read in one pass over a folder. A folder is read as a whole for every pass, however few
/// of its entries are wanted.
const PASS_ENTRIES: usize = 8_000;

/// Memory of the entries that wait for the next page, in bytes.
const PASS_BYTES: usize = 512 << 10;

/// Memory of an entry besides its name, in bytes, in round figures.
const ENTRY_BYTES: usize = 64;

/// Age at which a pass is too old to serve another page.
const MAX_AGE: Duration = Duration::from_secs(30);

/// What is left of one pass over a folder, for the pages that the client asks for next.
#[derive(Debug)]
pub(super) struct ListingPass {
    folder: Option<Name>,
    /// Name behind which the entries continue.
    after: Option<String>,
    entries: VecDeque<Entry>,
    /// Whether the folder has entries behind these.
    more: bool,
    taken_at: Time,
}

impl ListingPass {
    /// Reads the entries of a folder that come after a name. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Store::list`].
    pub(super) fn read(
        store: &dyn Store,
        folder: Option<Name>,
        after: Option<String>,
        now: Time,
    ) -> Result<Self, StoreError> {
        let mut entries = store.list(folder.as_ref(), after.as_deref(), PASS_ENTRIES)?;
        let mut more = entries.len() == PASS_ENTRIES;
        let mut room = PASS_BYTES;
        let fits = entries.iter().take_while(|entry| {
            let bytes = entry.name.raw().len() + ENTRY_BYTES;
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
        let count = fits.count();
        more |= count < entries.len();
        entries.truncate(count);
        entries.shrink_to_fit();
        Ok(Self {
            folder,
            after,
            entries: entries.into(),
            more,
            taken_at: now,
        })
    }

    /// Returns whether the next page is the one asked for. An old pass serves none: the folder may
    /// be another by now.
    pub(super) fn serves(&self, folder: Option<&Name>, after: Option<&str>, now: Time) -> bool {
        !self.entries.is_empty()
            && self.folder.as_ref() == folder
            && self.after.as_deref() == after
            && now.saturating_since(self.taken_at) < MAX_AGE
    }

    /// Takes the next page: as many entries as fit one message.
    pub(super) fn next_page(&mut self) -> Listing {
        let mut room = MAX_PAGE_BYTES;
        let first = self.entries.iter().take(MAX_PAGE_ENTRIES);
        let fits = first.take_while(|entry| {
            let bytes = serde_json::to_vec(entry).map_or(usize::MAX, |json| json.len() + 1);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
        let count = fits.count();
        let entries: Vec<Entry> = self.entries.drain(..count).collect();
        let last = entries.last();
        self.after = last.map(|last| last.name.raw().to_owned());
        Listing {
            more: self.more || !self.entries.is_empty(),
            entries,
        }
    }

    /// Returns true once every entry was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{EntryKind, LENGTH_BYTES, encode_reply};
    use crate::store::MemStore;

    /// Asks for page after page, as a client does; returns the names, pages and passes.
    fn list(store: &dyn Store) -> (Vec<String>, usize, usize) {
        let (mut names, mut pages, mut passes) = (Vec::<String>::new(), 0, 0);
        let mut pass: Option<ListingPass> = None;
        loop {
            let after = names.last().cloned();
            let kept = pass
                .take()
                .filter(|pass| pass.serves(None, after.as_deref(), Time::ZERO));
            let mut current = kept.unwrap_or_else(|| {
                passes += 1;
                ListingPass::read(store, None, after, Time::ZERO).unwrap()
            });
            let listing = current.next_page();
            pages += 1;
            let more = listing.more;
            assert!(!listing.entries.is_empty() || !more);
            names.extend(listing.entries.iter().map(|e| e.name.raw().to_owned()));
            assert!(encode_reply(&Ok(listing)).unwrap().len() <= MAX_MESSAGE_BYTES + LENGTH_BYTES);
            pass = Some(current);
            if !more {
                return (names, pages, passes);
            }
        }
    }

    #[test]
    fn a_page_of_the_longest_names_fits_a_message_and_none_is_lost() {
        let store = MemStore::new();
        let name = |i: usize| format!("{i:06}{}", "\u{ad}é".repeat(62));
        let names: Vec<String> = (0..1200).map(name).collect();
        for name in &names {
            store.insert(&Name::parse(name).unwrap(), "");
        }
        let (listed, pages, passes) = list(&store);
        assert_eq!(listed, names);
        assert!(pages > 4 && passes == 1, "{pages} pages, {passes} passes");
    }

    #[test]
    fn many_pages_come_from_one_pass() {
        let store = MemStore::new();
        let names: Vec<String> = (0..20_000).map(|i| format!("{i:05}")).collect();
        for name in &names {
            store.insert(&Name::parse(name).unwrap(), "");
        }
        let (listed, pages, passes) = list(&store);
        assert_eq!(listed, names);
        assert!(pages >= 40 && passes <= 4, "{pages} pages, {passes} passes");
    }

    #[test]
    fn a_pass_serves_the_page_that_follows_and_no_other() {
        let store = MemStore::new();
        for i in 0..1000 {
            store.insert(&Name::parse(&format!("{i:04}")).unwrap(), "");
        }
        let mut pass = ListingPass::read(&store, None, None, Time::ZERO).unwrap();
        assert!(pass.serves(None, None, Time::ZERO));
        pass.next_page();
        assert!(!pass.serves(None, None, Time::ZERO));
        assert!(pass.serves(None, Some("0499"), Time::ZERO));
        assert!(!pass.serves(None, Some("0498"), Time::ZERO));
        let folder = Name::parse("folder").unwrap();
        assert!(!pass.serves(Some(&folder), Some("0499"), Time::ZERO));
        assert!(!pass.serves(None, Some("0499"), Time::ZERO + MAX_AGE));
        pass.next_page();
        assert!(pass.is_empty());
    }

    #[test]
    fn what_waits_for_the_next_page_is_bounded_in_bytes() {
        let store = MemStore::new();
        for i in 0..6000 {
            let name = format!("{i:04}{}", "x".repeat(250));
            store.insert(&Name::parse(&name).unwrap(), "");
        }
        let pass = ListingPass::read(&store, None, None, Time::ZERO).unwrap();
        let bytes = pass.entries.iter().map(|entry| entry.name.raw().len());
        assert!(bytes.sum::<usize>() <= PASS_BYTES);
        assert!(pass.more);
        let entry = &pass.entries[0];
        assert_eq!(entry.kind, EntryKind::File);
    }
}
