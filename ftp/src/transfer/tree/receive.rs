//! The receiver's part.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use blake3::Hash;
use bytes::{Bytes, BytesMut};
use lftp_transport::{Runtime, Stream, spawn_blocking};
use tokio::sync::oneshot;

use super::decide::{Decider, Wanted};
use super::small::{BATCH_BYTES, BATCH_FILES, SMALL_BYTES};
use crate::protocol::blocks::{BLOCK_BYTES, BlockHash, Prefix};
use crate::protocol::channel::{self, LinkError};
use crate::protocol::{self, Answer, Done, Head, MessageError, Page, Verified, Want};
use crate::store::{Sink, StoreError};
use crate::transfer::error::ReceiveError;
use crate::transfer::progress::Progress;
use crate::transfer::receive::{Received, Receiving, fill, read_hash, receive_file};
use crate::transfer::resume;
use crate::transfer::watchdog::Watchdog;

/// Receives the files of a tree that are wanted.
pub(crate) async fn receive_tree(
    runtime: &Arc<dyn Runtime>,
    stream: &mut Stream,
    decider: Decider,
    watchdog: &mut Watchdog,
    progress: &dyn Progress,
    is_reported: bool,
) -> Result<Done, ReceiveError> {
    let mut receiver = Receiver {
        runtime,
        decider,
        waiting: Vec::new(),
        waiting_bytes: 0,
        naming: None,
        progress,
        arrived: 0,
        named: 0,
        told: 0,
        offered: 0,
        is_reported,
    };
    receiver.begin().await?;
    let mut pages: VecDeque<Vec<Wanted>> = VecDeque::new();
    let mut is_last = false;
    loop {
        while !is_last && pages.len() < 2 {
            let page: Page = watchdog
                .step(channel::read_message(stream))
                .await
                .map_err(LinkError::from)??;
            is_last = page.last;
            pages.push_back(receiver.page(stream, page).await?);
        }
        let Some(page) = pages.pop_front() else { break };
        for wanted in page {
            receiver.file(stream, watchdog, wanted).await?;
        }
        receiver.name_group().await?;
        receiver.tell(stream, watchdog).await?;
    }
    receiver.named().await?;
    receiver.tell(stream, watchdog).await?;
    Ok(receiver.decider.done)
}

/// A file that has arrived and waits for its name.
#[derive(Debug)]
enum Waiting {
    /// It is in the store already.
    Received(String, Received),
    /// It is small, and all of it is here.
    Small(Wanted, Bytes, Hash),
}

/// The end of the work on a group of files: what it was done with, and how it went.
type Naming = oneshot::Receiver<(Decider, Result<(), StoreError>)>;

struct Receiver<'a> {
    runtime: &'a Arc<dyn Runtime>,
    /// Elsewhere while files get their names.
    decider: Decider,
    waiting: Vec<Waiting>,
    /// In memory, of the small ones.
    waiting_bytes: u64,
    /// A group that gets its names while the next one arrives; the bytes that are verified then.
    naming: Option<(Naming, u64)>,
    progress: &'a dyn Progress,
    /// Bytes of the tree that have arrived whole, that are verified in the store, and of which
    /// the sender was told.
    arrived: u64,
    named: u64,
    told: u64,
    /// Bytes of everything that is wanted so far.
    offered: u64,
    is_reported: bool,
}

