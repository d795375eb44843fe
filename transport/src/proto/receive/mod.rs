//! The receiving half: the stream put together again, the window offered for it, and the
//! acknowledgement of packets.
//!
//! Change here how received bytes are kept, how the window grows and when an acknowledgement
//! is due. The room knows nothing of the sending half or of connections; it relies on
//! [`ranges`](super::ranges) and on `wire`.
//!
//! | file | content |
//! |---|---|
//! | [`stream`] | the receiving half, as a connection sees it |
//! | [`assembler`] | received bytes in their places, until they are read |
//! | [`window`] | flow control: the limit offered to the peer |
//! | [`ack`] | packet numbers received, and when to acknowledge them |

mod ack;
mod assembler;
mod stream;
mod window;

pub(super) use ack::AckState;
pub(super) use stream::ReceiveStream;
