//! New connections: what are they for?

use std::sync::{Arc, PoisonError};

use lftp_transport::{Listener, Stream, timeout};

use super::claims::Arrival;
use super::tasks::Stage;
use super::{Context, session};
use crate::protocol::Code;
use crate::protocol::channel::{self, LinkError};
use crate::protocol::{Hello, Purpose};

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
                context.spawn(greet(Arc::clone(&context), stream, addr.port()));
            }
            Err(error) => {
                tracing::error!(%addr, %error, "the server ends");
                *context
                    .failure
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(error);
                return context.tasks.advance(Stage::Draining);
            }
        }
    }
}

/// Reads the hello of a connection to `port` and passes the connection on.
async fn greet(context: Arc<Context>, mut stream: Stream, port: u16) {
    let hello = async {
        let body = channel::read_body(&mut stream)
            .await?
            .ok_or(LinkError::WentAway)?;
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
            if ahead {
                let granted = context.claims.granted(token, stream.peer_key());
                tokio::select! {
                    biased;
                    () = context.tasks.reached(Stage::Stopped) => return,
                    _ = timeout(&*context.runtime, context.config.hello_timeout, granted) => {}
                }
            }
            let arrival = Arrival { stream, resume };
            let Err(unclaimed) = context.claims.hand_over(token, port, arrival) else {
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
