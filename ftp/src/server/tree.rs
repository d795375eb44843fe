//! A tree of files, from its data connection to the verdict.

use lftp_transport::Stream;

use super::Context;
use super::port_pool::Lease;
use super::transfer::{Carried, Failure, refusal};
use crate::protocol::channel::{self, LinkError};
use crate::protocol::{self, Ack, Done, Ready, Reply};
use crate::transfer::Hearing;
use crate::transfer::ReceiveError;
use crate::transfer::SendMeter;
use crate::transfer::Watchdog;
use crate::transfer::tree::Walk;
use crate::transfer::tree::receive_tree;
use crate::transfer::tree::send_tree;
use crate::transfer::tree::{Decider, Target};

impl From<Done> for Carried {
    fn from(done: Done) -> Self {
        Self {
            bytes: done.bytes,
            what: format!(
                "{} files, {} unchanged, {} skipped, {} failed",
                done.files, done.unchanged, done.skipped, done.failed
            ),
        }
    }
}

/// Receives a tree; the port is free before the client hears of it.
pub(super) async fn put(
    context: &Context,
    stream: &mut Stream,
    target: Target,
    lease: Lease,
) -> Result<Carried, Failure> {
    let (runtime, config) = (&context.runtime, &context.config);
    channel::write(stream, protocol::encode(&Ready { ack: Ack::Ack })?).await?;
    let mut watchdog = Watchdog::new(runtime, config.stall_limit);
    let decider = Decider::new(target);
    let received = receive_tree(runtime, stream, decider, &mut watchdog, &(), true).await;
    drop(lease);
    let verdict: Reply<Done> = match received {
        Ok(done) => Ok(done),
        Err(error @ ReceiveError::Link(_)) => return Err(error.into()),
        Err(error) => Err(refusal(&error)),
    };
    channel::write(stream, protocol::encode_reply(&verdict)?).await?;
    match verdict {
        Ok(done) => Ok(done.into()),
        Err(refusal) => {
            let finished = async { Ok(stream.finish().await?) };
            channel::within(runtime, config.close_timeout, finished).await?;
            Err(refusal.into())
        }
    }
}

/// Sends a tree and waits for the client's verdict.
pub(super) async fn get(
    context: &Context,
    stream: &mut Stream,
    walk: Walk,
    lease: Lease,
) -> Result<Carried, Failure> {
    let (runtime, config) = (&context.runtime, &context.config);
    let ready = channel::read_message::<Ready>(stream);
    channel::within(runtime, config.hello_timeout, ready).await?;
    let mut heard = Hearing::new(&());
    let mut meter = SendMeter::new(runtime, &context.delivered, stream, &(), u64::MAX);
    let sent = send_tree(&**runtime, stream, walk, &mut heard, &|_, _| {});
    let sent = meter.follow(config.stall_limit, sent).await;
    sent.map_err(LinkError::from)??;
    let verdict = meter
        .follow(config.verdict_timeout, heard.verdict::<Done>(stream))
        .await;
    drop(lease);
    Ok(verdict.map_err(LinkError::from)???.into())
}
