//! One file, from the grant of a port to the port's return.

use std::sync::Arc;

use lftp_transport::{Stream, spawn_blocking, timeout};

use super::Context;
use super::access::Who;
use super::claims::{Arrival, Claim};
use super::holders::Holder;
use super::log::Record;
use super::port_pool::Lease;
use super::put::Put;
use super::receptions::{Reception, Superseded};
use super::tasks::Stage;
use super::tree;
use crate::protocol::Code;
use crate::protocol::blocks::Prefix;
use crate::protocol::channel::{self, LinkError};
use crate::protocol::{self, Ack, MessageError, Ready, Refusal, Reply, Whole};
use crate::store::{Sink, Source, StoreError};
use crate::transfer::Hearing;
use crate::transfer::SendMeter;
use crate::transfer::Watchdog;
use crate::transfer::receive_piped;
use crate::transfer::tree::Target;
use crate::transfer::tree::Walk;
use crate::transfer::{ReceiveError, Received, Receiving, SendError, receive_file, send_file};

/// Which way the file goes.
#[derive(Debug)]
pub(super) enum Job {
    /// From the client, unless another transfer takes the file over.
    Put(Put, Superseded),
    /// From the client, until it says that this is all.
    PutPiped(Box<dyn Sink>),
    /// To the client, behind what it holds.
    Get(Box<dyn Source>, Prefix),
    /// A tree from the client. The reception is held, where there is one, so that another
    /// transfer of the same tree can take it over.
    PutTree(Box<Target>, Option<Reception>),
    /// A tree to the client.
    GetTree(Box<Walk>),
}

impl Job {
    fn superseded(&self) -> Superseded {
        match self {
            Self::Put(_, superseded) => superseded.clone(),
            Self::PutTree(_, Some(reception)) => reception.superseded(),
            Self::PutTree(_, None) | Self::PutPiped(_) | Self::Get(..) | Self::GetTree(_) => {
                Superseded::default()
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

/// What is said in the log of a transfer that went well.
pub(super) struct Carried {
    pub(super) bytes: u64,
    pub(super) what: String,
}

impl From<Whole> for Carried {
    fn from(whole: Whole) -> Self {
        Self {
            bytes: whole.bytes,
            what: whole.hash,
        }
    }
}

/// A granted transfer and everything it holds.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) who: Who,
    /// For the log.
    pub(super) name: String,
    pub(super) job: Job,
    pub(super) lease: Lease,
    pub(super) holder: Holder,
    pub(super) claim: Claim,
}

/// Why a transfer was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
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
    #[error("nobody answered any more, and the same client needed its place")]
    Evicted,
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
            Self::Superseded | Self::Evicted => Code::Superseded,
        }
    }
}

