//! The life of a connection, from the SYN to the moment it can be forgotten.

use super::error::ConnectionError;
use super::handshake::ClientHandshake;

/// The stage of a connection's life. A connection moves down this list and never back.
#[derive(Debug)]
pub(super) enum State {
    /// A client that waits for the server's SYN/ACK.
    Connecting(Box<ClientHandshake>),
    Established,
    /// Ended by this side: late packets are answered with RESET (RFC 9000 §10.2.1).
    Closing {
        reason: u32,
        /// A RESET is due.
        answer: bool,
    },
    /// Ended by the peer or by silence, or both FINs have arrived: nothing more is sent.
    Drained,
}

/// State, reason of the end, and what both sides' applications have come to.
#[derive(Debug)]
pub(super) struct Lifecycle {
    state: State,
    error: Option<ConnectionError>,
    /// The handshake was completed, whatever followed.
    was_established: bool,
    /// The application neither reads nor writes any more.
    is_abandoned: bool,
}

impl Lifecycle {
    pub(super) const fn established() -> Self {
        Self {
            state: State::Established,
            error: None,
            was_established: false,
            is_abandoned: false,
        }
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    pub(super) const fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    pub(super) const fn is_drained(&self) -> bool {
        matches!(self.state, State::Drained)
    }

    /// The handshake of a client that waits for its answer.
    pub(super) const fn handshake_mut(&mut self) -> Option<&mut ClientHandshake> {
        match &mut self.state {
            State::Connecting(handshake) => Some(handshake),
            _ => None,
        }
    }

    pub(super) fn start_connecting(&mut self, handshake: ClientHandshake) {
        self.state = State::Connecting(Box::new(handshake));
    }

    pub(super) fn establish(&mut self) {
        debug_assert!(
            matches!(self.state, State::Connecting(_) | State::Established),
            "only a handshake establishes a connection"
        );
        self.state = State::Established;
        self.was_established = true;
    }

    /// Ends the connection from this side; the peer is to be told `reason`.
    pub(super) fn close(&mut self, reason: u32) {
        debug_assert!(
            !self.is_drained(),
            "a drained connection has nothing to say"
        );
        self.state = State::Closing {
            reason,
            answer: true,
        };
    }

    /// Sets whether a closing connection owes the peer a RESET.
    pub(super) const fn set_answer(&mut self, due: bool) {
        if let State::Closing { answer, .. } = &mut self.state {
            *answer = due;
        }
    }

    pub(super) fn drain(&mut self) {
        self.state = State::Drained;
    }

    pub(super) const fn error(&self) -> Option<ConnectionError> {
        self.error
    }

    /// Records why the connection ends, unless a reason is known already.
    pub(super) fn set_error(&mut self, error: ConnectionError) {
        self.error.get_or_insert(error);
    }

    /// Records a reason that explains more than the one known so far.
    pub(super) const fn replace_error(&mut self, error: ConnectionError) {
        self.error = Some(error);
    }

    pub(super) const fn was_established(&self) -> bool {
        self.was_established
    }

    pub(super) const fn is_abandoned(&self) -> bool {
        self.is_abandoned
    }

    pub(super) const fn abandon(&mut self) {
        self.is_abandoned = true;
    }
}