impl Receiver<'_> {
    /// Runs a job on the store, where it holds nobody up.
    async fn decide<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut Decider) -> T + Send + 'static,
    ) -> Result<T, ReceiveError> {
        self.named().await?;
        let mut decider = self.take_decider();
        let (decider, output) = spawn_blocking(&**self.runtime, move || {
            let output = job(&mut decider);
            (decider, output)
        })
        .await;
        self.decider = decider;
        Ok(output)
    }

    fn take_decider(&mut self) -> Decider {
        let empty = Decider::new(self.decider.target.emptied());
        std::mem::replace(&mut self.decider, empty)
    }

    async fn begin(&mut self) -> Result<(), ReceiveError> {
        let begun = self.decide(|decider| decider.begin()).await?;
        begun.map_err(ReceiveError::Store)
    }

    /// Answers a page.
    async fn page(&mut self, stream: &mut Stream, page: Page) -> Result<Vec<Wanted>, ReceiveError> {
        if page.entries.len() > protocol::MAX_PAGE_FILES {
            return Err(out_of_place("a page that is too long").into());
        }
        let mut wanted = self.decide(move |decider| decider.page(page)).await?;
        self.offered += wanted
            .iter()
            .filter_map(|file| file.entry.size)
            .sum::<u64>();
        self.progress.grow(self.offered);
        if self.decider.target.dry_run {
            for file in wanted.drain(..) {
                self.decider.done.files += 1;
                self.decider.done.bytes += file.entry.size.unwrap_or(0);
            }
        }
        let want = wanted.iter().map(|file| Want {
            index: file.index,
            held: file
                .parked
                .as_ref()
                .and_then(|parked| resume::held(&**self.runtime, &parked.hashes)),
        });
        let answer = Answer {
            want: want.collect(),
        };
        let answer = protocol::encode(&answer).map_err(LinkError::from)?;
        channel::write(stream, answer).await?;
        Ok(wanted)
    }

    async fn file(
        &mut self,
        stream: &mut Stream,
        watchdog: &mut Watchdog,
        wanted: Wanted,
    ) -> Result<(), ReceiveError> {
        let head: Head = watchdog
            .step(channel::read_message(stream))
            .await
            .map_err(LinkError::from)??;
        if head.index != wanted.index {
            return Err(out_of_place("a file that is not the next").into());
        }
        let path = wanted.entry.path.clone();
        let Some(size) = head.size else {
            let failed = head
                .failed
                .ok_or_else(|| out_of_place("a file without a size"))?;
            self.named().await?;
            self.decider.done.fail(&path, failed.code, failed.reason);
            return Ok(());
        };
        if size <= SMALL_BYTES && !head.resume && wanted.parked.is_none() {
            let (contents, hash) = self.small(stream, watchdog, size).await?;
            self.waiting_bytes += size;
            self.waiting.push(Waiting::Small(wanted, contents, hash));
            if self.waiting.len() >= BATCH_FILES || self.waiting_bytes >= BATCH_BYTES {
                self.name_group().await?;
                self.tell(stream, watchdog).await?;
            }
            return Ok(());
        }
        let attributes = wanted.entry.attributes;
        let (sink, prefix, failure) = self.open(wanted, size, head.resume).await?;
        let from = prefix.bytes();
        let part = Part {
            progress: self.progress,
            before: self.arrived,
        };
        let plan = Receiving {
            size,
            prefix,
            progress: &part,
            is_reported: false,
        };
        let mut received = receive_file(self.runtime, stream, sink, plan, watchdog).await?;
        self.arrived += size;
        self.named().await?;
        if let Some(error) = failure {
            self.decider.fail(&path, &error);
            return Ok(());
        }
        self.decider.done.bytes += size - from;
        received.attributes = Some(attributes);
        self.waiting.push(Waiting::Received(path, received));
        if size > BLOCK_BYTES || self.waiting.len() >= BATCH_FILES {
            self.name_group().await?;
            self.tell(stream, watchdog).await?;
        }
        Ok(())
    }

    /// All of a small file.
    async fn small(
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

    /// Where a file goes, and what is there of it; why not, if it goes nowhere.
    async fn open(
        &mut self,
        mut wanted: Wanted,
        size: u64,
        resume: bool,
    ) -> Result<(Box<dyn Sink>, Prefix, Option<StoreError>), ReceiveError> {
        match wanted.parked.take() {
            Some(parked) if resume && parked.size == size => {
                return Ok((parked.sink, Prefix::of(&parked.hashes), None));
            }
            _ if resume => {
                return Err(out_of_place("a file that goes on where it never was").into());
            }
            Some(parked) => spawn_blocking(&**self.runtime, move || parked.sink.discard()).await,
            None => {}
        }
        let created = self.decide(move |decider| decider.create(&wanted, size));
        Ok(match created.await? {
            Ok(sink) => (sink, Prefix::default(), None),
            Err(error) => (Box::new(Nowhere), Prefix::default(), Some(error)),
        })
    }

    /// Begins to give the files that wait for it their names.
    async fn name_group(&mut self) -> Result<(), ReceiveError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.named().await?;
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let mut decider = self.take_decider();
        let (done, naming) = oneshot::channel();
        let job = Box::new(move || {
            let named = name(&mut decider, waiting);
            // Whoever waited for it may be gone.
            let _ = done.send((decider, named));
        });
        self.runtime.spawn(self.runtime.spawn_blocking(job));
        self.naming = Some((naming, self.arrived));
        Ok(())
    }

    /// Waits until files that get their names have them.
    async fn named(&mut self) -> Result<(), ReceiveError> {
        let Some((naming, bytes)) = self.naming.take() else {
            return Ok(());
        };
        let lost = |_| StoreError::from_io("the folder", io::ErrorKind::Interrupted.into());
        let (decider, named) = naming.await.map_err(lost).map_err(ReceiveError::Store)?;
        self.decider = decider;
        named.map_err(ReceiveError::Store)?;
        self.named = bytes;
        self.progress.verified(bytes);
        Ok(())
    }

    async fn tell(
        &mut self,
        stream: &mut Stream,
        watchdog: &mut Watchdog,
    ) -> Result<(), ReceiveError> {
        if self.is_reported && self.named > self.told {
            self.told = self.named;
            let verified = Verified {
                verified: self.named,
            };
            let message = protocol::encode(&verified).map_err(LinkError::from)?;
            watchdog
                .step(channel::write(stream, message))
                .await
                .map_err(LinkError::from)??;
        }
        Ok(())
    }
}

