//! The receiver of a tree.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use blake3::Hash;
use bytes::{Bytes, BytesMut};
use lftp_transport::{Runtime, Stream, spawn_blocking};
use tokio::sync::oneshot;

use super::commit::{PendingFile, commit};
use super::null_sink::NullSink;
use super::select::{FileSelector, WantedFile};
use super::small::{BATCH_BYTES, BATCH_FILES, SMALL_BYTES};
use crate::protocol::blocks::{self, BLOCK_BYTES};
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{
    self, Answer, FileHeader, MessageError, Page, TreeSummary, Verified, WantedEntry,
};
use crate::store::{Sink, StoreError};
use crate::transfer::error::ReceiveError;
use crate::transfer::progress::Progress;
use crate::transfer::receive::{ReceivePlan, fill, read_hash, receive_file};
use crate::transfer::resume;
use crate::transfer::watchdog::Watchdog;

/// Receives the wanted files of a tree. `reports_files`: verified bytes are reported to the sender.
pub(crate) async fn receive_tree(
    runtime: &Arc<dyn Runtime>,
    stream: &mut Stream,
    selector: FileSelector,
    watchdog: &mut Watchdog,
    progress: &dyn Progress,
    reports_files: bool,
) -> Result<TreeSummary, ReceiveError> {
    let mut receiver = TreeReceiver {
        runtime,
        selector,
        pending: Vec::new(),
        pending_bytes: 0,
        committing: None,
        progress,
        arrived: 0,
        committed: 0,
        reported: 0,
        offered: 0,
        reports_files,
    };
    receiver.start().await?;
    let mut pages: VecDeque<Vec<WantedFile>> = VecDeque::new();
    let mut is_last = false;
    loop {
        // One page is answered ahead of the files of the one before, so that the sender never
        // waits a round trip between two pages.
        while !is_last && pages.len() < 2 {
            let page: Page = watchdog
                .step(channel::read_message(stream))
                .await
                .map_err(ChannelError::from)??;
            is_last = page.last;
            pages.push_back(receiver.answer_page(stream, page).await?);
        }
        let Some(page) = pages.pop_front() else { break };
        for wanted in page {
            receiver.receive_one(stream, watchdog, wanted).await?;
        }
        receiver.start_commit().await?;
        receiver.report(stream, watchdog).await?;
    }
    receiver.finish_commit().await?;
    receiver.report(stream, watchdog).await?;
    Ok(receiver.selector.summary)
}

/// The end of a commit on a blocking thread: the selector it worked with, and its result.
type CommitTask = oneshot::Receiver<(FileSelector, Result<(), StoreError>)>;

struct TreeReceiver<'a> {
    runtime: &'a Arc<dyn Runtime>,
    /// On a blocking thread during a commit; an empty one takes its place then.
    selector: FileSelector,
    pending: Vec<PendingFile>,
    /// Bytes of the small pending files, which are in memory.
    pending_bytes: u64,
    /// A group that gets its names while the next one arrives, and the bytes verified with it.
    committing: Option<(CommitTask, u64)>,
    progress: &'a dyn Progress,
    /// Bytes of the tree that have arrived.
    arrived: u64,
    /// Bytes whose files have their names.
    committed: u64,
    /// Bytes that have been reported to the sender.
    reported: u64,
    /// Bytes of all files wanted so far.
    offered: u64,
    reports_files: bool,
}

