//! `put` and `get` of whole trees.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lftp_transport::Stream;

use super::{Client, TransferError};
use crate::protocol::Name;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, Ack, Overwrite, Ready, Request, TreeSummary};
use crate::store::Store;
use crate::transfer::MessageReader;
use crate::transfer::Progress;
use crate::transfer::SendMeter;
use crate::transfer::Watchdog;
use crate::transfer::tree::Filter;
use crate::transfer::tree::receive_tree;
use crate::transfer::tree::send_tree;
use crate::transfer::tree::{FileSelector, TreeTarget};
use crate::transfer::tree::{Links, Walk};

/// A tree on this side: where it is found, or goes to.
#[derive(Copy, Clone, Debug)]
pub struct Tree<'a> {
    /// The place.
    pub store: &'a Arc<dyn Store>,
    /// The folder there; `None` for all of it.
    pub root: Option<&'a Name>,
    /// What tells this tree from others of the same name, when a transfer of it is gone on with.
    pub source: &'a str,
}

/// Which files of a tree are carried, and how.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Which are meant.
    pub filter: Filter,
    /// What is done with symbolic links.
    pub links: Links,
    /// What becomes of files that are there already.
    pub overwrite: Overwrite,
    /// Nothing is written; what would be is counted.
    pub dry_run: bool,
}

impl Client {
    /// Sends a tree of files to the folder `name` of the server. What is there already, the
    /// same by size and time, is not sent again.
    ///
    /// # Errors
    ///
    /// [`TransferError`] when the tree as a whole fails; files that had arrived by then stay.
    /// What fails of single files is in [`TreeSummary::failures`].
    pub async fn put_tree(
        &mut self,
        tree: Tree<'_>,
        name: &str,
        plan: &Plan,
        progress: &dyn Progress,
    ) -> Result<TreeSummary, TransferError> {
        let request = Request::PutTree {
            name: name.to_owned(),
            overwrite: plan.overwrite,
            dry_run: plan.dry_run,
            source: tree.source.to_owned(),
        };
        let granted = self.request_transfer(request).await?;
        progress.begin(0);
        let walk = Walk::new(
            Arc::clone(tree.store),
            tree.root.cloned(),
            plan.filter.clone(),
            plan.links,
        );
        let mut stream = self.open_data(&granted, false, None).await?;
        match self.send_walk(&mut stream, walk, progress).await {
            Ok(done) => {
                channel::close(&self.runtime, stream, self.config.close_timeout).await;
                Ok(done)
            }
            Err(error) => {
                stream.reset(error.code().reset_reason());
                Err(error)
            }
        }
    }

    async fn send_walk(
        &self,
        stream: &mut Stream,
        walk: Walk,
        progress: &dyn Progress,
    ) -> Result<TreeSummary, TransferError> {
        let mut messages = MessageReader::new(progress);
        // What is acknowledged is no file yet: only the server knows what is verified.
        let mut meter = SendMeter::new(&self.runtime, stream, &(), u64::MAX);
        let wanted = AtomicU64::new(0);
        let on_page = |page: &protocol::Page, answer: &protocol::Answer| {
            let sizes = answer.want.iter();
            let sizes = sizes.filter_map(|want| page.entries.get(want.index)?.size);
            let bytes: u64 = sizes.sum();
            progress.grow(wanted.fetch_add(bytes, Ordering::Relaxed) + bytes);
        };
        let sent = send_tree(&*self.runtime, stream, walk, &mut messages, &on_page);
        meter
            .follow(self.config.stall_limit, sent)
            .await
            .map_err(ChannelError::from)??;
        meter
            .follow(
                self.config.confirmation_timeout,
                messages.confirmation::<TreeSummary>(stream),
            )
            .await
            .map_err(ChannelError::from)??
            .map_err(TransferError::Verdict)
    }

    /// Receives the tree in the folder `name` of the server. What is here already, the same by
    /// size and time, is not sent again.
    ///
    /// # Errors
    ///
    /// As [`put_tree`](Self::put_tree).
    pub async fn get_tree(
        &mut self,
        name: &str,
        tree: Tree<'_>,
        plan: &Plan,
        progress: &dyn Progress,
    ) -> Result<TreeSummary, TransferError> {
        let request = Request::GetTree {
            name: name.to_owned(),
            follow: plan.links == Links::Follow,
        };
        let granted = self.request_transfer(request).await?;
        progress.begin(0);
        let ready = protocol::encode(&Ready { ack: Ack::Ack })?;
        let mut stream = self.open_data(&granted, false, Some(ready)).await?;
        let selector = FileSelector::new(TreeTarget {
            store: Arc::clone(tree.store),
            root: tree.root.cloned(),
            overwrite: plan.overwrite,
            filter: plan.filter.clone(),
            dry_run: plan.dry_run,
            key: format!("get-tree {} {name}", tree.source),
        });
        let mut watchdog = Watchdog::new(&self.runtime, self.config.stall_limit);
        let received = receive_tree(
            &self.runtime,
            &mut stream,
            selector,
            &mut watchdog,
            progress,
            false,
        );
        match received.await {
            Ok(done) => {
                let verdict = protocol::encode_reply(&Ok(&done))?;
                // Everything is in its place, whether the server hears of it or not.
                if let Err(error) = channel::write(&mut stream, verdict).await {
                    tracing::debug!(%error, "the server does not hear that all is well");
                }
                channel::close(&self.runtime, stream, self.config.close_timeout).await;
                Ok(done)
            }
            Err(error) => {
                stream.reset(error.code().reset_reason());
                Err(error.into())
            }
        }
    }
}
