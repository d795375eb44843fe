//! Signals that ask the program to end.

/// Waits for SIGTERM.
#[cfg(unix)]
pub(crate) async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "no handler for SIGTERM: it ends this program immediately");
            std::future::pending().await
        }
    }
}

/// Waits for ever: there is no SIGTERM on this platform.
#[cfg(not(unix))]
pub(crate) async fn terminated() {
    std::future::pending().await
}

/// Waits for Ctrl-C.
pub(crate) async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "no handler for Ctrl-C: it ends this program immediately");
        std::future::pending::<()>().await;
    }
}
