//! What a session grants: a data port, and the file or tree that is transferred there.

use std::sync::Arc;

use lftp_transport::{StreamMonitor, spawn_blocking};

use super::client::AdmittedClient;
use super::context::Context;
use super::port_pool::Lease;
use super::put_request::PutRequest;
use super::session_table::Activity;
use super::transfer_task::{self, GrantedTransfer, Transfer};
use super::upload_locks::UploadLock;
use crate::protocol::blocks::{self, BLOCK_BYTES};
use crate::protocol::{
    Attributes, Cancelled, Code, Granted, HeldBlocks, Name, Overwrite, Refusal, Reply, Token,
};
use crate::store::CreateOptions;
use crate::transfer::resume;
use crate::transfer::tree::{Filter, Links, TreeTarget, Walk};

/// Transfers granted to one client. Dropping it cancels those that have not started.
pub(super) struct Grants {
    context: Arc<Context>,
    client: AdmittedClient,
    /// Monitor of the control connection.
    monitor: StreamMonitor,
    /// Data port that the client connects to while it asks.
    data_port: Option<u16>,
    activity: Activity,
    /// Token that the client shows there, if this request announced one.
    shown: Option<Token>,
    /// Transfers whose data connection may still be on its way.
    granted: Vec<Token>,
}

impl Drop for Grants {
    fn drop(&mut self) {
        for &token in &self.granted {
            self.context.pending.cancel(token);
        }
    }
}

impl Grants {
    pub(super) const fn new(
        context: Arc<Context>,
        client: AdmittedClient,
        monitor: StreamMonitor,
        data_port: Option<u16>,
        activity: Activity,
    ) -> Self {
        Self {
            context,
            client,
            monitor,
            data_port,
            activity,
            shown: None,
            granted: Vec::new(),
        }
    }

    /// Notes the token that the next request announced.
    pub(super) const fn set_shown(&mut self, shown: Option<Token>) {
        self.shown = shown;
    }

    /// Cancels a transfer that was granted to this very client.
    pub(super) fn cancel(&self, token: Token) -> Reply<Cancelled> {
        if !self.granted.contains(&token) {
            let reason = "no transfer of this connection has that token";
            return Err(Refusal::new(Code::BadToken, reason));
        }
        self.context.pending.cancel(token);
        Ok(Cancelled {})
    }

    pub(super) async fn grant_put(
        &mut self,
        name: &str,
        request: impl FnOnce(Name) -> PutRequest,
    ) -> Reply<Granted> {
        self.client.may("put")?;
        let name = Name::parse(name)?;
        let lease = self.lease().await?;
        let context = &*self.context;
        let request = request(name.clone());
        let size = request.size;
        let upload_lock = match request.lock_key() {
            Some(key) => {
                let key = self.client.qualified(&key);
                context.upload_locks.acquire(&*context.runtime, &key).await
            }
            None => None,
        };
        let client = self.client.clone();
        let preemption = upload_lock.as_ref().map(UploadLock::preemption);
        let open = move || request.open(client.store_to_write(), upload_lock);
        let upload = spawn_blocking(&*context.runtime, open).await?;
        let held = upload.held_blocks(&*context.runtime);
        let transfer = Transfer::Put(upload, preemption.unwrap_or_default());
        let mut granted = self.grant(lease, name.to_string(), size, transfer);
        granted.held = held;
        Ok(granted)
    }

    pub(super) async fn grant_piped_put(&mut self, name: &str, overwrite: bool) -> Reply<Granted> {
        self.client.may("put")?;
        let name = Name::parse(name)?;
        let lease = self.lease().await?;
        let (client, target) = (self.client.clone(), name.clone());
        // The size is known at the end only; what a pipe delivered cannot be read again, so the
        // file is not resumable either.
        let options = CreateOptions::new(0, overwrite);
        let create = move || client.store_to_write().create(&target, options);
        let sink = spawn_blocking(&*self.context.runtime, create).await?;
        Ok(self.grant(lease, name.to_string(), 0, Transfer::PutPiped(sink)))
    }

