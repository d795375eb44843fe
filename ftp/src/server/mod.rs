//! The server: one control port, a pool of data ports, a task for everything that waits.
//!
//! ```text
//! accept (control port) ── dispatch ── session ── grants ──────┐ lease, token
//! accept (data ports) ──── dispatch ── token ── transfer task ◄┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | `service`, `config`, `error`, `context`, `tasks` | the server as a whole, and its end |
//! | `accept`, `session`, `listing` | connections, and the requests on a control connection |
//! | `access`, `client`, `storage_root`, `access_log` | who may do what, where, and the log of it |
//! | `session_table`, `shares`, `rate_watch` | who gives back when everything is taken |
//! | `grants`, `put_request`, `pending_transfers` | a request becomes a transfer that waits for its data connection |
//! | `transfer_task`, `upload`, `download`, `tree_transfer`, `outcome` | the transfer itself |
//! | `port_pool`, `lease_table`, `upload_locks`, `quota_usage`, `quota_store`, `guarded_sink` | what transfers share: ports, files, space |
//!
//! A transfer's task owns the lease of its port, the file, and the wait for its data connection;
//! however the task ends, all three are returned. Keep it so: nothing in this room is returned by
//! hand. Relies on [`protocol`](crate::protocol), `transfer` and [`store`](crate::store); knows
//! nothing of the client.

mod accept;
mod access;
mod access_log;
mod client;
mod config;
mod context;
mod download;
mod error;
mod grants;
mod guarded_sink;
mod lease_table;
mod listing;
mod outcome;
mod pending_transfers;
mod port_pool;
mod put_request;
mod quota_store;
mod quota_usage;
mod rate_watch;
#[cfg(test)]
mod resources;
mod revocation;
mod service;
mod session;
mod session_table;
mod shares;
mod storage_root;
mod tasks;
mod transfer_task;
mod tree_transfer;
mod upload;
mod upload_locks;

pub use self::access::{Access, Admission, Admit, InvalidRights, Rights};
pub use self::config::ServerConfig;
pub use self::error::ServeError;
pub use self::port_pool::{Lease, PortPool};
pub use self::service::{Server, ServerHandle};
pub use self::storage_root::StorageRoot;
