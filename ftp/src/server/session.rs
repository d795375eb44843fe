//! One client's control connection: requests and replies, one after another.

use std::sync::Arc;

use bytes::Bytes;
use lftp_transport::{Stream, Time, spawn_blocking, timeout};
use tokio::sync::OwnedSemaphorePermit;

use super::access_log::AccessRecord;
use super::client::{AdmittedClient, ClientIdentity};
use super::context::Context;
use super::grants::Grants;
use super::listing::ListingPass;
use super::put_request::PutRequest;
use super::session_table::{Activity, MAX_RELEASE};
use super::tasks::Stage;
use crate::protocol::blocks::BLOCK_BYTES;
use crate::protocol::channel;
use crate::protocol::{
    self, Cancelled, ClientRequest, Code, Confirmation, Granted, Listing, MessageError, Name,
    NameError, Refusal, Reply, Request, encode_reply,
};
use crate::store::{StoreError, hash_source};

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::new(Code::NameRefused, error.to_string())
    }
}

/// Sends a refusal as the reply to whatever the client asks first, and closes.
async fn refuse(context: &Context, mut stream: Stream, refusal: Refusal) {
    if let Ok(reply) = encode_reply(&Err::<Cancelled, _>(refusal))
        && channel::write(&mut stream, reply).await.is_ok()
    {
        channel::close(&context.runtime, stream, context.config.close_timeout).await;
    }
}

/// Serves a client until it disconnects.
pub(super) async fn serve(context: Arc<Context>, mut stream: Stream, data_port: Option<u16>) {
    let identity = ClientIdentity::of(&stream);
    let (client, key) = (identity.addr, identity.key.map(tracing::field::display));
    let Some(permit) = place(&context, &identity).await else {
        tracing::info!(%client, key, "too many clients");
        let busy = "the server has too many clients; try again later";
        return refuse(&context, stream, Refusal::new(Code::Busy, busy)).await;
    };
    let (shared, of) = (Arc::clone(&context), identity.key);
    let admit = move || shared.config.access.admit(of);
    let admitted = match spawn_blocking(&*context.runtime, admit).await {
        Ok(admission) => {
            let revocation = context.admissions.enter(identity.key, &admission);
            let identity = ClientIdentity {
                revocation,
                ..identity
            };
            let roots = (&context.everything, &context.roots);
            AdmittedClient::new(admission, roots, identity)
        }
        Err(refusal) => {
            drop(permit);
            tracing::info!(%client, key, reason = %refusal.reason, "client refused");
            return refuse(&context, stream, refusal).await;
        }
    };
    let name = Arc::clone(&admitted.identity.name);
    tracing::info!(%client, key, name = &*name, rights = %admitted.rights, "connected");
    let entry = {
        let holder = admitted.identity.holder();
        context.sessions.enter(holder, context.runtime.now())
    };
    let mut session = Session {
        context: Arc::clone(&context),
        client: admitted.clone(),
        activity: entry.activity(),
        grants: Grants::new(
            Arc::clone(&context),
            admitted,
            stream.monitor(),
            data_port,
            entry.activity(),
        ),
        listing: None,
    };
    let revocation = session.client.identity.revocation.clone();
    let end = tokio::select! {
        biased;
        code = revocation.revoked() => Err(code),
        () = entry.evicted() => {
            tracing::info!(%client, key, "an idle client gives its place to another one");
            Err(Code::Busy)
        }
        end = session.converse(&mut stream) => end,
    };
    // Another client may connect now, however long the close of this connection takes.
    drop((session, entry, permit));
    tracing::info!(%client, key, name = &*name, "disconnected");
    match end {
        Ok(()) => channel::close(&context.runtime, stream, context.config.close_timeout).await,
        Err(code) => stream.reset(code.reset_reason()),
    }
}

/// Takes one of the places for clients; that of an idle client when all are taken.
async fn place(context: &Context, identity: &ClientIdentity) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(&context.clients).try_acquire_owned() {
        return Some(permit);
    }
    let runtime = &*context.runtime;
    if !context
        .sessions
        .evict_for(&identity.holder(), runtime.now())
    {
        return None;
    }
    let next = Arc::clone(&context.clients).acquire_owned();
    timeout(runtime, MAX_RELEASE, next).await.ok()?.ok()
}

struct Session {
    context: Arc<Context>,
    client: AdmittedClient,
    activity: Activity,
    grants: Grants,
    /// The rest of the folder that was listed last.
    listing: Option<ListingPass>,
}

