//! What both programs take on their command lines.

pub(crate) mod keys;

use std::io::{self, IsTerminal};
use std::time::Duration;

use lftp_transport::{Config, Congestion, Recovery};
use tracing::level_filters::LevelFilter;

/// The transport's knobs that are worth a flag.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Tuning")]
pub(crate) struct Tuning {
    /// Congestion control of what this side sends: bbr, bbr3, cubic, newreno or classic
    #[arg(long, value_name = "NAME", global = true)]
    congestion: Option<Congestion>,

    /// Loss recovery: selective, or the seed's go-back-n (both sides the same)
    #[arg(long, value_name = "NAME", global = true)]
    recovery: Option<Recovery>,

    /// Give a connection up after so many seconds of silence
    #[arg(long, value_name = "SECONDS", default_value = "30", global = true,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle_timeout: u64,
}

impl Tuning {
    /// The transport's configuration.
    pub(crate) fn transport(&self) -> Config {
        let mut config = Config {
            idle_timeout: Duration::from_secs(self.idle_timeout),
            ..Config::default()
        };
        if let Some(congestion) = self.congestion {
            config.congestion = congestion;
        }
        if let Some(recovery) = self.recovery {
            config.recovery = recovery;
        }
        config
    }
}

/// Writes the log to stderr, from this level on.
pub(crate) fn log(level: LevelFilter) {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false);
    log.with_writer(io::stderr).with_ansi(colours).init();
}

/// Waits until the process is asked to end.
#[cfg(unix)]
pub(crate) async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM ends this program at once");
            std::future::pending().await
        }
    }
}

/// Waits until the process is asked to end.
#[cfg(not(unix))]
pub(crate) async fn terminated() {
    std::future::pending().await
}

/// Waits for Ctrl-C.
pub(crate) async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C ends this program at once");
        std::future::pending::<()>().await;
    }
}
