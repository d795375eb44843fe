//! One file, from the grant of a port to the port's return.

use std::sync::Arc;

use lftp_transport::{Stream, timeout, unblock};

use super::Context;
use super::claims::{Arrival, Claim};
use super::put::Put;
use super::receptions::Superseded;
use crate::blocks::Prefix;
use crate::code::Code;
use crate::delivered::SendMeter;
use crate::hearing::Hearing;
use crate::link::{self, LinkError};
use crate::message::{self, Ack, MessageError, Ready, Refusal, Reply, Whole};
use crate::names::Name;
use crate::ports::Lease;
use crate::store::{Source, StoreError};
use crate::tasks::Stage;
use crate::transfer::{ReceiveError, Receiving, SendError, receive_file, send_file};

/// Which way the file goes.
#[derive(Debug)]
pub(super) enum Job {
    /// From the client, unless another transfer takes the file over.
    Put(Put, Superseded),
    /// To the client, behind what it holds.
    Get(Box<dyn Source>, Prefix),
}

/// A granted transfer and everything it holds.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) name: Name,
    pub(super) size: u64,
    pub(super) job: Job,
    pub(super) lease: Lease,
    pub(super) claim: Claim,
}

/// Why a transfer was not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the client refuses it: {0}")]
    Refused(#[from] Refusal),
    #[error("the file cannot be begun: {0}")]
    Begin(#[from] StoreError),
    #[error("the server is being stopped")]
    Stopped,
    #[error("another transfer of the same file took its place")]
    Superseded,
}

impl From<MessageError> for Failure {
    fn from(error: MessageError) -> Self {
        Self::Link(error.into())
    }
}

impl Failure {
    const fn code(&self) -> Code {
        match self {
            Self::Send(error) => error.code(),
            Self::Receive(error) => error.code(),
            Self::Link(error) => error.code(),
            Self::Refused(refusal) => refusal.code,
            Self::Begin(error) => error.code(),
            Self::Stopped => Code::ShuttingDown,
            Self::Superseded => Code::Superseded,
        }
    }
}

/// Waits for the data connection and carries the file.
pub(super) async fn run(context: Arc<Context>, transfer: Transfer) {
    let Transfer {
        name,
        size,
        job,
        lease,
        mut claim,
    } = transfer;
    let (runtime, config) = (&*context.runtime, &context.config);
    let superseded = match &job {
        Job::Put(_, superseded) => superseded.clone(),
        Job::Get(..) => Superseded::default(),
    };
    let claimed = tokio::select! {
        biased;
        () = context.tasks.reached(Stage::Stopped) => return,
        () = superseded.wait() => return,
        claimed = timeout(runtime, config.claim_timeout, claim.arrival()) => claimed,
    };
    let Ok(Some(Arrival { mut stream, resume })) = claimed else {
        return tracing::info!(%name, port = lease.port(), "the client did not come for it");
    };
    let (client, port, begun) = (stream.remote_addr(), lease.port(), runtime.now());
    let action = if matches!(job, Job::Put(..)) {
        "put"
    } else {
        "get"
    };
    let carried = async {
        match job {
            Job::Put(begun, _) => put(&context, &mut stream, begun, resume, lease).await,
            Job::Get(source, from) => get(&context, &mut stream, source, from, lease).await,
        }
    };
    let carried = tokio::select! {
        biased;
        () = context.tasks.reached(Stage::Stopped) => Err(Failure::Stopped),
        () = superseded.wait() => Err(Failure::Superseded),
        carried = carried => carried,
    };
    let took = runtime.now().saturating_since(begun);
    match carried {
        Ok(whole) => {
            let hash = whole.hash;
            tracing::info!(action, %name, %client, port, bytes = size, ?took, hash, "done");
            link::close(&context.runtime, stream, config.close_timeout).await;
        }
        Err(failure) => {
            tracing::warn!(action, %name, %client, port, ?took, error = %failure, "failed");
            stream.reset(failure.code().reset_reason());
        }
    }
}

/// Receives the file. The port is free again before the client hears that all is well, so
/// that its next request finds it.
async fn put(
    context: &Context,
    stream: &mut Stream,
    begun: Put,
    resume: bool,
    lease: Lease,
) -> Result<Whole, Failure> {
    let (runtime, config) = (&context.runtime, &context.config);
    link::write(stream, message::encode(&Ready { ack: Ack::Ack })?).await?;
    let size = begun.size();
    let (sink, prefix) = unblock(&**runtime, move || begun.decide(resume)).await?;
    let plan = Receiving {
        size,
        prefix,
        stall_limit: config.stall_limit,
        progress: &(),
        is_reported: true,
    };
    let verdict: Reply<Whole> = match receive_file(runtime, stream, sink, plan).await {
        Ok(received) => received
            .commit(&**runtime)
            .await
            .map_err(|error| refusal(&error)),
        Err(error @ ReceiveError::Integrity) => Err(refusal(&error)),
        Err(error) => return Err(error.into()),
    };
    drop(lease);
    link::write(stream, message::encode_reply(&verdict)?).await?;
    match verdict {
        Ok(whole) => Ok(whole),
        Err(refusal) => {
            // The client is to read the verdict, not a reset.
            let finished = async { Ok(stream.finish().await?) };
            link::within(runtime, config.close_timeout, finished).await?;
            Err(refusal.into())
        }
    }
}

fn refusal(error: &ReceiveError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}

/// Sends the file and waits for the client's verdict.
async fn get(
    context: &Context,
    stream: &mut Stream,
    source: Box<dyn Source>,
    prefix: Prefix,
    lease: Lease,
) -> Result<Whole, Failure> {
    let (runtime, config) = (&context.runtime, &context.config);
    let ready = link::read_message::<Ready>(stream);
    link::within(runtime, config.hello_timeout, ready).await?;
    let size = source.size();
    let mut heard = Hearing::new(&());
    let mut meter = SendMeter::new(runtime, &context.delivered, stream, &(), size);
    let sent = meter
        .follow(
            config.stall_limit,
            send_file(&**runtime, stream, source, prefix, &mut heard),
        )
        .await;
    let hash = sent.map_err(LinkError::from)??;
    let verdict = meter
        .follow(config.verdict_timeout, heard.verdict(stream))
        .await;
    let whole = verdict.map_err(LinkError::from)???;
    drop(lease);
    if whole.hash != *hash.to_hex() {
        return Err(Refusal::new(Code::Integrity, "the client has another file").into());
    }
    Ok(whole)
}