/// Waits for the data connection and carries the file.
pub(super) async fn run(context: Arc<Context>, transfer: Transfer) {
    let Transfer {
        who,
        name,
        job,
        lease,
        holder,
        mut claim,
    } = transfer;
    let (runtime, config) = (&*context.runtime, &context.config);
    let superseded = job.superseded();
    let claimed = tokio::select! {
        biased;
        () = context.tasks.reached(Stage::Stopped) => return,
        () = superseded.wait() => return,
        () = holder.evicted() => return,
        claimed = timeout(runtime, config.claim_timeout, claim.arrival()) => claimed,
    };
    let Ok(Some(Arrival { mut stream, resume })) = claimed else {
        let key = who.key.map(tracing::field::display);
        return tracing::info!(
            key,
            name,
            port = lease.port(),
            "the client did not come for it"
        );
    };
    holder.carried_by(stream.monitor());
    let (begun, operation) = (runtime.now(), job.action());
    let carried = tokio::select! {
        biased;
        () = context.tasks.reached(Stage::Stopped) => Err(Failure::Stopped),
        () = superseded.wait() => Err(Failure::Superseded),
        () = holder.evicted() => Err(Failure::Evicted),
        carried = carry(&context, &mut stream, job, resume, lease) => carried,
    };
    let mut record = Record {
        who: &who,
        operation,
        name: &name,
        bytes: 0,
        duration: runtime.now().saturating_since(begun),
    };
    match carried {
        Ok(Carried { bytes, what }) => {
            record.bytes = bytes;
            record.done(&what);
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

/// `resume`: the client goes on with what it had sent before.
async fn carry(
    context: &Context,
    stream: &mut Stream,
    job: Job,
    resume: bool,
    lease: Lease,
) -> Result<Carried, Failure> {
    match job {
        Job::Put(begun, _) => put(context, stream, begun, resume, lease).await,
        Job::PutPiped(sink) => put_piped(context, stream, sink, lease).await,
        Job::Get(source, from) => get(context, stream, source, from, lease).await,
        Job::PutTree(target, held) => {
            let done = tree::put(context, stream, *target, lease).await;
            drop(held);
            done
        }
        Job::GetTree(walk) => tree::get(context, stream, *walk, lease).await,
    }
}

/// Receives the file.
async fn put(
    context: &Context,
    stream: &mut Stream,
    begun: Put,
    resume: bool,
    lease: Lease,
) -> Result<Carried, Failure> {
    let (runtime, config) = (&context.runtime, &context.config);
    channel::write(stream, protocol::encode(&Ready { ack: Ack::Ack })?).await?;
    let size = begun.size();
    let (sink, prefix) = spawn_blocking(&**runtime, move || begun.decide(resume)).await?;
    let mut watchdog = Watchdog::new(runtime, config.stall_limit);
    let plan = Receiving {
        size,
        prefix,
        progress: &(),
        is_reported: true,
    };
    let received = receive_file(runtime, stream, sink, plan, &mut watchdog).await;
    judge(context, stream, received, lease).await
}

/// Receives what comes through a pipe; that may stand still as long as a client may.
async fn put_piped(
    context: &Context,
    stream: &mut Stream,
    sink: Box<dyn Sink>,
    lease: Lease,
) -> Result<Carried, Failure> {
    let mut watchdog = Watchdog::new(&context.runtime, context.config.idle_limit);
    let received = receive_piped(&context.runtime, stream, sink, &mut watchdog).await;
    judge(context, stream, received, lease).await
}

/// Gives a received file its name, and the client the verdict. The port is free again before
/// the client hears that all is well, so that its next request finds it.
async fn judge(
    context: &Context,
    stream: &mut Stream,
    received: Result<Received, ReceiveError>,
    lease: Lease,
) -> Result<Carried, Failure> {
    let (runtime, config) = (&context.runtime, &context.config);
    let verdict: Reply<Whole> = match received {
        Ok(received) => received
            .commit(&**runtime)
            .await
            .map_err(|error| refusal(&error)),
        Err(error @ ReceiveError::Integrity) => Err(refusal(&error)),
        Err(error) => return Err(error.into()),
    };
    drop(lease);
    channel::write(stream, protocol::encode_reply(&verdict)?).await?;
    match verdict {
        Ok(whole) => Ok(whole.into()),
        Err(refusal) => {
            // The client is to read the verdict, not a reset.
            let finished = async { Ok(stream.finish().await?) };
            channel::within(runtime, config.close_timeout, finished).await?;
            Err(refusal.into())
        }
    }
}

pub(super) fn refusal(error: &ReceiveError) -> Refusal {
    Refusal::new(error.code(), error.to_string())
}

/// Sends the file and waits for the client's verdict.
async fn get(
    context: &Context,
    stream: &mut Stream,
    source: Box<dyn Source>,
    prefix: Prefix,
    lease: Lease,
) -> Result<Carried, Failure> {
    let (runtime, config) = (&context.runtime, &context.config);
    let ready = channel::read_message::<Ready>(stream);
    channel::within(runtime, config.hello_timeout, ready).await?;
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
        .follow(config.verdict_timeout, heard.verdict::<Whole>(stream))
        .await;
    let whole = verdict.map_err(LinkError::from)???;
    drop(lease);
    if whole.hash != *hash.to_hex() {
        return Err(Refusal::new(Code::Integrity, "the client has another file").into());
    }
    Ok(whole.into())
}
