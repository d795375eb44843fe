//! New connections, sorted by what they are for.

use std::sync::Arc;

use lftp_transport::{Listener, Stream, timeout};

use super::context::Context;
use super::pending_transfers::DataConnection;
use super::session;
use super::tasks::Stage;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{Code, Hello, Purpose};

/// Accepts on one port until the server ends.
pub(super) async fn accept(context: Arc<Context>, listener: Listener) {
    let addr = listener.local_addr();
    loop {
        let accepted = tokio::select! {
            biased;
            () = context.tasks.reached(Stage::Draining) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                context.spawn(dispatch(Arc::clone(&context), stream, addr.port()));
            }
            // A port that is gone does not come back. The transfers in progress may still use the
            // other ports, so the server drains instead of stopping.
            Err(error) => {
                tracing::error!(%addr, %error, "the server ends");
                *context.failure.lock() = Some(error);
                return context.tasks.advance(Stage::Draining);
            }
        }
    }
}

/// Reads the hello of a connection to `port` and passes the connection on.
async fn dispatch(context: Arc<Context>, mut stream: Stream, port: u16) {
    let hello = async {
        let body = channel::read_body(&mut stream)
            .await?
            .ok_or(ChannelError::WentAway)?;
        Ok(Hello::decode(&body)?)
    };
    let hello = tokio::select! {
        biased;
        () = context.tasks.reached(Stage::Stopped) => return,
        hello = channel::within(&context.runtime, context.config.hello_timeout, hello) => hello,
    };
    let refused = match hello.map(|hello| hello.purpose) {
        Ok(Purpose::Control { data_port }) => {
            return session::serve(context, stream, data_port).await;
        }
        Ok(Purpose::Data {
            token,
            resume,
            ahead,
        }) => {
            // The request for this transfer may still be on its way, or waiting for the disk: the
            // connection is kept until the grant, or for as long as a hello may take.
            if ahead {
                let granted = context.pending.granted(token, stream.peer_key());
                tokio::select! {
                    biased;
                    () = context.tasks.reached(Stage::Stopped) => return,
                    _ = timeout(&*context.runtime, context.config.hello_timeout, granted) => {}
                }
            }
            let connection = DataConnection { stream, resume };
            let Err(unclaimed) = context.pending.deliver(token, port, connection) else {
                return;
            };
            stream = unclaimed.stream;
            Code::BadToken
        }
        Err(error) => {
            tracing::debug!(client = %stream.remote_addr(), %error, "no hello");
            error.code()
        }
    };
    let (client, key) = (stream.remote_addr(), stream.peer_key());
    let key = key.map(tracing::field::display);
    tracing::info!(%client, key, port, code = ?refused, "connection refused");
    stream.reset(refused.reset_reason());
}
