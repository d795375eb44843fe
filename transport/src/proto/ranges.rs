//! Sets of numbers kept as ranges: packet numbers and stream offsets.
//!
//! Half-open, sorted, disjoint and never adjacent, in a ring: what grows at the end or shrinks
//! at the front, which is nearly always, costs no search. The set never holds [`u64::MAX`].

use std::collections::VecDeque;
use std::ops::Range;

/// A set of `u64`.
#[derive(Debug)]
pub(crate) struct RangeSet {
    ranges: VecDeque<Range<u64>>,
}

impl RangeSet {
    pub(crate) const fn new() -> Self {
        Self {
            ranges: VecDeque::new(),
        }
    }

    /// Adds one number; false when the set had it already.
    pub(crate) fn insert_one(&mut self, value: u64) -> bool {
        let Some(next) = value.checked_add(1) else {
            return false;
        };
        match self.ranges.back_mut() {
            Some(last) if last.end == value => {
                last.end = next;
                true
            }
            _ => self.insert(value..next) == 1,
        }
    }

    /// Adds a range; gives how many of its numbers are new.
    pub(crate) fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        match self.ranges.back_mut() {
            Some(last) if range.start < last.start => self.insert_inside(range),
            Some(last) if range.start <= last.end => {
                let new = range.end.saturating_sub(last.end);
                last.end += new;
                new
            }
            _ => {
                let new = range.end - range.start;
                self.ranges.push_back(range);
                new
            }
        }
    }

    /// Adds a range that is not empty and begins before the last one held.
    fn insert_inside(&mut self, range: Range<u64>) -> u64 {
        let first = self.ranges.partition_point(|held| held.end < range.start);
        let mut behind = first;
        let mut merged = range.clone();
        let mut known = 0;
        while let Some(held) = self.ranges.get(behind)
            && held.start <= range.end
        {
            known += held.end.min(range.end) - held.start.max(range.start);
            merged = merged.start.min(held.start)..merged.end.max(held.end);
            behind += 1;
        }
        let new = range.end - range.start - known;
        if first == behind {
            self.ranges.insert(first, merged);
        } else {
            self.ranges[first] = merged;
            self.ranges.drain(first + 1..behind);
        }
        new
    }

    /// Removes a range; gives how many of its numbers the set had.
    pub(crate) fn remove(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let mut first = self.first_ending_after(range.start);
        let mut removed = 0;
        if let Some(held) = self.ranges.get_mut(first)
            && held.start < range.start
        {
            let tail = range.end..held.end;
            removed += held.end.min(range.end) - range.start;
            held.end = range.start;
            first += 1;
            if !tail.is_empty() {
                self.ranges.insert(first, tail);
                return removed;
            }
        }
        let mut behind = first;
        while let Some(held) = self.ranges.get_mut(behind)
            && held.start < range.end
        {
            if held.end > range.end {
                removed += range.end - held.start;
                held.start = range.end;
                break;
            }
            removed += held.end - held.start;
            behind += 1;
        }
        self.ranges.drain(first..behind);
        removed
    }

    /// Removes everything smaller than `value`.
    pub(crate) fn remove_below(&mut self, value: u64) {
        while let Some(first) = self.ranges.front_mut()
            && first.start < value
        {
            if first.end > value {
                first.start = value;
                return;
            }
            self.ranges.pop_front();
        }
    }

    pub(crate) fn contains(&self, value: u64) -> bool {
        let held = self.ranges.get(self.first_ending_after(value));
        held.is_some_and(|held| held.start <= value)
    }

    /// Tells whether a range that is not empty overlaps one of the set's or adjoins it.
    pub(crate) fn touches(&self, range: Range<u64>) -> bool {
        let first = self.ranges.partition_point(|held| held.end < range.start);
        let next = self.ranges.get(first);
        next.is_some_and(|held| held.start <= range.end)
    }

    /// The largest number.
    pub(crate) fn max(&self) -> Option<u64> {
        self.ranges.back().map(|last| last.end - 1)
    }

    /// The number of ranges.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, lowest first.
    pub(crate) fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = Range<u64>> + ExactSizeIterator + Clone {
        self.ranges.iter().cloned()
    }

    pub(crate) fn peek_first(&self) -> Option<Range<u64>> {
        self.ranges.front().cloned()
    }

    pub(crate) fn pop_first(&mut self) -> Option<Range<u64>> {
        self.ranges.pop_front()
    }

    /// Removes the lowest range, or its first `max_len` numbers if it is longer.
    pub(crate) fn pop_first_within(&mut self, max_len: u64) -> Option<Range<u64>> {
        let first = self.ranges.front_mut().filter(|_| max_len > 0)?;
        if first.end - first.start <= max_len {
            return self.ranges.pop_front();
        }
        let start = first.start;
        first.start += max_len;
        Some(start..first.start)
    }

    /// The parts of `range` that the set does not have, lowest first.
    pub(crate) fn missing_in(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let mut held = self.ranges.range(self.first_ending_after(range.start)..);
        let mut at = range.start;
        std::iter::from_fn(move || {
            while at < range.end {
                let start = at;
                match held.next() {
                    Some(held) if held.start < range.end => {
                        at = held.end;
                        if start < held.start {
                            return Some(start..held.start);
                        }
                    }
                    _ => {
                        at = range.end;
                        return Some(start..at);
                    }
                }
            }
            None
        })
    }

    /// The index of the lowest range that holds `value` or lies above it.
    fn first_ending_after(&self, value: u64) -> usize {
        match self.ranges.back() {
            Some(last) if value < last.start => {
                self.ranges.partition_point(|held| held.end <= value)
            }
            Some(last) if value < last.end => self.ranges.len() - 1,
            _ => self.ranges.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SPAN: u64 = 96;

    #[derive(Clone, Debug)]
    enum Op {
        InsertOne(u64),
        Append(u64),
        Insert(Range<u64>),
        Remove(Range<u64>),
        RemoveBelow(u64),
        PopFirst,
        PopFirstWithin(u64),
    }

    fn any_range() -> impl Strategy<Value = Range<u64>> {
        (0..SPAN, 0..24_u64).prop_map(|(start, len)| start..start + len)
    }

    fn any_op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..SPAN).prop_map(Op::InsertOne),
            2 => (0..3_u64).prop_map(Op::Append),
            4 => any_range().prop_map(Op::Insert),
            3 => any_range().prop_map(Op::Remove),
            1 => (0..SPAN).prop_map(Op::RemoveBelow),
            1 => Just(Op::PopFirst),
            1 => (0..6_u64).prop_map(Op::PopFirstWithin),
        ]
    }

    /// The runs of consecutive numbers.
    fn runs(model: &BTreeSet<u64>) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for &value in model {
            match runs.last_mut() {
                Some(last) if last.end == value => last.end += 1,
                _ => runs.push(value..value + 1),
            }
        }
        runs
    }

    /// Does the same to both and compares what they answer.
    fn apply(op: Op, set: &mut RangeSet, model: &mut BTreeSet<u64>) {
        let first = runs(model).first().cloned();
        match op {
            Op::InsertOne(value) => assert_eq!(set.insert_one(value), model.insert(value)),
            Op::Append(gap) => {
                let value = model.last().map_or(0, |last| last + 1 + gap);
                assert!(set.insert_one(value) && model.insert(value));
            }
            Op::Insert(range) => {
                let new = range.clone().filter(|&value| model.insert(value)).count();
                assert_eq!(set.insert(range), new as u64);
            }
            Op::Remove(range) => {
                let removed = range.clone().filter(|value| model.remove(value)).count();
                assert_eq!(set.remove(range), removed as u64);
            }
            Op::RemoveBelow(value) => {
                set.remove_below(value);
                *model = model.split_off(&value);
            }
            Op::PopFirst => {
                assert_eq!(set.pop_first(), first);
                first
                    .into_iter()
                    .flatten()
                    .for_each(|value| assert!(model.remove(&value)));
            }
            Op::PopFirstWithin(max) => {
                let expected = first
                    .map(|first| first.start..first.end.min(first.start + max))
                    .filter(|range| !range.is_empty());
                assert_eq!(set.pop_first_within(max), expected);
                expected
                    .into_iter()
                    .flatten()
                    .for_each(|value| assert!(model.remove(&value)));
            }
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_set_of_numbers(ops in vec(any_op(), 1..80), probe in any_range()) {
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for op in ops {
                apply(op, &mut set, &mut model);
                let runs = runs(&model);
                prop_assert_eq!(set.iter().collect::<Vec<_>>(), &runs[..]);
                prop_assert!(set.iter().rev().eq(runs.iter().rev().cloned()));
                prop_assert_eq!(set.len(), runs.len());
                prop_assert_eq!(set.is_empty(), runs.is_empty());
                prop_assert_eq!(set.max(), model.last().copied());
                prop_assert_eq!(set.peek_first(), runs.first().cloned());
                prop_assert_eq!(set.contains(probe.start), model.contains(&probe.start));
                if !probe.is_empty() {
                    let around = probe.start.saturating_sub(1)..probe.end + 1;
                    let touched = model.range(around).next().is_some();
                    prop_assert_eq!(set.touches(probe.clone()), touched);
                }
                let missing = probe.clone().filter(|v| !model.contains(v)).collect();
                let gaps: Vec<_> = set.missing_in(probe.clone()).collect();
                prop_assert_eq!(gaps, self::runs(&missing));
            }
        }
    }

    #[test]
    fn the_largest_number_of_all_is_left_out_without_a_panic() {
        let mut set = RangeSet::new();
        assert!(!set.insert_one(u64::MAX));
        assert!(set.insert_one(u64::MAX - 1));
        assert_eq!(set.max(), Some(u64::MAX - 1));
        assert!(!set.contains(u64::MAX));
    }

    #[test]
    fn consecutive_numbers_stay_one_range() {
        let mut set = RangeSet::new();
        assert!((0..10_000).all(|value| set.insert_one(value)));
        assert_eq!((set.len(), set.peek_first()), (1, Some(0..10_000)));
        assert!((0..10_000).all(|value| !set.insert_one(value)));
    }
}