/// Gives files their names, after one wait for the disk. Blocks.
fn name(decider: &mut Decider, waiting: Vec<Waiting>) -> Result<(), StoreError> {
    let mut written = Vec::with_capacity(waiting.len());
    for file in waiting {
        match file {
            Waiting::Received(path, received) => written.push((path, received)),
            Waiting::Small(wanted, contents, hash) => {
                let (path, size) = (wanted.entry.path.clone(), contents.len() as u64);
                let mut sink = match decider.create(&wanted, size) {
                    Ok(sink) => sink,
                    Err(error) => {
                        decider.fail(&path, &error);
                        continue;
                    }
                };
                sink.write(&contents)?;
                decider.done.bytes += size;
                let mut received = Received::new(sink, size, hash);
                received.attributes = Some(wanted.entry.attributes);
                written.push((path, received));
            }
        }
    }
    decider.target.store.settle()?;
    for (path, received) in written {
        match received.name_settled() {
            Ok(()) => decider.done.files += 1,
            Err(error) => decider.fail(&path, &error),
        }
    }
    Ok(())
}

fn out_of_place(what: &'static str) -> LinkError {
    MessageError::OutOfPlace(what).into()
}

/// The progress of one file within that of the tree.
struct Part<'a> {
    progress: &'a dyn Progress,
    before: u64,
}

impl Progress for Part<'_> {
    fn begin(&self, _: u64) {}

    fn at(&self, bytes: u64) {
        self.progress.at(self.before + bytes);
    }

    fn verified(&self, bytes: u64) {
        self.progress.verified(self.before + bytes);
    }
}

/// Takes a file that cannot be kept: those behind it are to be reached.
#[derive(Debug)]
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }

    fn verified(&mut self, _: BlockHash) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
