//! The file of packet records, written by a thread of its own: the proxy does not wait for disks.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use lftp_netem::{proxy::OnRecords, record::PacketRecord};

/// A file being written.
pub(crate) struct PacketFile {
    writer: JoinHandle<io::Result<()>>,
}

impl PacketFile {
    /// Creates the file, and what is to be given the records.
    pub(crate) fn create(path: &Path) -> io::Result<(Self, OnRecords)> {
        let file = BufWriter::new(File::create(path)?);
        let (sender, batches) = mpsc::channel::<Vec<PacketRecord>>();
        let writer = thread::Builder::new()
            .name("netem-packets".to_owned())
            .spawn(move || write(file, batches))?;
        let on_records = Box::new(move |records: &[PacketRecord]| {
            // A writer that gave up says why when it is asked to finish.
            let _ = sender.send(records.to_vec());
        });
        Ok((Self { writer }, on_records))
    }

    /// Waits until all is written. The proxy must have stopped.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.writer.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn write(mut file: impl Write, batches: mpsc::Receiver<Vec<PacketRecord>>) -> io::Result<()> {
    writeln!(file, "{}", PacketRecord::CSV_HEADER)?;
    for batch in batches {
        for record in batch {
            record.write_csv(&mut file)?;
        }
    }
    file.flush()
}
