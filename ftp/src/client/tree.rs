//! `put` and `get` of whole folders.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lftp_transport::{Stream, spawn_blocking};

use super::{Client, TransferError};
use crate::protocol::Name;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, Ack, Attributes, Overwrite, Ready, Request, TreeSummary};
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

/// A local folder to send or to receive into.
#[derive(Copy, Clone, Debug)]
pub struct Tree<'a> {
    /// The store with the folder.
    pub store: &'a Arc<dyn Store>,
    /// The folder in the store; `None` for its root.
    pub root: Option<&'a Name>,
    /// Identifier of this folder among others of the same name, for resuming.
    pub source: &'a str,
}

/// Selection of the files of a folder, and how they are transferred.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Files and folders to include.
    pub filter: Filter,
    /// Treatment of symbolic links.
    pub links: Links,
    /// Treatment of existing files that differ.
    pub overwrite: Overwrite,
    /// Counts the files without writing any.
    pub dry_run: bool,
}

impl Client {
    /// Sends a folder to the server's folder `name`. Files that exist there with the same size and
    /// time are not sent again.
    ///
    /// # Errors
    ///
    /// [`TransferError`] when the folder as a whole fails; files that have arrived by then stay.
    /// Failures of single files are in [`TreeSummary::failures`].
    pub async fn put_tree(
        &mut self,
        tree: Tree<'_>,
        name: &str,
        plan: &Plan,
        progress: &dyn Progress,
    ) -> Result<TreeSummary, TransferError> {
        let mut walk = Walk::new(
            Arc::clone(tree.store),
            tree.root.cloned(),
            plan.filter.clone(),
            plan.links,
        );
        let start = move || walk.start().map(|()| walk);
        let walk = spawn_blocking(&*self.runtime, start).await?;
        let request = Request::PutTree {
            name: name.to_owned(),
            overwrite: plan.overwrite,
            dry_run: plan.dry_run,
            source: tree.source.to_owned(),
            attributes: Attributes {
                mode: walk.root_mode(),
                ..Attributes::default()
            },
        };
        let granted = self.request_transfer(request).await?;
        progress.begin(0);
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
        // Acknowledged bytes are not yet stored files: only the server's reports count as progress.
        let mut meter = SendMeter::new(&self.runtime, stream, &(), u64::MAX);
        meter.count_checked(&messages);
        let wanted = AtomicU64::new(0);
        let on_page = |page: &protocol::Page, answer: &protocol::Answer| {
            let sizes = answer.want.iter();
            let sizes = sizes.filter_map(|want| page.entries.get(want.index)?.size);
            // The receiver may want a file many times: the sum need not fit.
            let bytes = sizes.fold(0_u64, u64::saturating_add);
            let grown = wanted.load(Ordering::Relaxed).saturating_add(bytes);
            wanted.store(grown, Ordering::Relaxed);
            progress.grow(grown);
        };
        let sent = send_tree(&*self.runtime, stream, walk, &mut messages, &on_page);
        let sent = meter.follow(self.config.stall_limit, sent).await;
        messages.first_reason(stream, sent)?;
        meter
            .follow(
                self.config.confirmation_timeout,
                messages.confirmation::<TreeSummary>(stream),
            )
            .await
            .map_err(ChannelError::from)??
            .map_err(TransferError::Rejected)
    }

    /// Receives the server's folder `name`. Local files with the same size and time are not sent
    /// again.
    ///
    /// # Errors
    ///
    /// Those of [`put_tree`](Self::put_tree).
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
            mode: granted.attributes.mode,
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
                let confirmation = protocol::encode_reply(&Ok(&done))?;
                // The files are stored, whether or not the confirmation reaches the server.
                if let Err(error) = channel::write(&mut stream, confirmation).await {
                    tracing::debug!(%error, "the confirmation cannot be sent");
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