impl TreeReceiver<'_> {
    /// Runs a job with the selector off the async thread.
    async fn with_selector<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut FileSelector) -> T + Send + 'static,
    ) -> Result<T, ReceiveError> {
        self.finish_commit().await?;
        let mut selector = self.take_selector();
        let (selector, output) = spawn_blocking(&**self.runtime, move || {
            let output = job(&mut selector);
            (selector, output)
        })
        .await;
        self.selector = selector;
        Ok(output)
    }

    fn take_selector(&mut self) -> FileSelector {
        // Something has to stand here meanwhile; it can write nothing.
        let empty = FileSelector::new(self.selector.target.inert());
        std::mem::replace(&mut self.selector, empty)
    }

    async fn start(&mut self) -> Result<(), ReceiveError> {
        let started = self.with_selector(|selector| selector.start()).await?;
        started.map_err(ReceiveError::Store)
    }

    async fn answer_page(
        &mut self,
        stream: &mut Stream,
        page: Page,
    ) -> Result<Vec<WantedFile>, ReceiveError> {
        // The sender's own limit: more would be held in memory for one message.
        if page.entries.len() > protocol::MAX_PAGE_FILES {
            return Err(out_of_place("a page that is too long").into());
        }
        let mut wanted = self
            .with_selector(move |selector| selector.select(page))
            .await?;
        // The sender may name any sizes: their sum need not fit.
        for file in &wanted {
            self.offered = self.offered.saturating_add(file.entry.size.unwrap_or(0));
        }
        self.progress.grow(self.offered);
        // A dry run wants nothing, and counts what it would have wanted.
        if self.selector.target.dry_run {
            for file in wanted.drain(..) {
                self.selector.summary.files += 1;
                let bytes = &mut self.selector.summary.bytes;
                *bytes = bytes.saturating_add(file.entry.size.unwrap_or(0));
            }
        }
        let want = wanted.iter().map(|file| WantedEntry {
            index: file.index,
            held: file
                .partial
                .as_ref()
                .and_then(|partial| resume::held_of(&**self.runtime, partial)),
        });
        let answer = Answer {
            want: want.collect(),
        };
        let answer = protocol::encode(&answer).map_err(ChannelError::from)?;
        channel::write(stream, answer).await?;
        Ok(wanted)
    }

    async fn receive_one(
        &mut self,
        stream: &mut Stream,
        watchdog: &mut Watchdog,
        wanted: WantedFile,
    ) -> Result<(), ReceiveError> {
        let header: FileHeader = watchdog
            .step(channel::read_message(stream))
            .await
            .map_err(ChannelError::from)??;
        // Files come in the order in which they were wanted, so that a header cannot name another
        // file.
        if header.index != wanted.index {
            return Err(out_of_place("a file that is not the next").into());
        }
        let path = wanted.entry.path.clone();
        let Some(size) = header.size else {
            let failed = header
                .failed
                .ok_or_else(|| out_of_place("a file without a size"))?;
            self.finish_commit().await?;
            self.selector
                .summary
                .fail(&path, failed.code, failed.reason);
            return Ok(());
        };
        // Small files are written together with the next commit: one change of threads, and one
        // sync, for all of them.
        // By the size in the header: the file may have grown since it was offered.
        if size <= SMALL_BYTES && !header.resume && wanted.partial.is_none() {
            let (contents, hash) = self.receive_small(stream, watchdog, size).await?;
            self.pending_bytes += size;
            self.pending
                .push(PendingFile::Small(wanted, contents, hash));
            // Bounds the memory, and what a lost connection costs.
            if self.pending.len() >= BATCH_FILES || self.pending_bytes >= BATCH_BYTES {
                self.start_commit().await?;
                self.report(stream, watchdog).await?;
            }
            return Ok(());
        }
        let attributes = wanted.entry.attributes;
        let (sink, held, failure) = self.open(wanted, size, header.resume).await?;
        let from = blocks::offset(held);
        let file_progress = FileProgress {
            progress: self.progress,
            before: self.arrived,
        };
        let plan = ReceivePlan {
            size,
            held,
            progress: &file_progress,
            reports_blocks: false,
        };
        let mut received = receive_file(self.runtime, stream, sink, plan, watchdog).await?;
        self.arrived = self.arrived.saturating_add(size);
        self.finish_commit().await?;
        // Its bytes had to be read all the same: the next file stands behind them.
        if let Some(error) = failure {
            self.selector.fail(&path, &error);
            return Ok(());
        }
        let bytes = &mut self.selector.summary.bytes;
        *bytes = bytes.saturating_add(size.saturating_sub(from));
        received.attributes = attributes;
        self.pending.push(PendingFile::Written(path, received));
        // A large file gets its name at once: much would be received again without it.
        if size > BLOCK_BYTES || self.pending.len() >= BATCH_FILES {
            self.start_commit().await?;
            self.report(stream, watchdog).await?;
        }
        Ok(())
    }

    /// Receives all of a small file into memory.
    async fn receive_small(
        &mut self,
        stream: &mut Stream,
        watchdog: &mut Watchdog,
        size: u64,
    ) -> Result<(Bytes, Hash), ReceiveError> {
        let (progress, before) = (self.progress, self.arrived);
        let at = |len: usize| progress.at(before + len as u64);
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let contents = fill(watchdog, stream, BytesMut::new(), len, at).await?;
        let hash = blake3::hash(&contents);
        if hash != Hash::from_bytes(read_hash(watchdog, stream).await?) {
            return Err(ReceiveError::Integrity);
        }
        self.arrived += size;
        Ok((contents.freeze(), hash))
    }

    /// Opens the file's sink and returns the number of blocks it holds. A file that cannot be created gets
    /// a sink that keeps nothing, and the error.
    async fn open(
        &mut self,
        mut wanted: WantedFile,
        size: u64,
        resume: bool,
    ) -> Result<(Box<dyn Sink>, u64, Option<StoreError>), ReceiveError> {
        match wanted.partial.take() {
            Some(partial) if resume && partial.size == size => {
                return Ok((partial.sink, partial.hashes.len() as u64, None));
            }
            _ if resume => {
                return Err(out_of_place("a resumed file that was not offered").into());
            }
            // The sender has another version of the file now.
            Some(partial) => spawn_blocking(&**self.runtime, move || partial.sink.discard()).await,
            None => {}
        }
        let created = self.with_selector(move |selector| selector.create(&wanted, size));
        Ok(match created.await? {
            Ok(sink) => (sink, 0, None),
            Err(error) => (Box::new(NullSink), 0, Some(error)),
        })
    }

    /// Starts to give the pending files their names, after the commit before has finished.
    async fn start_commit(&mut self) -> Result<(), ReceiveError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.finish_commit().await?;
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let mut selector = self.take_selector();
        let (done, committing) = oneshot::channel();
        let job = Box::new(move || {
            let committed = commit(&mut selector, pending);
            // The receiver is gone when the connection was lost meanwhile; the files stay.
            let _ = done.send((selector, committed));
        });
        // On its own, not awaited here: the files get their names even if the connection is lost
        // meanwhile.
        self.runtime.spawn(self.runtime.spawn_blocking(job));
        self.committing = Some((committing, self.arrived));
        Ok(())
    }

    /// Waits until the files of the last commit have their names.
    async fn finish_commit(&mut self) -> Result<(), ReceiveError> {
        let Some((committing, bytes)) = self.committing.take() else {
            return Ok(());
        };
        let lost = |_| StoreError::from_io("the folder", io::ErrorKind::Interrupted.into());
        let (selector, committed) = committing
            .await
            .map_err(lost)
            .map_err(ReceiveError::Store)?;
        self.selector = selector;
        committed.map_err(ReceiveError::Store)?;
        // Counted now and not on arrival: the sender may delete what is reported as verified.
        self.committed = bytes;
        self.progress.verified(bytes);
        Ok(())
    }

    async fn report(
        &mut self,
        stream: &mut Stream,
        watchdog: &mut Watchdog,
    ) -> Result<(), ReceiveError> {
        if self.reports_files && self.committed > self.reported {
            self.reported = self.committed;
            let verified = Verified {
                verified: self.committed,
            };
            let message = protocol::encode(&verified).map_err(ChannelError::from)?;
            watchdog
                .step(channel::write(stream, message))
                .await
                .map_err(ChannelError::from)??;
        }
        Ok(())
    }
}

fn out_of_place(what: &'static str) -> ChannelError {
    MessageError::OutOfPlace(what).into()
}

/// The progress of one file as a part of the tree's.
struct FileProgress<'a> {
    progress: &'a dyn Progress,
    /// Bytes of the tree before this file.
    before: u64,
}

impl Progress for FileProgress<'_> {
    fn begin(&self, _: u64) {}

    fn at(&self, bytes: u64) {
        self.progress.at(self.before.saturating_add(bytes));
    }

    fn verified(&self, bytes: u64) {
        self.progress.verified(self.before.saturating_add(bytes));
    }
}
