//! The option that says which direction of the network leads from client to server.

use lftp_netem::Direction;

#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ForwardArgs {
    /// The direction of the network, forward or reverse, that packets take from client to server.
    #[arg(long, value_name = "DIRECTION", default_value = "forward")]
    client_to_server: Direction,
    /// The old spelling: `up` is `--client-to-server forward`, `down` is `reverse`.
    #[arg(
        long,
        value_name = "WAY",
        hide = true,
        conflicts_with = "client_to_server"
    )]
    forward: Option<OldSpelling>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OldSpelling {
    Up,
    Down,
}

impl ForwardArgs {
    pub(crate) const fn client_to_server(self) -> Direction {
        match self.forward {
            None => self.client_to_server,
            Some(OldSpelling::Up) => Direction::Forward,
            Some(OldSpelling::Down) => Direction::Reverse,
        }
    }
}
