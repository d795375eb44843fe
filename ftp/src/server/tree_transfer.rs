//! A tree of files, from its data connection to the summary.

use lftp_transport::Stream;

use super::context::Context;
use super::outcome::{Failure, TransferResult, refusal};
use super::transfer_task::Slot;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, Ack, Ready, Reply, TreeSummary};
use crate::transfer::tree::{FileSelector, TreeTarget, Walk, receive_tree, send_tree};
use crate::transfer::{MessageReader, ReceiveError, SendMeter, Watchdog};

/// Receives a tree. The port is free before the client gets the summary.
pub(super) async fn receive_tree_upload(
    context: &Context,
    stream: &mut Stream,
    target: TreeTarget,
    slot: Slot,
) -> Result<TransferResult, Failure> {
    let Slot { lease, runtime } = slot;
    let (runtime, config) = (&runtime, &context.config);
    channel::write(stream, protocol::encode(&Ready { ack: Ack::Ack })?).await?;
    let mut watchdog = Watchdog::new(runtime, config.stall_limit);
    let selector = FileSelector::new(target);
    let received = receive_tree(runtime, stream, selector, &mut watchdog, &(), true).await;
    drop(lease);
    let summary: Reply<TreeSummary> = match received {
        Ok(summary) => Ok(summary),
        Err(error @ ReceiveError::Channel(_)) => return Err(error.into()),
        Err(error) => Err(refusal(&error)),
    };
    channel::write(stream, protocol::encode_reply(&summary)?).await?;
    match summary {
        Ok(summary) => Ok(summary.into()),
        Err(refusal) => {
            let finished = async { Ok(stream.finish().await?) };
            // Whether it arrives or not, the refusal is the reason.
            let _ = channel::within(runtime, config.close_timeout, finished).await;
            Err(Failure::Rejected(refusal))
        }
    }
}

/// Sends a tree and waits for the client's summary.
pub(super) async fn send_tree_download(
    context: &Context,
    stream: &mut Stream,
    walk: Walk,
    slot: Slot,
) -> Result<TransferResult, Failure> {
    let Slot { lease, runtime } = slot;
    let (runtime, config) = (&runtime, &context.config);
    let ready = channel::read_message::<Ready>(stream);
    channel::within(runtime, config.hello_timeout, ready).await?;
    let mut messages = MessageReader::new(&());
    let mut meter = SendMeter::new(runtime, stream, &(), u64::MAX);
    meter.count_checked(&messages);
    let sent = send_tree(&**runtime, stream, walk, &mut messages, &|_, _| {});
    let sent = meter.follow(config.stall_limit, sent).await;
    messages.first_reason(stream, sent)?;
    let summary = meter
        .follow(
            config.confirmation_timeout,
            messages.confirmation::<TreeSummary>(stream),
        )
        .await;
    drop(lease);
    Ok(summary.map_err(ChannelError::from)???.into())
}
