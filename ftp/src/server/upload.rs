//! One file from a client: received, named, confirmed.

use lftp_transport::{Stream, spawn_blocking};

use super::context::Context;
use super::outcome::{Failure, TransferResult, refusal};
use super::put_request::OpenUpload;
use super::transfer_task::Slot;
use crate::protocol::channel;
use crate::protocol::{self, Ack, Confirmation, Ready, Reply};
use crate::store::Sink;
use crate::transfer::{
    ReceiveError, ReceivePlan, ReceivedFile, Watchdog, receive_file, receive_piped,
};

/// Receives a file of known length. `resume`: the client continues behind the blocks that the
/// server holds.
pub(super) async fn receive_upload(
    context: &Context,
    stream: &mut Stream,
    upload: OpenUpload,
    resume: bool,
    slot: Slot,
) -> Result<TransferResult, Failure> {
    let (runtime, config) = (&slot.runtime, &context.config);
    channel::write(stream, protocol::encode(&Ready { ack: Ack::Ack })?).await?;
    let (size, attributes) = (upload.size(), upload.attributes());
    let (sink, held) = spawn_blocking(&**runtime, move || upload.start(resume)).await?;
    let mut watchdog = Watchdog::new(runtime, config.stall_limit);
    let plan = ReceivePlan {
        size,
        held,
        progress: &(),
        reports_blocks: true,
    };
    let mut received = receive_file(runtime, stream, sink, plan, &mut watchdog).await;
    if let Ok(received) = &mut received {
        received.attributes = attributes;
    }
    finish_put(context, stream, received, slot).await
}

/// Receives a piped file. The pipe may be idle for as long as a client may.
pub(super) async fn receive_piped_upload(
    context: &Context,
    stream: &mut Stream,
    sink: Box<dyn Sink>,
    slot: Slot,
) -> Result<TransferResult, Failure> {
    let mut watchdog = Watchdog::new(&slot.runtime, context.config.idle_limit);
    let received = receive_piped(&slot.runtime, stream, sink, &mut watchdog).await;
    finish_put(context, stream, received, slot).await
}

/// Gives a received file its name, and confirms it to the client.
async fn finish_put(
    context: &Context,
    stream: &mut Stream,
    received: Result<ReceivedFile, ReceiveError>,
    slot: Slot,
) -> Result<TransferResult, Failure> {
    let Slot { lease, runtime } = slot;
    let (runtime, config) = (&runtime, &context.config);
    let confirmation: Reply<Confirmation> = match received {
        Ok(received) => received
            .commit(&**runtime)
            .await
            .map_err(|error| refusal(&error)),
        Err(error @ ReceiveError::Integrity) => Err(refusal(&error)),
        // The connection is lost, or the disk failed in the middle: a reset says so earlier than
        // a reply behind everything that is in flight.
        Err(error) => return Err(error.into()),
    };
    // Before the confirmation, so that the client's next request finds the port free.
    drop(lease);
    channel::write(stream, protocol::encode_reply(&confirmation)?).await?;
    match confirmation {
        Ok(confirmation) => Ok(confirmation.into()),
        Err(refusal) => {
            // The failure ends in a reset, which would overtake the reply: let it arrive first.
            let finished = async { Ok(stream.finish().await?) };
            // Whether it arrives or not, the refusal is the reason.
            let _ = channel::within(runtime, config.close_timeout, finished).await;
            Err(Failure::Rejected(refusal))
        }
    }
}
