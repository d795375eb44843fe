//! Payload buffers for reuse.

/// A size that most datagrams fit in. Smaller ones get as much, so that any buffer serves any of
/// them.
const BUFFER_BYTES: usize = 2048;

/// Buffers kept: 32 MiB, a fast long path's packets in flight.
const BUFFERS_MAX: usize = 16_384;

#[derive(Default)]
pub(super) struct Pool {
    buffers: Vec<Vec<u8>>,
}

impl Pool {
    /// A buffer with these contents.
    pub(super) fn filled(&mut self, contents: &[u8]) -> Vec<u8> {
        let mut buffer = self
            .buffers
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(contents.len().max(BUFFER_BYTES)));
        buffer.extend_from_slice(contents);
        buffer
    }

    /// Takes a buffer back; drops one of an unusual size.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        // Large ones are not kept: sixteen thousand of them would be a gigabyte.
        if self.buffers.len() < BUFFERS_MAX
            && (BUFFER_BYTES..=2 * BUFFER_BYTES).contains(&buffer.capacity())
        {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}
