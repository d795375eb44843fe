//! The sending half of the stream: the bytes kept until they are acknowledged, how far the
//! peer lets them go, and the pace at which they leave.
//!
//! Change here which bytes go next and how bursts are spaced. The room knows neither packets
//! nor connections; it relies on [`ranges`](super::ranges) alone.
//!
//! | file | content |
//! |---|---|
//! | [`stream`] | the sending half, as a connection sees it |
//! | [`buffer`] | written bytes: acknowledged, lost, in flight, unsent |
//! | [`window`] | flow control: the peer's limit |
//! | [`pacing`] | a token bucket at the controller's rate |

mod buffer;
mod pacing;
mod stream;
mod window;

#[cfg(test)]
pub(super) use buffer::SendBuffer;
pub(super) use pacing::Pacer;
pub(super) use stream::SendStream;
