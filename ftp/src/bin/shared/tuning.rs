//! Command-line options of the transport.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use lftp_transport::{Config, Congestion, Recovery};

/// The transport's settings that have an option.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Tuning")]
pub(crate) struct Tuning {
    /// Congestion control for the data that this side sends
    #[arg(long, value_name = "NAME", global = true, value_parser = congestion_parser())]
    congestion: Option<Congestion>,

    /// Loss recovery: selective, or go-back-n as in the original LFTP (the same on both sides)
    #[arg(long, value_name = "NAME", global = true)]
    recovery: Option<Recovery>,

    /// Close a connection after this many seconds without a packet from the peer
    #[arg(long, value_name = "SECONDS", default_value = "30", global = true,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle_timeout: u64,
}

impl Tuning {
    /// Returns the transport's configuration.
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

/// Returns a parser of built-in congestion controls; the help lists them all.
fn congestion_parser() -> impl TypedValueParser<Value = Congestion> {
    let values = Congestion::ALL.map(|algorithm| {
        PossibleValue::new(algorithm.as_str())
            .help(algorithm.description())
            .aliases(algorithm.old_names())
    });
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Congestion>())
}
