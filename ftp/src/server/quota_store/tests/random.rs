//! Random operations on one root, compared with a reference after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use super::*;

/// The space of a root by the simplest rules: what there is, what is being written, and what that
/// replaces, once.
#[derive(Default)]
struct Reference {
    files: BTreeMap<String, u64>,
    folders: BTreeSet<String>,
    /// By name and key: what is on the disk, and the size of the whole.
    partials: BTreeMap<(String, String), (u64, u64)>,
    open: Vec<Writing>,
}

/// A file that is being written.
struct Writing {
    sink: Box<dyn Sink>,
    name: String,
    key: Option<String>,
    size: u64,
    reserved: u64,
    written: u64,
    replaces: bool,
}

fn rounded(bytes: u64) -> u64 {
    bytes.next_multiple_of(UNIT)
}

impl Reference {
    fn total(&self) -> Usage {
        let replaced = self.open.iter().filter(|it| it.replaces);
        let replaced =
            replaced.filter_map(|it| Some((*self.files.get(&it.name)?).min(it.reserved)));
        let bytes = self
            .files
            .values()
            .chain(self.partials.values().map(|(held, _)| held))
            .sum::<u64>()
            + self.folders.len() as u64 * UNIT
            + self.open.iter().map(|it| it.reserved).sum::<u64>();
        let entries = self.files.len() + self.partials.len() + self.folders.len() + self.open.len();
        Usage {
            bytes: bytes - replaced.clone().sum::<u64>(),
            entries: (entries - replaced.count()) as u64,
        }
    }

    fn is_replaced(&self, name: &str) -> bool {
        self.open.iter().any(|it| it.replaces && it.name == name)
    }

    /// What a new file of so many bytes takes over from the one of this name.
    fn freed(&self, name: &str, bytes: u64) -> Usage {
        match self.files.get(name) {
            Some(&before) if !self.is_replaced(name) => Usage {
                bytes: before.min(rounded(bytes)),
                entries: 1,
            },
            _ => Usage::default(),
        }
    }

    fn is_open(&self, name: &str, key: Option<&String>) -> bool {
        let mut open = self.open.iter();
        open.any(|it| it.name == name && it.key.as_ref() == key)
    }
}

/// A run of random operations on one root.
struct Run {
    rng: ChaCha8Rng,
    quota: Quota,
    root: TempDir,
    store: Arc<dyn Store>,
    usage: QuotaUsage,
    limited: Arc<dyn Store>,
    reference: Reference,
    /// How many of each outcome, so that no rule goes untested.
    seen: BTreeMap<&'static str, u32>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bytes = (2 + u64::from(rng.next_u32()) % 8) * BLOCK_BYTES;
        let (root, store, usage, _) = limited(0);
        let quota = Quota {
            bytes,
            entries: 4 + u64::from(rng.next_u32()) % 12,
        };
        let limited = QuotaStore::wrap(&store, &usage, Some(quota));
        Self {
            rng,
            quota,
            root,
            store,
            usage,
            limited,
            reference: Reference::default(),
            seen: BTreeMap::new(),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.rng.next_u32() as usize % limit
    }

