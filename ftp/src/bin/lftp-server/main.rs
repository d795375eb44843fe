//! `lftp-server`: shares one folder with LFTP clients.

mod authorized;
mod authorized_keys;
mod settings;
#[path = "../shared/mod.rs"]
mod shared;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use lftp_ftp::{Access, DataPorts, DirStore, Exit, Rights, Server, ServerConfig, ServerHandle};
use lftp_transport::{PublicKey, Runtime, TokioRuntime};
use tracing::level_filters::LevelFilter;

use crate::authorized::Authorized;
use crate::settings::Settings;
use crate::shared::keys::{self, KeyCommand};

/// Between two searches for incomplete files that nobody will go on with.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// What is left to do for connections that were cut short: a reset is sent more than once.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// Share a folder over LFTP
///
/// Clients put files into it, get files from it and list it; nothing outside of it can be
/// reached. A file has its name only when it has arrived whole. What is carried is encrypted,
/// and a client proves which key is its own: those in the authorized keys are let in, and
/// others only when --anonymous says so.
#[derive(Parser, Debug)]
#[command(version, after_long_help = Exit::table())]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// Take settings from this file of TOML; its keys are the names of these options, and the
    /// command line wins over it
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// The folder to share; it is created when it is not there
    #[arg(long, value_name = "DIR", default_value = "Server")]
    root: PathBuf,

    /// Address and UDP port of the control connections; port 0 takes any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:3154")]
    listen: SocketAddr,

    /// UDP ports of the files, one file at a time on each: 9000-9009, or 9000,9002, or auto:N
    /// (any N free ports), or same (all on the control port; same:N for other than ten at once)
    #[arg(long, value_name = "PORTS", default_value = "9000-9009")]
    data_ports: DataPorts,

    /// The file with this server's key, by which clients know it again; it is made when it is
    /// not there [default: ~/.config/lftp/server.key]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Keys")]
    key: Option<PathBuf>,

    /// The file with the keys of the clients that are let in: options, the KEY that "lftp-client
    /// key" prints, a comment, a line each. Options are read, write or rw; root=FOLDER, in --root
    /// or absolute; quota=10GiB, which all files of that folder may have together. It is read
    /// again for new clients when it was changed [default: ~/.config/lftp/authorized_keys]
    #[arg(long, value_name = "FILE", help_heading = "Keys")]
    authorized_keys: Option<PathBuf>,

    /// Let in whoever comes, also without an authorized key, to read, to write, or both (rw)
    #[arg(long, value_name = "RIGHTS", help_heading = "Keys")]
    anonymous: Option<Rights>,

    /// Clients at once
    #[arg(long, value_name = "N", default_value = "64",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_clients: u32,

    /// Give up a transfer that stands still for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    stall_limit: u64,

    /// Let transfers go on for so many seconds after SIGINT or SIGTERM; a second signal ends
    /// them
    #[arg(long, value_name = "SECONDS", default_value = "10",
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    grace: u64,

    /// Keep what is left of a transfer that broke off for so many hours, for the client to go on
    /// with
    #[arg(long, value_name = "HOURS", default_value = "168",
          value_parser = clap::value_parser!(u64).range(0..=8760))]
    keep_partial: u64,

    /// Do not wait until a received file is on the disk
    #[arg(long)]
    no_fsync: bool,

    #[command(flatten)]
    tuning: shared::Tuning,

    /// What to log on stderr: off, error, warn, info, debug or trace
    #[arg(
        long,
        value_name = "LEVEL",
        default_value = "info",
        help_heading = "Output"
    )]
    log: LevelFilter,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// This server's key, for clients to know it by
    Key {
        #[command(subcommand)]
        command: Option<KeyCommand>,
    },
    /// What holds of the settings, and where it is from
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Print all settings in the form of the file, and end
    Show,
}

fn main() -> ExitCode {
    let settings = match Settings::read(std::env::args_os().collect()) {
        Ok(settings) => settings,
        Err(error) => return fail(Exit::Usage, &error.to_string()),
    };
    if let Some(Command::Config {
        command: ConfigCommand::Show,
    }) = settings.args.command
    {
        print!("{}", settings.show());
        return Exit::Ok.into();
    }
    let args = settings.args;
    let key_file = match keys::place(args.key.as_deref(), "server.key", "--key") {
        Ok(path) => path,
        Err(sentence) => return fail(Exit::LocalFile, &sentence),
    };
    shared::log(args.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Failed, &format!("no threads to run on: {error}")),
    };
    if let Some(Command::Key { command }) = args.command {
        let _inside = runtime.enter();
        return match keys::run(command, &key_file, &*TokioRuntime::new()) {
            Ok(()) => Exit::Ok.into(),
            Err((exit, sentence)) => fail(exit, &sentence),
        };
    }
    runtime.block_on(serve(args, &key_file))
}

