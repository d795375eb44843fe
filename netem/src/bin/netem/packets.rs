//! The files of packet records, each written by a thread of its own: the proxy does not wait for
//! disks.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{SystemTime, UNIX_EPOCH},
};

use lftp_netem::{pcapng::PcapngWriter, proxy::OnRecords, record::PacketRecord};

/// Where the packets' fates are to be written.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Wanted {
    /// Write what became of every packet to this file, as CSV.
    #[arg(long, value_name = "FILE")]
    packets: Option<PathBuf>,
    /// Write every packet, with its contents and in a comment what became of it, to this file,
    /// for Wireshark.
    #[arg(long, value_name = "FILE")]
    pcapng: Option<PathBuf>,
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the packets to {}: {source}", path.display())]
pub(crate) struct PacketsError {
    path: PathBuf,
    source: io::Error,
}

type Batch = Arc<[PacketRecord]>;

/// The files being written.
pub(crate) struct PacketFiles {
    writers: Vec<(PathBuf, JoinHandle<io::Result<()>>)>,
}

impl Wanted {
    /// Are packets to have their contents in their records?
    pub(crate) const fn contents(&self) -> bool {
        self.pcapng.is_some()
    }

    /// Creates the files, and what is to be given the records, if there are any.
    pub(crate) fn create(&self) -> Result<(PacketFiles, Option<OnRecords>), PacketsError> {
        let mut files = PacketFiles {
            writers: Vec::new(),
        };
        let mut senders = Vec::new();
        if let Some(path) = &self.packets {
            senders.push(files.start(path, write_csv)?);
        }
        if let Some(path) = &self.pcapng {
            let epoch_ns = wall_ns();
            senders.push(files.start(path, move |file, batches| {
                write_pcapng(file, epoch_ns, batches)
            })?);
        }
        let on_records = move |records: &[PacketRecord]| {
            let batch = Batch::from(records);
            for sender in &senders {
                // A writer that gave up says why when it is asked to finish.
                let _ = sender.send(Arc::clone(&batch));
            }
        };
        let any = !files.writers.is_empty();
        Ok((files, any.then(|| Box::new(on_records) as OnRecords)))
    }
}

impl PacketFiles {
    fn start(
        &mut self,
        path: &Path,
        write: impl FnOnce(BufWriter<File>, mpsc::Receiver<Batch>) -> io::Result<()> + Send + 'static,
    ) -> Result<mpsc::Sender<Batch>, PacketsError> {
        let failed = |source| PacketsError {
            path: path.to_owned(),
            source,
        };
        let file = BufWriter::new(File::create(path).map_err(failed)?);
        let (sender, batches) = mpsc::channel();
        let writer = thread::Builder::new()
            .name("netem-packets".to_owned())
            .spawn(move || write(file, batches))
            .map_err(failed)?;
        self.writers.push((path.to_owned(), writer));
        Ok(sender)
    }

    /// Waits until all is written. The proxy must have stopped.
    pub(crate) fn finish(self) -> Result<(), PacketsError> {
        for (path, writer) in self.writers {
            match writer.join() {
                Ok(result) => result.map_err(|source| PacketsError { path, source })?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a capture in real time says when it was made"
)]
fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

fn write_csv(mut file: impl Write, batches: mpsc::Receiver<Batch>) -> io::Result<()> {
    writeln!(file, "{}", PacketRecord::CSV_HEADER)?;
    for batch in batches {
        for record in &*batch {
            record.write_csv(&mut file)?;
        }
    }
    file.flush()
}

fn write_pcapng(file: impl Write, epoch_ns: u64, batches: mpsc::Receiver<Batch>) -> io::Result<()> {
    let mut pcapng = PcapngWriter::new(file, epoch_ns)?;
    for batch in batches {
        for record in &*batch {
            pcapng.write(record)?;
        }
    }
    pcapng.finish()?;
    Ok(())
}
