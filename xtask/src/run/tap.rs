//! Recordings and captures of a run's links.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lftp_netem::pcapng::PcapngWriter;
use lftp_netem::record::PacketRecord;
use lftp_netem::recording::Recording;
use lftp_netem::world::Links;

/// A recording to replay, a recording to write, and a capture; by default none of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    /// The losses and delays to replay, instead of those of the seed.
    pub replay: Option<GivenRecording>,
    /// The destination of this run's recording.
    pub written: Option<Arc<Mutex<Recording>>>,
    /// The destination of all packets.
    pub capture: Option<Capture>,
}

/// The user's recording.
#[derive(Clone, Debug)]
pub(crate) struct GivenRecording {
    /// The path as given.
    pub path: String,
    /// Its contents.
    pub recording: Arc<Recording>,
}

impl Tap {
    /// Prepares the links before a run in virtual time.
    pub(crate) fn attach(&self, links: &Links) {
        if let Some(given) = &self.replay {
            links.replay(&given.recording);
        }
        // Only on demand: a recording holds an entry for each lost packet.
        links.record_events(self.written.is_some());
        links.keep_payloads(self.capture.is_some());
    }

    /// Takes the recording from the links after the run.
    pub(crate) fn detach(&self, links: &Links) {
        if let Some(written) = &self.written {
            *written.lock().unwrap_or_else(PoisonError::into_inner) = links.take_recording();
        }
    }

    /// Writes packets to the capture.
    pub(crate) fn records(&self, records: &[PacketRecord]) {
        if let Some(capture) = &self.capture {
            capture.write(records);
        }
    }
}

/// A capture being written. An error is kept until [`Capture::finish`].
#[derive(Clone)]
pub(crate) struct Capture(Arc<Mutex<Result<Writer, io::Error>>>);

type Writer = PcapngWriter<BufWriter<File>>;

impl Capture {
    /// Creates the file; `epoch_ns` is the time of the run's start, since 1970.
    pub(crate) fn create(path: &Path, epoch_ns: u64) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        let writer = PcapngWriter::new(file, epoch_ns)?;
        Ok(Self(Arc::new(Mutex::new(Ok(writer)))))
    }

    fn write(&self, records: &[PacketRecord]) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            // After an error nothing more is written: the run goes on, and the error is reported at
            // its end.
            let Ok(out) = writer.as_mut() else {
                return;
            };
            if let Err(error) = out.write(record) {
                *writer = Err(error);
            }
        }
    }

    /// Writes the rest, or returns the first error.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = Err(io::Error::other("the capture is finished"));
        std::mem::replace(&mut *writer, over)?.finish()?;
        Ok(())
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}
