//! The command line, and the settings that follow from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lftp_ftp::{ClientConfig, Exit, Filter, Links, Overwrite, Plan};
use lftp_transport::{PublicKey, Runtime};
use tracing::level_filters::LevelFilter;

use crate::failure::Failure;
use crate::host::Host;
use crate::known_servers::KnownServers;
use crate::session::{Output, SessionConfig};
use crate::shared::config_file;
use crate::shared::keys::{self, KeyCommand};
use crate::shared::tuning::Tuning;
use crate::trust::Trust;

const EXAMPLES: &str = "Examples:
  lftp-client put video.mp4 host.example
  lftp-client get video.mp4 host.example:3154 --out /tmp
  lftp-client put -r photos host.example --exclude '*.tmp'
  lftp-client verify video.mp4 copy.mp4 --host host.example
  lftp-client ls host.example
  lftp-client shell host.example
  lftp-client key";

/// Put files on an LFTP server, get them, and list them
///
/// A file appears under its final name, on either side, only when it has arrived completely and
/// its BLAKE3 hash equals that of the original.
#[derive(Parser, Debug)]
#[command(
    version,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", Exit::table(&Exit::CLIENT)),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Send a file
    Put {
        #[command(flatten)]
        put: PutArgs,
        /// The server
        #[arg(value_name = "HOST[:PORT]")]
        host: Host,
        /// Name on the server; default: the local file name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Receive a file
    Get {
        #[command(flatten)]
        get: GetArgs,
        /// The server
        #[arg(value_name = "HOST[:PORT]")]
        host: Host,
        /// Target: a file, an existing folder, or - for standard output; default: the same name
        /// in the folder Download, which is created if missing
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
    },
    /// Compare a local file with the server's file, or with a receipt, by BLAKE3 hash
    #[command(group = clap::ArgGroup::new("with").required(true))]
    Verify {
        /// Name on the server, or in the receipt
        #[arg(value_name = "NAME")]
        name: String,
        /// The local file
        file: PathBuf,
        /// Compare with the file on this server, which reads it to compute its hash
        #[arg(long, value_name = "HOST[:PORT]", group = "with")]
        host: Option<Host>,
        /// Compare with the receipt of an earlier transfer
        #[arg(long, value_name = "FILE", group = "with")]
        receipt: Option<PathBuf>,
    },
    /// List a folder on the server
    Ls {
        /// The server
        #[arg(value_name = "HOST[:PORT]")]
        host: Host,
        /// The folder; default: the root of the shared files
        #[arg(default_value = "", hide_default_value = true)]
        path: String,
    },
    /// Show or create this client's key, which the server's administrator authorizes
    Key {
        #[command(subcommand)]
        command: Option<KeyCommand>,
    },
    /// Run several of these commands on one connection; type "help" there for a list
    Shell {
        /// The server
        #[arg(value_name = "HOST[:PORT]")]
        host: Host,
    },
}

#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    /// The file, or with --recursive the folder; - reads standard input, which needs --name and
    /// cannot be resumed
    pub(crate) file: PathBuf,
    /// Fail if the server already has a file of that name
    #[arg(long, short = 'n')]
    pub(crate) no_clobber: bool,
    /// Write a receipt of the transferred file for "verify": a JSON object with its name, size
    /// and BLAKE3 hash
    #[arg(long, value_name = "FILE", conflicts_with = "recursive")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Name on the server
    pub(crate) name: String,
    /// Fail if the local file already exists
    #[arg(long, short = 'n')]
    pub(crate) no_clobber: bool,
    /// Write a receipt of the transferred file for "verify": a JSON object with its name, size
    /// and BLAKE3 hash
    #[arg(long, value_name = "FILE", conflicts_with = "recursive")]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tree: TreeArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct TreeArgs {
    /// Transfer a folder with everything below it; files that exist on the other side with the
    /// same size and time are not sent again
    #[arg(long, short, help_heading = "Folders")]
    pub(crate) recursive: bool,
    /// Transfer only files that match: *.txt in any folder, docs/*.txt, or docs/**; repeatable
    #[arg(
        long,
        value_name = "PATTERN",
        requires = "recursive",
        help_heading = "Folders"
    )]
    include: Vec<String>,
    /// Leave out files and folders that match; repeatable, takes precedence over --include
    #[arg(
        long,
        value_name = "PATTERN",
        requires = "recursive",
        help_heading = "Folders"
    )]
    exclude: Vec<String>,
    /// Symbolic links: leave them out, or transfer the files they point to
    #[arg(
        long,
        value_enum,
        default_value = "skip",
        requires = "recursive",
        help_heading = "Folders"
    )]
    links: LinksArg,
    /// Existing files that differ
    #[arg(
        long,
        value_enum,
        default_value = "replace",
        requires = "recursive",
        help_heading = "Folders"
    )]
    overwrite: OverwriteArg,
    /// Only print how much would be transferred
    #[arg(long, requires = "recursive", help_heading = "Folders")]
    dry_run: bool,
}