impl Session {
    /// Answers requests until the client disconnects, or the session must end with a code.
    async fn converse(&mut self, stream: &mut Stream) -> Result<(), Code> {
        let context = Arc::clone(&self.context);
        loop {
            let body = tokio::select! {
                biased;
                () = context.tasks.reached(Stage::Draining) => return Err(Code::ShuttingDown),
                body = channel::within(
                    &context.runtime,
                    context.config.idle_limit,
                    channel::read_body(stream),
                ) => body,
            };
            let replied = match body {
                Ok(Some(body)) => {
                    self.activity.begin();
                    let replied = match self.reply(&body).await {
                        Ok(reply) => channel::write(stream, reply).await,
                        Err(error) => Err(error.into()),
                    };
                    self.activity.end(context.runtime.now());
                    replied
                }
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = replied {
                let ClientIdentity { key, addr, .. } = &self.client.identity;
                let key = key.map(tracing::field::display);
                tracing::debug!(client = %addr, key, %error, "control connection over");
                return Err(error.code());
            }
        }
    }

    async fn reply(&mut self, body: &[u8]) -> Result<Bytes, MessageError> {
        let started = self.context.runtime.now();
        let request = protocol::decode(body).map(|request: ClientRequest| {
            self.grants.set_shown(request.shown);
            request.request
        });
        let grants = &mut self.grants;
        match request {
            Ok(Request::Put {
                name,
                size,
                overwrite,
                source,
                allocated,
                attributes,
            }) => {
                let request = |name| PutRequest {
                    name,
                    size,
                    overwrite,
                    // A file of one block is sent again as a whole: nothing to resume.
                    source: source.filter(|_| size > BLOCK_BYTES),
                    allocated,
                    attributes,
                };
                let reply = grants.grant_put(&name, request).await;
                self.log("put", &name, started, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::PutPiped { name, overwrite }) => {
                let reply = grants.grant_piped_put(&name, overwrite).await;
                self.log("put-piped", &name, started, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::Get { name, held }) => {
                let reply = grants.grant_get(&name, held).await;
                self.log("get", &name, started, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::PutTree {
                name,
                overwrite,
                dry_run,
                source,
                attributes,
            }) => {
                let terms = (overwrite, dry_run, attributes.mode);
                let reply = grants.grant_put_tree(&name, terms, &source).await;
                self.log("put-tree", &name, started, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::GetTree { name, follow }) => {
                let reply = grants.grant_get_tree(&name, follow).await;
                self.log("get-tree", &name, started, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::Hash { name }) => {
                let reply = self.hash(&name).await;
                self.log("hash", &name, started, &reply, hashed);
                encode_reply(&reply)
            }
            Ok(Request::Ls { path, after }) => {
                let reply = self.ls(&path, after).await;
                self.log("ls", &path, started, &reply, listed);
                encode_reply(&reply)
            }
            Ok(Request::Cancel { token }) => encode_reply(&grants.cancel(token)),
            Err(error) => encode_reply(&Err::<Cancelled, _>(unreadable(&error))),
        }
    }

    /// Writes into the access log what ends with the reply: everything but a granted transfer.
    fn log<T>(
        &self,
        operation: &'static str,
        name: &str,
        started: Time,
        reply: &Reply<T>,
        done: impl Fn(&T) -> Option<(u64, String)>,
    ) {
        let mut record = AccessRecord {
            client: &self.client.identity,
            operation,
            name,
            bytes: 0,
            duration: self.context.runtime.now().saturating_since(started),
        };
        match reply {
            Ok(reply) => match done(reply) {
                Some((bytes, detail)) => {
                    record.bytes = bytes;
                    record.done(&detail);
                }
                None => tracing::debug!(operation, name = ?record.shown_name(), "granted"),
            },
            Err(refusal) => record.failed(refusal.code, refusal),
        }
    }

    /// Reads and hashes a whole file, which counts as a transfer.
    async fn hash(&self, name: &str) -> Reply<Confirmation> {
        self.client.may("verify")?;
        let name = Name::parse(name)?;
        let _lease = self.grants.lease().await?;
        let runtime = &*self.context.runtime;
        let store = Arc::clone(&self.client.root.store);
        let source = spawn_blocking(runtime, move || store.open(&name)).await?;
        let (bytes, hash) = tokio::select! {
            biased;
            () = self.context.tasks.reached(Stage::Stopped) => {
                return Err(Refusal::new(Code::ShuttingDown, "the server is being stopped"));
            }
            hashed = hash_source(runtime, source) => hashed?,
        };
        Ok(Confirmation {
            bytes,
            hash: hash.to_hex().to_string(),
        })
    }

    async fn ls(&mut self, path: &str, after: Option<String>) -> Reply<Listing> {
        self.client.may("ls")?;
        let folder = Name::parse_folder(path)?;
        let runtime = &*self.context.runtime;
        let now = runtime.now();
        let kept = self.listing.take();
        let kept = kept.filter(|pass| pass.serves(folder.as_ref(), after.as_deref(), now));
        let mut pass = match kept {
            Some(pass) => pass,
            None => {
                let store = Arc::clone(&self.client.root.store);
                let read = move || ListingPass::read(&*store, folder, after, now);
                spawn_blocking(runtime, read).await?
            }
        };
        let page = pass.next_page();
        self.listing = Some(pass).filter(|pass| !pass.is_empty());
        Ok(page)
    }
}

fn unreadable(error: &MessageError) -> Refusal {
    let reason = format!("{error}; this server knows put, get, ls and cancel");
    Refusal::new(Code::BadRequest, reason)
}

/// The end of a granted transfer is logged by its own task.
const fn granted(_: &Granted) -> Option<(u64, String)> {
    None
}

fn hashed(file: &Confirmation) -> Option<(u64, String)> {
    Some((file.bytes, file.hash.clone()))
}

fn listed(page: &Listing) -> Option<(u64, String)> {
    Some((0, format!("{} entries", page.entries.len())))
}
