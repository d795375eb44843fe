//! One client's control connection: requests and replies, one after another.

use std::sync::Arc;

use bytes::Bytes;
use lftp_transport::{Stream, StreamMonitor, Time, spawn_blocking};

use super::Context;
use super::access::{Client, Who};
use super::log::Record;
use super::port_pool::Lease;
use super::put::Wanted;
use super::receptions::Reception;
use super::tasks::Stage;
use super::transfer::{self, Job, Transfer};
use crate::protocol::Code;
use crate::protocol::blocks::{BLOCK_BYTES, Prefix};
use crate::protocol::channel;
use crate::protocol::{
    self, Asked, Cancelled, Entry, Granted, Held, Listing, MessageError, Overwrite, Refusal, Reply,
    Request, Token, Whole, encode_reply,
};
use crate::protocol::{Name, NameError};
use crate::store::{StoreError, hash_source};
use crate::transfer::resume;
use crate::transfer::tree::Filter;
use crate::transfer::tree::Target;
use crate::transfer::tree::{Links, Walk};

/// Entries read for one page of a listing.
const MAX_PAGE_ENTRIES: usize = 500;

/// JSON of the entries of one page, in bytes; leaves room for the frame around them.
const MAX_PAGE_BYTES: usize = protocol::MAX_MESSAGE_BYTES - 4096;

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

/// Answers whatever the client asks with a refusal.
async fn turn_away(context: &Context, mut stream: Stream, refusal: Refusal) {
    if let Ok(reply) = encode_reply(&Err::<Cancelled, _>(refusal))
        && channel::write(&mut stream, reply).await.is_ok()
    {
        channel::close(&context.runtime, stream, context.config.close_timeout).await;
    }
}

