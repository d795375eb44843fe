//! The packet logs, each written by a thread of its own: the proxy does not wait for disks.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{SystemTime, UNIX_EPOCH},
};

use lftp_netem::{pcapng::PcapngWriter, proxy::OnRecords, record::PacketRecord};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct PacketLogArgs {
    /// Write the outcome of every packet (delivered, lost, dropped) to this file, as CSV.
    #[arg(long, value_name = "FILE")]
    packets: Option<PathBuf>,
    /// Write every packet to this file in the format of Wireshark, with its contents and with its
    /// outcome as a comment.
    #[arg(long, value_name = "FILE")]
    pcapng: Option<PathBuf>,
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the packets to {}: {source}", path.display())]
pub(crate) struct PacketLogError {
    path: PathBuf,
    source: io::Error,
}

type Batch = Arc<[PacketRecord]>;

/// The files that are being written.
pub(crate) struct PacketLogs {
    writers: Vec<(PathBuf, JoinHandle<io::Result<()>>)>,
}

impl PacketLogArgs {
    /// True when a log needs the contents of packets in their records.
    pub(crate) const fn needs_contents(&self) -> bool {
        self.pcapng.is_some()
    }

    /// Creates the files and the callback that takes the records, `None` when there is no file.
    pub(crate) fn create(&self) -> Result<(PacketLogs, Option<OnRecords>), PacketLogError> {
        let mut files = PacketLogs {
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
                // A writer that failed reports its error from `finish`.
                let _ = sender.send(Arc::clone(&batch));
            }
        };
        let any = !files.writers.is_empty();
        Ok((files, any.then(|| Box::new(on_records) as OnRecords)))
    }
}

impl PacketLogs {
    fn start(
        &mut self,
        path: &Path,
        write: impl FnOnce(BufWriter<File>, mpsc::Receiver<Batch>) -> io::Result<()> + Send + 'static,
    ) -> Result<mpsc::Sender<Batch>, PacketLogError> {
        let failed = |source| PacketLogError {
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

    /// Waits until everything is written. The proxy must have stopped.
    pub(crate) fn finish(self) -> Result<(), PacketLogError> {
        for (path, writer) in self.writers {
            match writer.join() {
                Ok(result) => result.map_err(|source| PacketLogError { path, source })?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a capture in real time holds its wall-clock time"
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
