//! `lftp-client`: puts files on an LFTP server, gets them, lists them.

mod connect;
mod downloads;
mod host;
mod job;
mod json;
mod known;
mod lines;
mod patience;
mod session;
#[path = "../shared/mod.rs"]
mod shared;
mod shell;
mod stdout;
mod trees;
mod trust;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use lftp_ftp::{ClientConfig, Exit};
use lftp_transport::{PublicKey, Runtime, TokioRuntime};
use tracing::level_filters::LevelFilter;

use crate::host::Host;
use crate::job::Job;
use crate::known::KnownServers;
use crate::session::{Failure, LAST_WORDS, Output, Session};
use crate::shared::keys::{self, KeyCommand};
use crate::trees::TreeArgs;
use crate::trust::Trust;

const EXAMPLES: &str = "Examples:
  lftp-client put video.mp4 host.example
  lftp-client get video.mp4 host.example:3154 --out /tmp
  lftp-client put -r photos host.example --exclude '*.tmp'
  lftp-client verify video.mp4 copy.mp4 --host host.example
  lftp-client ls host.example
  lftp-client shell host.example
  lftp-client key";

/// Put files on an LFTP server, get them, list them
///
/// A file has its name, here and there, only when it has arrived whole and its BLAKE3 hash is
/// that of the original.
#[derive(Parser, Debug)]
#[command(
    version,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", Exit::table()),
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Send a file
    Put {
        #[command(flatten)]
        put: PutArgs,
        /// The server
        #[arg(value_name = "HOST[:PORT]")]
        host: Host,
        /// Its name on the server; default: its own
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
        /// Where to: a file, a folder that is there, or - for standard output; default: its own
        /// name in the folder Download, which is made
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
    },
    /// Compare a file with that of the server, or with a receipt, by its BLAKE3 hash
    #[command(group = clap::ArgGroup::new("with").required(true))]
    Verify {
        /// Its name on the server, and in the receipt
        #[arg(value_name = "NAME")]
        name: String,
        /// The file here
        file: PathBuf,
        /// With the file of this server, which reads it for that
        #[arg(long, value_name = "HOST[:PORT]", group = "with")]
        host: Option<Host>,
        /// With what was carried then
        #[arg(long, value_name = "FILE", group = "with")]
        receipt: Option<PathBuf>,
    },
    /// List a folder of the server
    Ls {
        /// The server
        #[arg(value_name = "HOST[:PORT]")]
        host: Host,
        /// The folder; default: all that is shared
        #[arg(default_value = "", hide_default_value = true)]
        path: String,
    },
    /// This client's key, for the server's administrator to let in
    Key {
        #[command(subcommand)]
        command: Option<KeyCommand>,
    },
    /// Do all that, and more than once: "help" there says how
    Shell {
        /// The server
        #[arg(value_name = "HOST[:PORT]")]
        host: Host,
    },
}

#[derive(Args, Debug)]
struct PutArgs {
    /// The file, or with --recursive the folder; - for standard input, which also needs --name
    /// and cannot be gone on with when it breaks off
    file: PathBuf,
    /// Fail when the server has a file of that name already
    #[arg(long, short = 'n')]
    no_clobber: bool,
    /// Write a receipt of the file that was carried: an object of JSON with its name, size and
    /// BLAKE3 hash, for "verify"
    #[arg(long, value_name = "FILE", conflicts_with = "recursive")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
}

#[derive(Args, Debug)]
struct GetArgs {
    /// Its name on the server
    name: String,
    /// Fail when the file is here already
    #[arg(long, short = 'n')]
    no_clobber: bool,
    /// Write a receipt of the file that was carried: an object of JSON with its name, size and
    /// BLAKE3 hash, for "verify"
    #[arg(long, value_name = "FILE", conflicts_with = "recursive")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    tree: TreeArgs,
}

#[derive(Args, Debug)]
struct Options {
    /// Give up connecting after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "40", global = true,
          help_heading = "Tuning", value_parser = clap::value_parser!(u64).range(1..=3600))]
    connect_timeout: u64,

    /// Give up a transfer that stands still for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", global = true,
          help_heading = "Tuning", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    stall_limit: u64,

    /// The file with this client's key; it is made when it is not there [default:
    /// ~/.config/lftp/client.key]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Keys")]
    key: Option<PathBuf>,

    /// The file with the servers that are known: HOST:PORT KEY, a line each [default:
    /// ~/.config/lftp/known_servers]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Keys")]
    known_servers: Option<PathBuf>,

    /// Take a server that is not known yet for what it says, and know it from then on; a server
    /// whose key has changed is refused all the same
    #[arg(long, global = true, help_heading = "Keys")]
    accept_new: bool,

    /// Have nothing to do with a server of any other key (it prints its key at the start),
    /// whatever is known
    #[arg(long, value_name = "KEY", global = true, help_heading = "Keys")]
    server_key: Option<PublicKey>,

    /// When the connection is lost in the middle of a file, try again until nothing was verified
    /// for so many seconds; 0: do not try again
    #[arg(long, value_name = "SECONDS", default_value = "600", global = true,
          help_heading = "Tuning", value_parser = clap::value_parser!(u64).range(0..=31_536_000))]
    give_up_after: u64,

    #[command(flatten)]
    tuning: shared::Tuning,

    /// No progress and no summary
    #[arg(long, short, global = true, help_heading = "Output")]
    quiet: bool,

    /// Results as JSON on stdout, an object a line: a file that was carried, an entry of a
    /// listing, or what went wrong
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,

    /// What to log on stderr: off, error, warn, info, debug or trace
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "warn",
        global = true,
        help_heading = "Output"
    )]
    log: LevelFilter,
}

