//! One file to a client: sent, and confirmed by the client.

use blake3::Hash;
use lftp_transport::Stream;

use super::context::Context;
use super::outcome::{Failure, TransferResult};
use super::port_pool::Lease;
use super::transfer_task::Slot;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{Code, Confirmation, Ready, Refusal};
use crate::store::Source;
use crate::transfer::{MessageReader, SendMeter, send_file};

/// Sends the file behind the `held` blocks that the client has.
pub(super) async fn send_download(
    context: &Context,
    stream: &mut Stream,
    source: Box<dyn Source>,
    held: u64,
    slot: Slot,
) -> Result<TransferResult, Failure> {
    let Slot { lease, runtime } = slot;
    let (runtime, config) = (&runtime, &context.config);
    let ready = channel::read_message::<Ready>(stream);
    channel::within(runtime, config.hello_timeout, ready).await?;
    let size = source.size();
    let mut messages = MessageReader::new(&());
    let mut meter = SendMeter::new(runtime, stream, &(), size);
    meter.count_checked(&messages);
    let sent = meter
        .follow(
            config.stall_limit,
            send_file(&**runtime, stream, source, held, &mut messages),
        )
        .await;
    let hash = messages.first_reason(stream, sent)?;
    finish_get(context, stream, messages, meter, (hash, lease)).await
}

/// Waits for the client's confirmation that it has the same file.
async fn finish_get(
    context: &Context,
    stream: &mut Stream,
    mut messages: MessageReader<'_>,
    mut meter: SendMeter<'_>,
    (hash, lease): (Hash, Lease),
) -> Result<TransferResult, Failure> {
    let confirmation = meter
        .follow(
            context.config.confirmation_timeout,
            messages.confirmation::<Confirmation>(stream),
        )
        .await;
    let confirmation = confirmation.map_err(ChannelError::from)???;
    drop(lease);
    if confirmation.hash != *hash.to_hex() {
        let other = Refusal::new(Code::Integrity, "the client has another file");
        return Err(Failure::Rejected(other));
    }
    Ok(confirmation.into())
}