    fn see(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn fits(&self, more: Usage, less: Usage) -> bool {
        let then = self.reference.total().plus(more).minus(less);
        then.bytes <= self.quota.bytes && then.entries <= self.quota.entries
    }

    /// A put of a file, or of one in a tree: resumed if something is held.
    fn put(&mut self) {
        let (folder, file) = [
            ("", "a"),
            ("", "b"),
            ("c", "c/a"),
            ("c", "c/b"),
            ("d", "d/a"),
        ][self.below(5)];
        if !folder.is_empty() && !self.reference.folders.contains(folder) {
            let more = Usage {
                bytes: UNIT,
                entries: 1,
            };
            let fits = self.fits(more, Usage::default());
            let created = self.limited.create_folder(&name(folder), None);
            assert_eq!(created.is_ok(), fits, "folder {folder}");
            if !fits {
                return self.see("a folder that does not fit");
            }
            self.reference.folders.insert(folder.to_owned());
        }
        let is_piped = self.below(5) == 0;
        let is_large = !is_piped && self.below(2) == 0;
        let size = match (is_piped, is_large) {
            (true, _) => 0,
            (_, true) => BLOCK_BYTES + 1 + (self.below(3) as u64) * BLOCK_BYTES,
            _ => self.below(100_000) as u64,
        };
        let mut key = is_large.then(|| format!("key {}", self.below(2)));
        let (mut file, mut size) = (file.to_owned(), size);
        let partials = self.reference.partials.iter();
        let partials: Vec<_> = partials.map(|(id, held)| (id.clone(), held.1)).collect();
        if !partials.is_empty() && self.below(2) == 0 {
            let ((name, earlier), whole) = partials[self.below(partials.len())].clone();
            (file, key, size) = (name, Some(earlier), whole);
        }
        let file = &*file;
        if let Some(key) = key.clone()
            && self.resume(file, size, key)
        {
            return;
        }
        let more = Usage {
            bytes: rounded(size),
            entries: 1,
        };
        let freed = self.reference.freed(file, size);
        let fits = self.fits(more, freed);
        let options = match &key {
            Some(key) => resumable(size, key),
            None => CreateOptions::new(size, true),
        };
        let created = self.limited.create(&name(file), options);
        assert_eq!(created.is_ok(), fits, "{file} of {size}: {created:?}");
        let Ok(sink) = created else {
            return self.see("a put that does not fit");
        };
        self.see("a put that fits");
        // A second transfer of the same key is not resumable.
        let key = key.filter(|key| !self.reference.is_open(file, Some(key)));
        self.open(sink, (file, key, size), 0);
    }

    fn open(
        &mut self,
        sink: Box<dyn Sink>,
        (file, key, size): (&str, Option<String>, u64),
        written: u64,
    ) {
        self.reference.open.push(Writing {
            sink,
            key,
            size,
            reserved: rounded(size),
            written,
            replaces: self.reference.freed(file, size).entries > 0,
            name: file.to_owned(),
        });
    }

    /// Opens what is held of a file; returns false when nothing is, and a new one is to be created.
    fn resume(&mut self, file: &str, size: u64, key: String) -> bool {
        let id = (file.to_owned(), key.clone());
        let held = self.reference.partials.get(&id).map(|&(held, _)| held);
        let options = PartialOptions::new(&key, true).of_size(size);
        let opened = self.limited.open_partial(&name(file), options);
        let Some(held) = held else {
            assert!(opened.unwrap().is_none());
            return false;
        };
        let freed = self.reference.freed(file, size);
        match opened {
            Ok(Some(partial)) => {
                let more = Usage {
                    bytes: rounded(size) - held,
                    entries: 0,
                };
                assert!(self.fits(more, freed), "resumed beyond the quota");
                self.reference.partials.remove(&id);
                let written = blocks::offset(partial.hashes.len() as u64);
                self.open(partial.sink, (file, Some(key), size), written);
                self.see("a resumption that fits");
                true
            }
            // It was of another size.
            Ok(None) => {
                self.reference.partials.remove(&id);
                self.see("a partial file of another size");
                false
            }
            Err(error) => {
                assert_eq!(error.code(), Code::QuotaExceeded);
                let more = Usage {
                    bytes: rounded(size).saturating_sub(held),
                    entries: 0,
                };
                assert!(!self.fits(more, freed), "a resumption that fits is refused");
                self.see("a resumption that does not fit");
                true
            }
        }
    }

    fn write(&mut self, index: usize) {
        let more = match &self.reference.open[index] {
            it if it.size == 0 => self.below(2_000_000) as u64,
            it => BLOCK_BYTES.min(it.size - it.written),
        };
        let writing = &self.reference.open[index];
        let grown = rounded(writing.written + more).saturating_sub(writing.reserved);
        let usage = Usage {
            bytes: grown,
            entries: 0,
        };
        let replaced = self.reference.files.get(&writing.name);
        let replaced = replaced.filter(|_| writing.replaces).map_or(0, |&it| it);
        let freed = Usage {
            bytes: replaced.min(writing.reserved + grown) - replaced.min(writing.reserved),
            entries: 0,
        };
        let fits = grown == 0 || self.fits(usage, freed);
        let writing = &mut self.reference.open[index];
        let written = writing.sink.write(&BLOCK[..usize::try_from(more).unwrap()]);
        assert_eq!(written.is_ok(), fits);
        if written.is_err() {
            self.see("a pipe that does not fit");
            return self.interrupt(index);
        }
        writing.written += more;
        writing.reserved += grown;
        if writing.key.is_some() && more == BLOCK_BYTES {
            writing.sink.block_verified(BlockHash([0; 32])).unwrap();
        }
    }

    fn interrupt(&mut self, index: usize) {
        let writing = self.reference.open.swap_remove(index);
        drop(writing.sink);
        let Some(key) = writing.key.filter(|_| writing.written >= BLOCK_BYTES) else {
            return;
        };
        let left = rounded(writing.written);
        let usage = Usage {
            bytes: left,
            entries: 1,
        };
        if self.fits(usage, Usage::default()) {
            let held = (left, writing.size);
            self.reference.partials.insert((writing.name, key), held);
            self.see("an interruption that leaves something");
        } else {
            self.see("an interruption that must not leave anything");
        }
    }

    fn step(&mut self, with_deletions: bool) {
        let open = self.reference.open.len();
        match self.below(12) {
            0..=3 if open < 6 => self.put(),
            _ if open == 0 => {}
            0..=6 => {
                let index = self.below(open);
                self.write(index);
            }
            7 => {
                let index = self.below(open);
                self.interrupt(index);
            }
            8 => {
                let index = self.below(open);
                self.reference.open.swap_remove(index).sink.discard();
            }
            9 if with_deletions => {
                let names: Vec<String> = self.reference.files.keys().cloned().collect();
                if !names.is_empty() {
                    let gone = &names[self.below(names.len())];
                    fs::remove_file(self.root.path().join(gone)).unwrap();
                    self.reference.files.remove(gone);
                    self.see("a deletion");
                }
            }
            _ => {
                let index = self.below(open);
                // Only a complete file gets its name.
                while self.reference.open[index].written < self.reference.open[index].size {
                    self.write(index);
                }
                let writing = self.reference.open.swap_remove(index);
                writing.sink.commit().unwrap();
                let bytes = rounded(writing.written);
                self.reference.files.insert(writing.name, bytes);
                self.see("a commit");
            }
        }
    }

    fn check(&self, with_deletions: bool) {
        let (total, expected) = (self.usage.total(), self.reference.total());
        assert!(expected.bytes <= self.quota.bytes && expected.entries <= self.quota.entries);
        // What was deleted in another way is known from the next count on.
        let is_known = with_deletions && total.bytes >= expected.bytes;
        assert!(total == expected || is_known, "{total:?} {expected:?}");
        let replaced = self.reference.open.iter().filter(|it| it.replaces);
        let replaced = replaced.filter_map(|it| self.reference.files.get(&it.name));
        assert!(on_disk(&self.store).bytes <= self.quota.bytes + replaced.sum::<u64>());
    }
}

#[test]
fn whatever_happens_in_whatever_order_the_accounting_is_that_of_the_reference() {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..400 {
        let with_deletions = seed % 2 == 1;
        let mut run = Run::new(seed);
        let steps = std::panic::AssertUnwindSafe(|| {
            for _ in 0..60 {
                run.step(with_deletions);
                run.check(with_deletions);
            }
            while !run.reference.open.is_empty() {
                run.interrupt(0);
                run.check(with_deletions);
            }
            if !with_deletions {
                assert_eq!(run.usage.total(), on_disk(&run.store));
            }
            assert_eq!(run.reference.total(), on_disk(&run.store));
        });
        if let Err(panic) = std::panic::catch_unwind(steps) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
        for (what, count) in run.seen {
            *seen.entry(what).or_default() += count;
        }
    }
    println!("{seen:#?}");
    assert_eq!(seen.len(), 11, "{seen:#?}");
}

#[test]
fn transfers_on_many_threads_stay_within_the_quota_and_leave_the_accounting_right() {
    let (_root, store, usage, limited) = limited(4 * BLOCK_BYTES);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let limited = &limited;
            scope.spawn(move || {
                let mut rng = ChaCha8Rng::seed_from_u64(thread);
                for _ in 0..200 {
                    let file = name(["a", "b", "c"][rng.next_u32() as usize % 3]);
                    let size = BLOCK_BYTES + 1 + u64::from(rng.next_u32() % 2) * BLOCK_BYTES;
                    let key = ["x", "y"][rng.next_u32() as usize % 2];
                    let options = PartialOptions::new(key, true).of_size(size);
                    let held = limited.open_partial(&file, options);
                    let (sink, left) = match held {
                        Ok(Some(it)) => {
                            let held = blocks::offset(it.hashes.len() as u64);
                            (Ok(it.sink), size - held)
                        }
                        _ => (limited.create(&file, resumable(size, key)), size),
                    };
                    let Ok(mut sink) = sink else { continue };
                    let piece = usize::try_from(left.min(BLOCK_BYTES)).unwrap();
                    sink.write(&BLOCK[..piece]).unwrap();
                    if left > BLOCK_BYTES {
                        sink.block_verified(BlockHash([0; 32])).unwrap();
                    }
                    match rng.next_u32() % 4 {
                        0 => sink.discard(),
                        1 => drop(sink),
                        _ => drop(sink.commit().unwrap()),
                    }
                }
            });
        }
    });
    let left = on_disk(&store);
    assert_eq!(usage.total(), left);
    assert!(left.bytes <= 4 * BLOCK_BYTES);
}
