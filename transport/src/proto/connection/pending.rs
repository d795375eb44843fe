//! What waits to be sent or told: frames for the next packet, events for the application.

/// Frames that the next packet carries beside data.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct PendingFrames {
    pub(super) ping: bool,
    pub(super) rwnd: bool,
    pub(super) rwnd_check: bool,
    /// The token of a challenge to respond to.
    pub(super) response: Option<u64>,
    /// Probe packets that may ignore window and pacing.
    pub(super) probes: u8,
}

impl PendingFrames {
    /// Tells whether there is a frame worth a packet without data.
    pub(super) const fn has_control(&self) -> bool {
        self.ping || self.rwnd || self.rwnd_check || self.response.is_some()
    }

    /// Takes the frames for a packet; probes stay.
    pub(super) fn take_control(&mut self) -> Self {
        let probes = self.probes;
        std::mem::replace(
            self,
            Self {
                probes,
                ..Self::default()
            },
        )
    }
}

/// Events that the application has not been told of.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct PendingEvents {
    pub(crate) established: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) finished: bool,
    pub(crate) closed: bool,
}