async fn serve(args: Args, key_file: &Path) -> ExitCode {
    let store = match open(&args) {
        Ok(store) => Arc::new(store),
        Err(error) => {
            let sentence = format!("the folder to share cannot be used: {error}");
            return fail(Exit::LocalFile, &sentence);
        }
    };
    let mut config = ServerConfig::default();
    config.listen = args.listen;
    config.data_ports = args.data_ports.clone();
    config.transport = args.tuning.transport();
    config.max_clients = usize::try_from(args.max_clients).unwrap_or(usize::MAX);
    config.stall_limit = Duration::from_secs(args.stall_limit);
    config.grace = Duration::from_secs(args.grace);
    let runtime: Arc<dyn Runtime> = TokioRuntime::new();
    let identity = match keys::load_or_make(key_file, &*runtime) {
        Ok((identity, _)) => identity,
        Err(sentence) => return fail(Exit::LocalFile, &sentence),
    };
    let key = identity.public_key();
    config.transport.identity = Some(identity);
    let authorized = match authorized(&args, &store) {
        Ok(authorized) => Arc::new(authorized),
        Err(sentence) => return fail(Exit::LocalFile, &sentence),
    };
    config.access = Access::Listed(Arc::clone(&authorized) as _);
    tokio::spawn(sweep_now_and_then(
        Arc::clone(&runtime),
        Arc::clone(&store),
        authorized,
    ));
    let server = match Server::bind(Arc::clone(&runtime), config, store) {
        Ok(server) => server,
        Err(error) => return fail(Exit::Bind, &error.to_string()),
    };
    announce(&server, key);
    tokio::spawn(obey_signals(server.handle()));
    let ended = server.run().await;
    lftp_transport::sleep(&*runtime, LAST_WORDS).await;
    match ended {
        Ok(()) => Exit::Ok.into(),
        Err(error) => fail(Exit::Failed, &error.to_string()),
    }
}

fn open(args: &Args) -> Result<DirStore, Box<dyn std::error::Error>> {
    match std::fs::create_dir_all(&args.root) {
        // It may be a file: the next step says so.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!("{}: {error}", args.root.display()).into());
        }
        _ => {}
    }
    let store = DirStore::open(&args.root)?
        .durable(!args.no_fsync)
        .keep_parked(Duration::from_secs(args.keep_partial * 3600));
    sweep(&store);
    Ok(store)
}

fn authorized(args: &Args, store: &Arc<DirStore>) -> Result<Authorized, String> {
    let given = args.authorized_keys.as_deref();
    let file = keys::place(given, "authorized_keys", "--authorized-keys")?;
    let settings = authorized::Settings {
        durable: !args.no_fsync,
        keep_parked: Duration::from_secs(args.keep_partial * 3600),
    };
    Authorized::open(
        file,
        given.is_some(),
        args.anonymous,
        Arc::clone(store),
        settings,
    )
}

fn sweep(store: &DirStore) {
    match store.sweep() {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "incomplete files removed that nobody came back for"),
        Err(error) => tracing::warn!(%error, "the folder was not searched for incomplete files"),
    }
}

/// Nobody starts a server anew only because its disk fills up.
async fn sweep_now_and_then(
    runtime: Arc<dyn Runtime>,
    store: Arc<DirStore>,
    authorized: Arc<Authorized>,
) {
    loop {
        lftp_transport::sleep(&*runtime, SWEEP_EVERY).await;
        let mut stores = authorized.elsewhere_in_use();
        stores.push(Arc::clone(&store));
        lftp_transport::unblock(&*runtime, move || {
            stores.iter().for_each(|store| sweep(store));
        })
        .await;
    }
}

/// For scripts that wait for the ports. Nobody reading it is no reason to end.
fn announce(server: &Server, key: PublicKey) {
    let ports = server.data_ports();
    let ports = if ports.is_empty() {
        "same".to_owned()
    } else {
        DataPorts::List(ports).to_string()
    };
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(
        stdout,
        "listening on {}\ndata ports {ports}\nkey {key}",
        server.local_addr()
    );
    let _ = stdout.flush();
}

async fn obey_signals(server: ServerHandle) {
    for stop in [ServerHandle::shutdown, ServerHandle::stop] {
        tokio::select! {
            biased;
            () = shared::interrupted() => tracing::info!("interrupted"),
            () = shared::terminated() => tracing::info!("terminated"),
        }
        stop(&server);
    }
}

fn fail(exit: Exit, sentence: &str) -> ExitCode {
    eprintln!("lftp-server: {sentence}");
    exit.into()
}