    pub(super) async fn grant_get(
        &mut self,
        name: &str,
        held: Option<HeldBlocks>,
    ) -> Reply<Granted> {
        self.client.may("get")?;
        let name = Name::parse(name)?;
        let lease = self.lease().await?;
        let runtime = &*self.context.runtime;
        let store = Arc::clone(&self.client.root.store);
        let file = name.clone();
        let mut source = spawn_blocking(runtime, move || store.open(&file)).await?;
        let size = source.size();
        let fingerprint = source.fingerprint().filter(|_| size > BLOCK_BYTES);
        let (allocated, attributes) = (source.allocated(), source.attributes());
        let mut blocks = 0;
        if let Some(held) = held.filter(|_| fingerprint.is_some()) {
            (source, blocks) = resume::seek_to_held(runtime, source, &held).await?;
        }
        let from = blocks::offset(blocks);
        let transfer = Transfer::Get(source, blocks);
        let mut granted = self.grant(lease, name.to_string(), size, transfer);
        (granted.from, granted.source) = (from, fingerprint);
        (granted.allocated, granted.attributes) = (allocated, attributes);
        Ok(granted)
    }

    pub(super) async fn grant_put_tree(
        &mut self,
        name: &str,
        (overwrite, dry_run, mode): (Overwrite, bool, Option<u32>),
        source: &str,
    ) -> Reply<Granted> {
        self.client.may("put")?;
        let root = Name::parse_folder(name)?;
        let lease = self.lease().await?;
        let context = &*self.context;
        let key = format!("put-tree {source}");
        let lock_key = self.client.qualified(&format!("{key} {name}"));
        let upload_lock = context
            .upload_locks
            .acquire(&*context.runtime, &lock_key)
            .await;
        let target = TreeTarget {
            store: self.client.store_to_write(),
            root,
            overwrite,
            filter: Filter::default(),
            dry_run,
            key,
            mode,
        };
        let transfer = Transfer::PutTree(Box::new(target), upload_lock);
        Ok(self.grant(lease, log_name(name), 0, transfer))
    }

    pub(super) async fn grant_get_tree(&mut self, name: &str, follow: bool) -> Reply<Granted> {
        self.client.may("get")?;
        let root = Name::parse_folder(name)?;
        let lease = self.lease().await?;
        let store = Arc::clone(&self.client.root.store);
        let links = if follow { Links::Follow } else { Links::Skip };
        let mut walk = Walk::new(store, root, Filter::default(), links);
        // A folder that cannot be read is refused here, not after the grant.
        let start = move || walk.start().map(|()| walk);
        let walk = spawn_blocking(&*self.context.runtime, start).await?;
        let mode = walk.root_mode();
        let transfer = Transfer::GetTree(Box::new(walk));
        let mut granted = self.grant(lease, log_name(name), 0, transfer);
        granted.attributes.mode = mode;
        Ok(granted)
    }

    /// Leases a data port: the one that the client is connecting to, else any free one, else
    /// that of a dead transfer of the same client.
    pub(super) async fn lease(&self) -> Reply<Lease> {
        let Context {
            pool,
            lease_table,
            runtime,
            ..
        } = &*self.context;
        let expected = self.data_port.and_then(|port| pool.lease_at(port));
        if let Some(lease) = expected.or_else(|| pool.lease()) {
            return Ok(lease);
        }
        let key = self.client.identity.key;
        let mut reclaimed = lease_table.reclaim(&**runtime, pool, key).await;
        if reclaimed.is_none() {
            let newcomer = self.client.identity.holder();
            reclaimed = lease_table.reclaim_for(&**runtime, pool, &newcomer).await;
        }
        reclaimed.ok_or_else(|| {
            let size = pool.size();
            let reason = format!("the server is at its limit of {size} transfers; try again later");
            Refusal::new(Code::Busy, reason)
        })
    }

    fn grant(&mut self, lease: Lease, name: String, size: u64, transfer: Transfer) -> Granted {
        let context = &self.context;
        let port = lease.port();
        // The client's own token is good only where the client already is, and once.
        let shown = self
            .shown
            .take()
            .filter(|&token| self.data_port == Some(port) && !context.pending.is_waiting(token));
        let token = shown.unwrap_or_else(|| Token::generate(&*context.runtime));
        let key = self.client.identity.key;
        let pending = context.pending.expect(token, port, key);
        self.granted
            .retain(|&earlier| context.pending.is_waiting(earlier));
        self.granted.push(token);
        let granted = GrantedTransfer {
            lease_entry: context.lease_table.enter(
                (key, self.client.identity.holder()),
                self.monitor.clone(),
                context.runtime.now(),
            ),
            activity: self.activity.clone(),
            client: self.client.identity.clone(),
            name,
            transfer,
            lease,
            pending,
        };
        context.spawn(transfer_task::run(Arc::clone(context), granted));
        Granted {
            port,
            size,
            token,
            held: None,
            from: 0,
            source: None,
            allocated: None,
            attributes: Attributes::default(),
        }
    }
}

/// Name of a folder for the log.
fn log_name(folder: &str) -> String {
    format!("{}/", folder.trim_end_matches('/'))
}