/// Serves a client until it leaves.
pub(super) async fn serve(context: Arc<Context>, mut stream: Stream, data_port: Option<u16>) {
    let who = Who::of(&stream);
    let (client, key) = (who.client, who.key.map(tracing::field::display));
    let Ok(place) = Arc::clone(&context.clients).try_acquire_owned() else {
        tracing::info!(%client, key, "too many clients");
        let busy = "the server has too many clients; try again later";
        return turn_away(&context, stream, Refusal::new(Code::Busy, busy)).await;
    };
    let (asked, of) = (Arc::clone(&context), who.key);
    let admit = move || asked.config.access.admit(of);
    let admitted = match spawn_blocking(&*context.runtime, admit).await {
        Ok(admission) => Client::new(admission, &context.everything, who),
        Err(refusal) => {
            drop(place);
            tracing::info!(%client, key, reason = refusal.reason, "client refused");
            return turn_away(&context, stream, refusal).await;
        }
    };
    let name = Arc::clone(&admitted.who.name);
    tracing::info!(%client, key, name = &*name, rights = %admitted.rights, "connected");
    let mut session = Session {
        context: Arc::clone(&context),
        client: admitted,
        monitor: stream.monitor(),
        data_port,
        shown: None,
        granted: Vec::new(),
    };
    let left = loop {
        let body = tokio::select! {
            biased;
            () = context.tasks.reached(Stage::Draining) => {
                break Err(Code::ShuttingDown);
            }
            body = channel::within(
                &context.runtime,
                context.config.idle_limit,
                channel::read_body(&mut stream),
            ) => body,
        };
        let replied = match body {
            Ok(Some(body)) => match session.reply(&body).await {
                Ok(reply) => channel::write(&mut stream, reply).await,
                Err(error) => Err(error.into()),
            },
            Ok(None) => break Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = replied {
            tracing::debug!(%client, key, %error, "control connection over");
            break Err(error.code());
        }
    };
    // The place is free for the next one, however long the end of this one takes.
    drop((session, place));
    tracing::info!(%client, key, name = &*name, "disconnected");
    match left {
        Ok(()) => channel::close(&context.runtime, stream, context.config.close_timeout).await,
        Err(code) => stream.reset(code.reset_reason()),
    }
}

struct Session {
    context: Arc<Context>,
    client: Client,
    /// Of the control connection.
    monitor: StreamMonitor,
    /// Where the client comes while it asks.
    data_port: Option<u16>,
    /// What it shows there, if it has said so with this request.
    shown: Option<Token>,
    /// Transfers whose data connection may still be on its way.
    granted: Vec<Token>,
}

impl Drop for Session {
    fn drop(&mut self) {
        for &token in &self.granted {
            self.context.claims.cancel(token);
        }
    }
}

impl Session {
    async fn reply(&mut self, body: &[u8]) -> Result<Bytes, MessageError> {
        let begun = self.context.runtime.now();
        let asked = protocol::decode(body).map(|asked: Asked| {
            self.shown = asked.shown;
            asked.request
        });
        match asked {
            Ok(Request::Put {
                name,
                size,
                overwrite,
                source,
                allocated,
            }) => {
                let wanted = |name| Wanted {
                    name,
                    size,
                    overwrite,
                    source: source.filter(|_| size > BLOCK_BYTES),
                    allocated,
                };
                let reply = self.put(&name, wanted).await;
                self.logged("put", &name, begun, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::PutPiped { name, overwrite }) => {
                let reply = self.put_piped(&name, overwrite).await;
                self.logged("put-piped", &name, begun, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::Get { name, held, source }) => {
                let reply = self.get(&name, held.as_ref(), source.as_deref()).await;
                self.logged("get", &name, begun, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::PutTree {
                name,
                overwrite,
                dry_run,
                source,
            }) => {
                let reply = self.put_tree(&name, overwrite, dry_run, &source).await;
                self.logged("put-tree", &name, begun, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::GetTree { name, follow }) => {
                let reply = self.get_tree(&name, follow).await;
                self.logged("get-tree", &name, begun, &reply, granted);
                encode_reply(&reply)
            }
            Ok(Request::Hash { name }) => {
                let reply = self.hash(&name).await;
                let done = |whole: &Whole| Some((whole.bytes, whole.hash.clone()));
                self.logged("hash", &name, begun, &reply, done);
                encode_reply(&reply)
            }
            Ok(Request::Ls { path, after }) => {
                let reply = self.ls(&path, after).await;
                let done = |page: &Listing| Some((0, format!("{} entries", page.entries.len())));
                self.logged("ls", &path, begun, &reply, done);
                encode_reply(&reply)
            }
            Ok(Request::Cancel { token }) => {
                self.context.claims.cancel(token);
                encode_reply(&Ok(Cancelled {}))
            }
            Err(error) => encode_reply(&Err::<Cancelled, _>(unreadable(&error))),
        }
    }

    /// Writes into the access log what is over with the reply: everything but what was granted.
    fn logged<T>(
        &self,
        operation: &'static str,
        name: &str,
        begun: Time,
        reply: &Reply<T>,
        done: impl Fn(&T) -> Option<(u64, String)>,
    ) {
        let mut record = Record {
            who: &self.client.who,
            operation,
            name,
            bytes: 0,
            duration: self.context.runtime.now().saturating_since(begun),
        };
        match reply {
            Ok(reply) => match done(reply) {
                Some((bytes, detail)) => {
                    record.bytes = bytes;
                    record.done(&detail);
                }
                None => tracing::debug!(operation, name, "granted"),
            },
            Err(refusal) => record.failed(refusal.code, refusal),
        }
    }

    async fn put(&mut self, name: &str, wanted: impl FnOnce(Name) -> Wanted) -> Reply<Granted> {
        self.client.may("put")?;
        let name = Name::parse(name)?;
        let lease = self.lease().await?;
        let context = &*self.context;
        let wanted = wanted(name.clone());
        let size = wanted.size;
        let reception = match wanted.key() {
            Some(key) => {
                let key = self.client.own(&key);
                context.receptions.take_over(&*context.runtime, &key).await
            }
            None => None,
        };
        let client = self.client.clone();
        let superseded = reception.as_ref().map(Reception::superseded);
        let begin = move || wanted.begin(client.store_to_write()?, reception);
        let put = spawn_blocking(&*context.runtime, begin).await?;
        let held = put.held(&*context.runtime);
        let job = Job::Put(put, superseded.unwrap_or_default());
        let mut granted = self.grant(lease, name.to_string(), size, job);
        granted.held = held;
        Ok(granted)
    }

    async fn put_piped(&mut self, name: &str, overwrite: bool) -> Reply<Granted> {
        self.client.may("put")?;
        let name = Name::parse(name)?;
        let lease = self.lease().await?;
        let (client, wanted) = (self.client.clone(), name.clone());
        let create = move || client.store_to_write()?.create(&wanted, 0, overwrite);
        let sink = spawn_blocking(&*self.context.runtime, create).await?;
        Ok(self.grant(lease, name.to_string(), 0, Job::PutPiped(sink)))
    }

    async fn get(&mut self, name: &str, held: Option<&Held>, of: Option<&str>) -> Reply<Granted> {
        self.client.may("get")?;
        let name = Name::parse(name)?;
        let lease = self.lease().await?;
        let runtime = &*self.context.runtime;
        let store = Arc::clone(&self.client.place.store);
        let wanted = name.clone();
        let mut source = spawn_blocking(runtime, move || store.open(&wanted)).await?;
        let size = source.size();
        let fingerprint = source.fingerprint().filter(|_| size > BLOCK_BYTES);
        let allocated = source.allocated();
        let mut prefix = Prefix::default();
        if let Some(held) = held.filter(|_| of.is_some() && of == fingerprint.as_deref()) {
            (source, prefix) = resume::go_on(runtime, source, held).await?;
        }
        let from = prefix.bytes();
        let mut granted = self.grant(lease, name.to_string(), size, Job::Get(source, prefix));
        (granted.from, granted.source) = (from, fingerprint);
        granted.allocated = allocated;
        Ok(granted)
    }

    async fn put_tree(
        &mut self,
        name: &str,
        overwrite: Overwrite,
        dry_run: bool,
        source: &str,
    ) -> Reply<Granted> {
        self.client.may("put")?;
        let root = Name::parse_folder(name)?;
        let lease = self.lease().await?;
        let context = &*self.context;
        let key = format!("put-tree {source}");
        let place = self.client.own(&format!("{key} {name}"));
        let reception = context
            .receptions
            .take_over(&*context.runtime, &place)
            .await;
        let client = self.client.clone();
        let store = spawn_blocking(&*context.runtime, move || client.store_to_write()).await?;
        let target = Target {
            store,
            root,
            overwrite,
            filter: Filter::default(),
            dry_run,
            key,
        };
        let job = Job::PutTree(Box::new(target), reception);
        Ok(self.grant(lease, shown(name), 0, job))
    }

    async fn get_tree(&mut self, name: &str, follow: bool) -> Reply<Granted> {
        self.client.may("get")?;
        let root = Name::parse_folder(name)?;
        let lease = self.lease().await?;
        let store = Arc::clone(&self.client.place.store);
        let links = if follow { Links::Follow } else { Links::Skip };
        let mut walk = Walk::new(store, root, Filter::default(), links);
        let begin = move || walk.begin().map(|()| walk);
        let walk = spawn_blocking(&*self.context.runtime, begin).await?;
        Ok(self.grant(lease, shown(name), 0, Job::GetTree(Box::new(walk))))
    }

    /// Reads a whole file; that counts as a transfer.
    async fn hash(&self, name: &str) -> Reply<Whole> {
        self.client.may("verify")?;
        let name = Name::parse(name)?;
        let _lease = self.lease().await?;
        let runtime = &*self.context.runtime;
        let store = Arc::clone(&self.client.place.store);
        let source = spawn_blocking(runtime, move || store.open(&name)).await?;
        let (bytes, hash) = tokio::select! {
            biased;
            () = self.context.tasks.reached(Stage::Stopped) => {
                return Err(Refusal::new(Code::ShuttingDown, "the server is being stopped"));
            }
            hashed = hash_source(runtime, source) => hashed?,
        };
        Ok(Whole {
            bytes,
            hash: hash.to_hex().to_string(),
        })
    }

    /// A data port: that which the client is at, another free one, or that of a transfer of this
    /// client's that nobody is left of.
    async fn lease(&self) -> Reply<Lease> {
        let Context {
            pool,
            holders,
            runtime,
            ..
        } = &*self.context;
        let at_it = self.data_port.and_then(|port| pool.lease_at(port));
        if let Some(lease) = at_it.or_else(|| pool.lease()) {
            return Ok(lease);
        }
        let made = holders.make_room(&**runtime, pool, self.client.who.key);
        made.await.ok_or_else(|| {
            let size = pool.size();
            let reason =
                format!("the server carries {size} files at once already; try again later");
            Refusal::new(Code::Busy, reason)
        })
    }

    fn grant(&mut self, lease: Lease, name: String, size: u64, job: Job) -> Granted {
        let port = lease.port();
        let shown = self.shown.take().filter(|&token| {
            self.data_port == Some(port) && !self.context.claims.is_waiting(token)
        });
        let token = shown.unwrap_or_else(|| Token::draw(&*self.context.runtime));
        let claim = self.context.claims.expect(token, port, self.client.who.key);
        self.granted
            .retain(|&earlier| self.context.claims.is_waiting(earlier));
        self.granted.push(token);
        let key = self.client.who.key;
        let transfer = Transfer {
            holder: self.context.holders.enter(key, self.monitor.clone()),
            who: self.client.who.clone(),
            name,
            job,
            lease,
            claim,
        };
        self.context
            .spawn(transfer::run(Arc::clone(&self.context), transfer));
        Granted {
            port,
            size,
            token,
            held: None,
            from: 0,
            source: None,
            allocated: None,
        }
    }

    async fn ls(&self, path: &str, after: Option<String>) -> Reply<Listing> {
        self.client.may("ls")?;
        let folder = Name::parse_folder(path)?;
        let store = Arc::clone(&self.client.place.store);
        let list = move || store.list(folder.as_ref(), after.as_deref(), MAX_PAGE_ENTRIES + 1);
        let entries = spawn_blocking(&*self.context.runtime, list).await?;
        Ok(page(entries))
    }
}

fn unreadable(error: &MessageError) -> Refusal {
    let words = format!("{error}; this server knows put, get, ls and cancel");
    Refusal::new(Code::BadRequest, words)
}

/// A folder for the log.
fn shown(folder: &str) -> String {
    format!("{}/", folder.trim_end_matches('/'))
}

/// As many entries as fit one message.
fn page(mut entries: Vec<Entry>) -> Listing {
    let found = entries.len();
    let mut room = MAX_PAGE_BYTES;
    let fits = entries.iter().take(MAX_PAGE_ENTRIES).take_while(|entry| {
        let bytes = serde_json::to_vec(entry).map_or(usize::MAX, |json| json.len() + 1);
        let fits = bytes <= room;
        room = room.saturating_sub(bytes);
        fits
    });
    let count = fits.count();
    entries.truncate(count);
    Listing {
        more: count < found,
        entries,
    }
}

/// The end of a transfer is for its own task to tell.
const fn granted(_: &Granted) -> Option<(u64, String)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{EntryKind, MAX_MESSAGE_BYTES};

    #[test]
    fn a_page_of_the_longest_names_fits_a_message_and_none_is_lost() {
        let name = |i: usize| format!("{i:06}{}", "\u{7f}é".repeat(83));
        let entry = |i| Entry {
            name: name(i),
            kind: EntryKind::File,
            size: u64::MAX,
        };
        let mut left: Vec<Entry> = (0..1200).map(entry).collect();
        let mut pages = 0;
        while !left.is_empty() {
            let listing = page(left.iter().take(MAX_PAGE_ENTRIES + 1).cloned().collect());
            let count = listing.entries.len();
            assert!(count > 0);
            assert_eq!(listing.entries, left[..count]);
            assert_eq!(listing.more, count < left.len());
            assert!(
                encode_reply(&Ok(listing)).unwrap().len()
                    <= MAX_MESSAGE_BYTES + protocol::LENGTH_BYTES
            );
            left.drain(..count);
            pages += 1;
        }
        assert!(pages > 2);
    }
}
