//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
//! IEEE Transactions on Software Engineering 28(2), 2002, algorithm ddmin).

use super::{Recording, RecordingEntry};

impl Recording {
    /// Returns the least recording ddmin finds for which `fails` still returns `true`: without any
    /// one of its entries it returns `false`. `None` if it returns `false` for the whole recording.
    ///
    /// `fails` should be deterministic, such as a run in the virtual world. It is called about
    /// `n log n` times if one entry of `n` is to blame, and `n^2` times at the worst.
    pub fn shrink(&self, mut fails: impl FnMut(&Self) -> bool) -> Option<Self> {
        if !fails(self) {
            return None;
        }
        if fails(&Self::default()) {
            return Some(Self::default());
        }
        let mut recording = self.clone();
        let mut parts = 2;
        while recording.entries.len() > 1 {
            parts = parts.min(recording.entries.len());
            // ddmin: first the parts, then their complements, then finer parts.
            if let Some((less, next)) = recording.reduced(parts, &mut fails) {
                (recording, parts) = (less, next);
            } else if parts == recording.entries.len() {
                break;
            } else {
                parts *= 2;
            }
        }
        Some(recording)
    }

    /// Returns a part, or all but a part, with which it still fails, and the number of parts to cut
    /// it into next.
    fn reduced(
        &self,
        parts: usize,
        fails: &mut impl FnMut(&Self) -> bool,
    ) -> Option<(Self, usize)> {
        let all = &self.entries;
        let bounds: Vec<usize> = (0..=parts).map(|part| all.len() * part / parts).collect();
        let recording = |entries: &[&[RecordingEntry]]| Self {
            entries: entries.concat(),
        };
        let alone = bounds
            .windows(2)
            .map(|pair| recording(&[&all[pair[0]..pair[1]]]));
        if let Some(part) = alone.into_iter().find(|part| fails(part)) {
            return Some((part, 2));
        }
        // Not with two parts: each is the other's complement, and has been tried.
        let without = bounds
            .windows(2)
            .map(|pair| recording(&[&all[..pair[0]], &all[pair[1]..]]));
        let rest = without.into_iter().find(|rest| parts > 2 && fails(rest))?;
        Some((rest, parts - 1))
    }
}
