//! The events that a recording of random impairments consists of.

/// An event that a random impairment causes for one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ImpairmentEvent {
    /// Lost, independently of its neighbours.
    Lost,
    /// Lost in a burst.
    LostBurst,
    /// Duplicated.
    Duplicate,
    /// This bit of the payload flipped; one beyond its end is ignored.
    Flip(u64),
    /// The payload cut to this many bytes.
    Cut(u64),
    /// Changed by an impairment of this name, which knows what the value means.
    Other(&'static str, u64),
    /// On the wire for this many nanoseconds rather than for the fixed delay.
    Delay(u64),
}