impl Options {
    fn key_file(&self) -> Result<PathBuf, Failure> {
        let place = keys::place(self.key.as_deref(), "client.key", "--key");
        place.map_err(|sentence| Failure::new(Exit::LocalFile, sentence))
    }

    fn trust(&self) -> Result<Trust, Failure> {
        if let Some(key) = self.server_key {
            return Ok(Trust::Pinned(key));
        }
        let given = self.known_servers.as_deref();
        let place = keys::place(given, "known_servers", "--known-servers");
        let path = place.map_err(|sentence| Failure::new(Exit::LocalFile, sentence))?;
        Ok(Trust::Known {
            servers: KnownServers::new(path),
            accept_new: self.accept_new,
        })
    }

    fn config(&self, runtime: &dyn Runtime) -> Result<ClientConfig, Failure> {
        let own = keys::load_or_make(&self.key_file()?, runtime);
        let (identity, _) = own.map_err(|sentence| Failure::new(Exit::LocalFile, sentence))?;
        let mut config = ClientConfig::default();
        config.transport = self.tuning.transport();
        config.transport.identity = Some(identity);
        config.connect_timeout = Duration::from_secs(self.connect_timeout);
        config.stall_limit = Duration::from_secs(self.stall_limit);
        Ok(config)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    shared::log(cli.options.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("lftp-client: no threads to run on: {error}");
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(run(cli));
    // A thread may still wait for a line of the shell.
    runtime.shutdown_timeout(LAST_WORDS);
    exit.into()
}

async fn run(cli: Cli) -> Exit {
    let runtime: Arc<dyn Runtime> = TokioRuntime::new();
    // In the shell Ctrl-C ends a transfer, not the program.
    let is_shell = matches!(cli.command, Command::Shell { .. });
    let json = cli.options.json;
    let outcome = tokio::select! {
        biased;
        () = shared::interrupted(), if !is_shell => Err(Failure::interrupted()),
        () = shared::terminated() => Err(Failure::interrupted()),
        outcome = execute(cli, Arc::clone(&runtime)) => outcome,
    };
    let Err(failure) = outcome else {
        return Exit::Ok;
    };
    eprintln!("lftp-client: {failure}");
    if json {
        json::print(&json::failure(&failure));
    }
    if failure.exit == Exit::Interrupted {
        lftp_transport::sleep(&*runtime, LAST_WORDS).await;
    }
    failure.exit
}

async fn execute(cli: Cli, runtime: Arc<dyn Runtime>) -> Result<(), Failure> {
    let output = Output {
        quiet: cli.options.quiet,
        json: cli.options.json,
    };
    let options = &cli.options;
    let give_up_after = Duration::from_secs(options.give_up_after);
    let to = async |host, transfers| {
        let mut config = options.config(&*runtime)?;
        config.transfers_at_once = transfers;
        let config = (config, options.trust()?);
        Session::connect(Arc::clone(&runtime), host, config, give_up_after, output).await
    };
    let connect = async |host| to(host, false).await;
    let carry = async |host| to(host, true).await;
    let (session, outcome) = match cli.command {
        Command::Put { put, host, name } => {
            let job = Job::put(put, name)?;
            let mut session = carry(host).await?;
            let outcome = job.run(&mut session).await;
            (session, outcome)
        }
        Command::Get { get, host, out } => {
            let job = Job::get(get, out, output)?;
            let mut session = carry(host).await?;
            let outcome = job.run(&mut session).await;
            (session, outcome)
        }
        Command::Verify {
            name,
            file,
            host: None,
            receipt,
        } => {
            let receipt = receipt.as_deref().unwrap_or_else(|| Path::new(""));
            return verify::with_receipt(&*runtime, output, &name, &file, receipt).await;
        }
        Command::Verify {
            name,
            file,
            host: Some(host),
            ..
        } => {
            let mut session = connect(host).await?;
            let outcome = session.verify(&name, &file).await;
            (session, outcome)
        }
        Command::Ls { host, path } => {
            let mut session = connect(host).await?;
            let outcome = session.ls(&path).await;
            (session, outcome)
        }
        Command::Key { command } => {
            let done = keys::run(command, &options.key_file()?, &*runtime);
            return done.map_err(|(exit, sentence)| Failure::new(exit, sentence));
        }
        Command::Shell { host } => {
            let mut session = connect(host).await?;
            let outcome = shell::run(&mut session).await;
            (session, outcome)
        }
    };
    session.close().await;
    outcome
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
