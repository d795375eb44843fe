//! Granted transfers whose data connection has not come yet.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lftp_transport::{PublicKey, Stream};
use tokio::sync::oneshot;

use crate::protocol::Token;

/// Who waits on which port. A clone is another handle on the same claims.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    waiting: Arc<Mutex<BTreeMap<Token, Waiting>>>,
    /// Connections that came before their grant, by what they show and whose they are.
    early: Arc<Mutex<BTreeMap<Shown, oneshot::Sender<()>>>>,
}

/// A token, and the key of the client that shows it.
type Shown = (Token, Option<PublicKey>);

#[derive(Debug)]
struct Waiting {
    port: u16,
    /// To whom it was granted.
    key: Option<PublicKey>,
    hand_over: oneshot::Sender<Arrival>,
}

/// A data connection, and what its hello said.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) stream: Stream,
    /// The file goes on where the server said that it holds it.
    pub(super) resume: bool,
}

/// A transfer's wait for its data connection. Dropping it ends the wait.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    token: Token,
    arrival: oneshot::Receiver<Arrival>,
}

impl Claims {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Token, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits on `port` for a connection of the client with this `key` that shows `token`.
    pub(super) fn expect(&self, token: Token, port: u16, key: Option<PublicKey>) -> Claim {
        let (hand_over, arrival) = oneshot::channel();
        self.waiting().insert(
            token,
            Waiting {
                port,
                key,
                hand_over,
            },
        );
        if let Some(early) = self.early().remove(&(token, key)) {
            // It may have been given up just now.
            let _ = early.send(());
        }
        Claim {
            claims: self.clone(),
            token,
            arrival,
        }
    }

    /// Hands a connection to the transfer that waits for it; gives it back when none does. A
    /// token is good once, on its own port, and from whom it was given to.
    pub(super) fn hand_over(
        &self,
        token: Token,
        port: u16,
        arrival: Arrival,
    ) -> Result<(), Arrival> {
        let key = arrival.stream.peer_key();
        let mut waiting = self.waiting();
        if waiting
            .get(&token)
            .is_none_or(|transfer| transfer.port != port || transfer.key != key)
        {
            return Err(arrival);
        }
        let transfer = waiting.remove(&token);
        drop(waiting);
        match transfer {
            Some(transfer) => transfer.hand_over.send(arrival),
            None => Err(arrival),
        }
    }

    /// Ends the wait of a transfer; whether there was one.
    pub(super) fn cancel(&self, token: Token) -> bool {
        self.waiting().remove(&token).is_some()
    }

    fn early(&self) -> MutexGuard<'_, BTreeMap<Shown, oneshot::Sender<()>>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a transfer waits for this token of the client with this `key`. One connection
    /// waits for one grant; for another that shows the same it is over at once.
    pub(super) async fn granted(&self, token: Token, key: Option<PublicKey>) {
        let (tell, granted) = oneshot::channel();
        let shown = (token, key);
        match self.early().entry(shown) {
            Entry::Occupied(_) => return,
            Entry::Vacant(free) => free.insert(tell),
        };
        let _left = Left {
            claims: self,
            shown,
        };
        if !self.is_waiting(token) {
            let _ = granted.await;
        }
    }

    pub(super) fn is_waiting(&self, token: Token) -> bool {
        self.waiting().contains_key(&token)
    }
}

/// The end of a wait for a grant.
struct Left<'a> {
    claims: &'a Claims,
    shown: Shown,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.claims.early().remove(&self.shown);
    }
}

impl Claim {
    /// The data connection; `None` when the wait was ended.
    pub(super) async fn arrival(&mut self) -> Option<Arrival> {
        (&mut self.arrival).await.ok()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.cancel(self.token);
    }
}
