//! Granted transfers whose data connection has not come yet.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use lftp_transport::{PublicKey, Stream};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::protocol::Token;

/// The transfers that wait, by token. A clone is another handle on the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingTransfers {
    waiting: Arc<Mutex<BTreeMap<Token, Waiting>>>,
    /// Connections that came before their grant, by the token and key that they show.
    early: Arc<Mutex<BTreeMap<Shown, oneshot::Sender<()>>>>,
}

/// A token, and the key of the client that shows it.
type Shown = (Token, Option<PublicKey>);

#[derive(Debug)]
struct Waiting {
    port: u16,
    /// Key of the client that the transfer was granted to.
    key: Option<PublicKey>,
    deliver: oneshot::Sender<DataConnection>,
}

/// A data connection, and what its hello announced.
#[derive(Debug)]
pub(super) struct DataConnection {
    pub(super) stream: Stream,
    /// Whether the file continues behind the blocks that the server holds.
    pub(super) resume: bool,
}

/// A transfer's wait for its data connection. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct PendingTransfer {
    pending: PendingTransfers,
    token: Token,
    connection: oneshot::Receiver<DataConnection>,
}

impl PendingTransfers {
    /// Starts to wait on `port` for a connection of the client with this `key` that shows `token`.
    pub(super) fn expect(
        &self,
        token: Token,
        port: u16,
        key: Option<PublicKey>,
    ) -> PendingTransfer {
        let (deliver, connection) = oneshot::channel();
        let waiting = Waiting { port, key, deliver };
        self.waiting.lock().insert(token, waiting);
        if let Some(early) = self.early.lock().remove(&(token, key)) {
            // The early connection may have timed out just now; then it is not missed.
            let _ = early.send(());
        }
        PendingTransfer {
            pending: self.clone(),
            token,
            connection,
        }
    }

    /// Delivers a connection to the transfer that waits for it; gives it back when none does. A
    /// token is valid once, on its own port, and from the client it was given to.
    pub(super) fn deliver(
        &self,
        token: Token,
        port: u16,
        connection: DataConnection,
    ) -> Result<(), DataConnection> {
        let key = connection.stream.peer_key();
        let mut waiting = self.waiting.lock();
        // A mismatch leaves the transfer waiting: a wrong guess must not cost its owner the grant.
        if waiting
            .get(&token)
            .is_none_or(|transfer| transfer.port != port || transfer.key != key)
        {
            return Err(connection);
        }
        let transfer = waiting.remove(&token);
        drop(waiting);
        match transfer {
            Some(transfer) => transfer.deliver.send(connection),
            None => Err(connection),
        }
    }

    /// Ends the wait of a transfer; returns whether there was one.
    pub(super) fn cancel(&self, token: Token) -> bool {
        self.waiting.lock().remove(&token).is_some()
    }

    /// Waits until this token is granted to the client with this `key`. One connection waits for
    /// one grant; for another that shows the same token it returns at once.
    pub(super) async fn granted(&self, token: Token, key: Option<PublicKey>) {
        let (notify, granted) = oneshot::channel();
        let shown = (token, key);
        match self.early.lock().entry(shown) {
            Entry::Occupied(_) => return,
            Entry::Vacant(free) => free.insert(notify),
        };
        let _registration = EarlyRegistration {
            pending: self,
            shown,
        };
        // Checked after the registration: a grant in between would notify no one.
        if !self.is_waiting(token) {
            let _ = granted.await;
        }
    }

    pub(super) fn is_waiting(&self, token: Token) -> bool {
        self.waiting.lock().contains_key(&token)
    }
}

/// A connection's wait for its grant, until it is dropped.
struct EarlyRegistration<'a> {
    pending: &'a PendingTransfers,
    shown: Shown,
}

impl Drop for EarlyRegistration<'_> {
    fn drop(&mut self) {
        self.pending.early.lock().remove(&self.shown);
    }
}

impl PendingTransfer {
    /// Waits for the data connection; `None` when the wait was ended.
    pub(super) async fn connection(&mut self) -> Option<DataConnection> {
        (&mut self.connection).await.ok()
    }
}

impl Drop for PendingTransfer {
    fn drop(&mut self) {
        self.pending.cancel(self.token);
    }
}