#[derive(Copy, Clone, Debug, ValueEnum)]
enum LinksArg {
    Skip,
    Follow,
}

#[derive(Copy, Clone, Debug, ValueEnum)]
enum OverwriteArg {
    /// Keep them, and fail
    Refuse,
    /// Keep them
    Skip,
    /// Replace those that are older
    Newer,
    /// Replace them
    Replace,
}

impl TreeArgs {
    pub(crate) fn plan(&self, no_clobber: bool) -> Result<Plan, Failure> {
        let filter = Filter::new(&self.include, &self.exclude);
        let filter = filter.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        Ok(Plan {
            filter,
            links: match self.links {
                LinksArg::Skip => Links::Skip,
                LinksArg::Follow => Links::Follow,
            },
            overwrite: match self.overwrite {
                _ if no_clobber => Overwrite::Refuse,
                OverwriteArg::Refuse => Overwrite::Refuse,
                OverwriteArg::Skip => Overwrite::Skip,
                OverwriteArg::Newer => Overwrite::Newer,
                OverwriteArg::Replace => Overwrite::Replace,
            },
            dry_run: self.dry_run,
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Give up connecting after this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "40", global = true,
          help_heading = "Tuning", value_parser = clap::value_parser!(u64).range(1..=3600))]
    connect_timeout: u64,

    /// Abort a transfer that makes no progress for this many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", global = true,
          help_heading = "Tuning", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    stall_limit: u64,

    /// File with this client's key; created if missing [default: ~/.config/lftp/client.key]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Keys")]
    key: Option<PathBuf>,

    /// File with the known servers, one "HOST:PORT KEY" per line [default:
    /// ~/.config/lftp/known_servers]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Keys")]
    known_servers: Option<PathBuf>,

    /// Trust the key of a server that is not known yet, and add it to the known servers; a
    /// server whose key has changed is still refused
    #[arg(long, global = true, help_heading = "Keys")]
    accept_new: bool,

    /// Accept only a server with this key (which it prints when it starts), and ignore the known
    /// servers
    #[arg(long, value_name = "KEY", global = true, help_heading = "Keys")]
    server_key: Option<PublicKey>,

    /// If the connection is lost during a transfer, retry until no new data has been verified for
    /// this many seconds; 0 disables retries
    #[arg(long, value_name = "SECONDS", default_value = "600", global = true,
          help_heading = "Tuning", value_parser = clap::value_parser!(u64).range(0..=31_536_000))]
    give_up_after: u64,

    #[command(flatten)]
    tuning: Tuning,

    /// Print neither progress nor a summary
    #[arg(long, short, global = true, help_heading = "Output")]
    quiet: bool,

    /// Print results as JSON on stdout, one object per line: a transferred file, an entry of a
    /// listing, or an error
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,

    /// Log level on stderr: off, error, warn, info, debug or trace
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "warn",
        global = true,
        help_heading = "Output"
    )]
    pub(crate) log: LevelFilter,
}

impl Options {
    pub(crate) const fn output(&self) -> Output {
        Output {
            quiet: self.quiet,
            json: self.json,
        }
    }

    pub(crate) fn key_file(&self) -> Result<PathBuf, Failure> {
        let path = config_file::path(self.key.as_deref(), "client.key", "--key");
        path.map_err(|message| Failure::new(Exit::LocalFile, message))
    }

    fn trust(&self) -> Result<Trust, Failure> {
        if let Some(key) = self.server_key {
            return Ok(Trust::Pinned(key));
        }
        let given = self.known_servers.as_deref();
        let path = config_file::path(given, "known_servers", "--known-servers");
        let path = path.map_err(|message| Failure::new(Exit::LocalFile, message))?;
        Ok(Trust::Known {
            servers: KnownServers::new(path),
            accept_new: self.accept_new,
        })
    }

    fn client(&self, runtime: &dyn Runtime) -> Result<ClientConfig, Failure> {
        let key = keys::load_or_create(&self.key_file()?, runtime);
        let (identity, _) = key.map_err(|message| Failure::new(Exit::LocalFile, message))?;
        let mut config = ClientConfig::default();
        config.transport = self.tuning.transport();
        config.transport.identity = Some(identity);
        config.connect_timeout = Duration::from_secs(self.connect_timeout);
        config.stall_limit = Duration::from_secs(self.stall_limit);
        Ok(config)
    }

    /// Returns the settings of a session. Loads the client's key, or creates it.
    pub(crate) fn session(&self, runtime: &dyn Runtime) -> Result<SessionConfig, Failure> {
        Ok(SessionConfig {
            client: self.client(runtime)?,
            trust: self.trust()?,
            give_up_after: Duration::from_secs(self.give_up_after),
            output: self.output(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
