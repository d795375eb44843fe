//! The task of one transfer, from the grant of a port to the port's return.

use std::sync::Arc;

use lftp_transport::{Runtime, Stream, timeout};

use super::access_log::AccessRecord;
use super::client::ClientIdentity;
use super::context::Context;
use super::download::send_download;
use super::lease_table::LeaseEntry;
use super::outcome::{Failure, TransferResult};
use super::pending_transfers::{DataConnection, PendingTransfer};
use super::port_pool::Lease;
use super::put_request::OpenUpload;
use super::rate_watch::{self, LeastRate};
use super::session_table::Activity;
use super::tasks::Stage;
use super::tree_transfer::{receive_tree_upload, send_tree_download};
use super::upload::{receive_piped_upload, receive_upload};
use super::upload_locks::{Preemption, UploadLock};
use crate::protocol::channel;
use crate::store::{Sink, Source};
use crate::transfer::tree::{TreeTarget, Walk};

/// What is transferred, and in which direction.
#[derive(Debug)]
pub(super) enum Transfer {
    /// A file from the client, unless a newer transfer preempts this one.
    Put(OpenUpload, Preemption),
    /// A file from the client, of unknown length.
    PutPiped(Box<dyn Sink>),
    /// A file to the client, behind this number of blocks that it holds.
    Get(Box<dyn Source>, u64),
    /// A tree from the client. The lock is held, where there is one, so that a newer transfer of
    /// the same tree can preempt this one.
    PutTree(Box<TreeTarget>, Option<UploadLock>),
    /// A tree to the client.
    GetTree(Box<Walk>),
}

impl Transfer {
    fn preemption(&self) -> Preemption {
        match self {
            Self::Put(_, preemption) => preemption.clone(),
            Self::PutTree(_, Some(lock)) => lock.preemption(),
            Self::PutTree(_, None) | Self::PutPiped(_) | Self::Get(..) | Self::GetTree(_) => {
                Preemption::default()
            }
        }
    }

    const fn action(&self) -> &'static str {
        match self {
            Self::Put(..) => "put",
            Self::PutPiped(_) => "put-piped",
            Self::Get(..) => "get",
            Self::PutTree(..) => "put-tree",
            Self::GetTree(_) => "get-tree",
        }
    }
}

/// What a transfer runs on: its port, which it may return before it ends, and its runtime.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) lease: Lease,
    pub(super) runtime: Arc<dyn Runtime>,
}

impl Slot {
    const fn new(lease: Lease, runtime: Arc<dyn Runtime>) -> Self {
        Self { lease, runtime }
    }
}

/// A granted transfer and everything it holds.
#[derive(Debug)]
pub(super) struct GrantedTransfer {
    pub(super) client: ClientIdentity,
    /// The file or folder, for the log.
    pub(super) name: String,
    pub(super) transfer: Transfer,
    pub(super) lease: Lease,
    pub(super) lease_entry: LeaseEntry,
    /// The client that it was granted to is not idle while it runs.
    pub(super) activity: Activity,
    pub(super) pending: PendingTransfer,
}

/// Waits for the data connection and runs the transfer on it.
pub(super) async fn run(context: Arc<Context>, granted: GrantedTransfer) {
    let GrantedTransfer {
        client,
        name,
        transfer,
        lease,
        lease_entry,
        activity,
        mut pending,
    } = granted;
    let (runtime, config) = (&*context.runtime, &context.config);
    let preemption = transfer.preemption();
    let connected = tokio::select! {
        biased;
        () = context.tasks.reached(Stage::Stopped) => return,
        () = preemption.preempted() => return,
        _ = lease_entry.reclaimed() => return,
        _ = client.revocation.revoked() => return,
        connected = timeout(runtime, config.claim_timeout, pending.connection()) => connected,
    };
    let Ok(Some(DataConnection { mut stream, resume })) = connected else {
        let key = client.key.map(tracing::field::display);
        return tracing::info!(
            key,
            name,
            port = lease.port(),
            "the client did not open the data connection"
        );
    };
    lease_entry.set_data_connection(stream.monitor());
    activity.begin();
    let (started, operation) = (runtime.now(), transfer.action());
    let (runtime_of_transfer, jobs) = rate_watch::counting(&context.runtime);
    let (rate, monitored) = (LeastRate::of(config), (stream.monitor(), jobs));
    let slot = Slot::new(lease, runtime_of_transfer);
    let outcome = tokio::select! {
        biased;
        () = context.tasks.reached(Stage::Stopped) => Err(Failure::Stopped),
        () = preemption.preempted() => Err(Failure::Preempted),
        reason = lease_entry.reclaimed() => Err(Failure::Reclaimed(reason)),
        code = client.revocation.revoked() => Err(Failure::Revoked(code)),
        outcome = run_transfer(&context, &mut stream, transfer, resume, slot) => outcome,
        never = rate_watch::watch(runtime, rate, monitored, &lease_entry) => match never {},
    };
    activity.end(runtime.now());
    let mut record = AccessRecord {
        client: &client,
        operation,
        name: &name,
        bytes: 0,
        duration: runtime.now().saturating_since(started),
    };
    match outcome {
        Ok(TransferResult { bytes, detail }) => {
            record.bytes = bytes;
            record.done(&detail);
            tokio::select! {
                biased;
                () = context.tasks.reached(Stage::Stopped) => {}
                () = channel::close(&context.runtime, stream, config.close_timeout) => {}
            }
        }
        Err(failure) => {
            record.failed(failure.code(), &failure);
            stream.reset(failure.code().reset_reason());
        }
    }
}

async fn run_transfer(
    context: &Context,
    stream: &mut Stream,
    transfer: Transfer,
    resume: bool,
    slot: Slot,
) -> Result<TransferResult, Failure> {
    match transfer {
        Transfer::Put(upload, _) => receive_upload(context, stream, upload, resume, slot).await,
        Transfer::PutPiped(sink) => receive_piped_upload(context, stream, sink, slot).await,
        Transfer::Get(source, held) => send_download(context, stream, source, held, slot).await,
        Transfer::PutTree(target, lock) => {
            let received = receive_tree_upload(context, stream, *target, slot).await;
            // Not before the end: the newer transfer must find every file of the tree closed.
            drop(lock);
            received
        }
        Transfer::GetTree(walk) => send_tree_download(context, stream, *walk, slot).await,
    }
}
