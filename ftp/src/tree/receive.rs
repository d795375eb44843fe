//! The receiver's part.

use std::collections::VecDeque;
use std::sync::Arc;

use lftp_transport::{Runtime, Stream, unblock};

use super::decide::{Decider, Wanted};
use crate::blocks::{BLOCK_BYTES, BlockHash, Prefix};
use crate::link::{self, LinkError};
use crate::message::{self, Answer, Done, Head, MessageError, Page, Verified, Want};
use crate::progress::Progress;
use crate::resume;
use crate::store::{Sink, StoreError};
use crate::transfer::{ReceiveError, Received, Receiving, receive_file};
use crate::watchdog::Watchdog;

/// Small files that get their names together, after one wait for the disk.
const GROUP_FILES: usize = 64;

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
        progress,
        verified: 0,
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
                .step(link::read_message(stream))
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
    Ok(receiver.decider.done)
}

struct Receiver<'a> {
    runtime: &'a Arc<dyn Runtime>,
    decider: Decider,
    /// Files that have arrived and wait for their names.
    waiting: Vec<(String, Received)>,
    progress: &'a dyn Progress,
    /// Bytes of the tree that are verified, and of which the sender was told.
    verified: u64,
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
    ) -> T {
        let empty = Decider::new(self.decider.target.emptied());
        let mut decider = std::mem::replace(&mut self.decider, empty);
        let (decider, output) = unblock(&**self.runtime, move || {
            let output = job(&mut decider);
            (decider, output)
        })
        .await;
        self.decider = decider;
        output
    }

    async fn begin(&mut self) -> Result<(), ReceiveError> {
        self.decide(|decider| decider.begin())
            .await
            .map_err(ReceiveError::Store)
    }

    /// Answers a page.
    async fn page(&mut self, stream: &mut Stream, page: Page) -> Result<Vec<Wanted>, ReceiveError> {
        if page.entries.len() > message::MAX_PAGE_FILES {
            return Err(out_of_place("a page that is too long").into());
        }
        let mut wanted = self.decide(move |decider| decider.page(page)).await;
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
        let answer = message::encode(&answer).map_err(LinkError::from)?;
        link::write(stream, answer).await?;
        Ok(wanted)
    }

    async fn file(
        &mut self,
        stream: &mut Stream,
        watchdog: &mut Watchdog,
        wanted: Wanted,
    ) -> Result<(), ReceiveError> {
        let head: Head = watchdog
            .step(link::read_message(stream))
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
            self.decider.done.fail(&path, failed.code, failed.reason);
            return Ok(());
        };
        let attributes = wanted.entry.attributes;
        let (sink, prefix, failure) = self.open(wanted, size, head.resume).await?;
        let from = prefix.bytes();
        let part = Part {
            progress: self.progress,
            before: self.verified,
        };
        let plan = Receiving {
            size,
            prefix,
            progress: &part,
            is_reported: false,
        };
        let mut received = receive_file(self.runtime, stream, sink, plan, watchdog).await?;
        self.verified += size;
        if let Some(error) = failure {
            self.decider.fail(&path, &error);
            return Ok(());
        }
        self.decider.done.bytes += size - from;
        received.attributes = Some(attributes);
        self.waiting.push((path, received));
        if size > BLOCK_BYTES || self.waiting.len() >= GROUP_FILES {
            self.name_group().await?;
            self.tell(stream, watchdog).await?;
        }
        Ok(())
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
            Some(parked) => unblock(&**self.runtime, move || parked.sink.discard()).await,
            None => {}
        }
        let created = self.decide(move |decider| decider.create(&wanted, size));
        Ok(match created.await {
            Ok(sink) => (sink, Prefix::default(), None),
            Err(error) => (Box::new(Nowhere), Prefix::default(), Some(error)),
        })
    }

    /// Gives the files that wait for it their names.
    async fn name_group(&mut self) -> Result<(), ReceiveError> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let named = self.decide(move |decider| {
            decider.target.store.settle()?;
            for (path, received) in waiting {
                match received.name_settled() {
                    Ok(()) => decider.done.files += 1,
                    Err(error) => decider.fail(&path, &error),
                }
            }
            Ok(())
        });
        named.await.map_err(ReceiveError::Store)?;
        self.progress.verified(self.verified);
        Ok(())
    }

    async fn tell(
        &mut self,
        stream: &mut Stream,
        watchdog: &mut Watchdog,
    ) -> Result<(), ReceiveError> {
        if self.is_reported && self.verified > self.told {
            self.told = self.verified;
            let verified = Verified {
                verified: self.verified,
            };
            let message = message::encode(&verified).map_err(LinkError::from)?;
            watchdog
                .step(link::write(stream, message))
                .await
                .map_err(LinkError::from)??;
        }
        Ok(())
    }
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
