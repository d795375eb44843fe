//! `lftp-server`: shares one folder with LFTP clients.
//!
//! [`args`] is the command line, [`settings`] merges it with the settings file;
//! [`authorized_keys`] parses the file of client keys, and [`mod@authorization`] decides by it.

mod args;
mod authorization;
mod authorized_keys;
mod settings;
#[path = "../shared/mod.rs"]
mod shared;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lftp_console::OutputError;
use lftp_ftp::{Access, DataPorts, DirStore, Exit, Server, ServerConfig, ServerHandle};
use lftp_transport::{PublicKey, Runtime, TokioRuntime};

use crate::args::{Args, Command, ConfigCommand};
use crate::authorization::{Authorization, StoreOptions};
use crate::settings::Settings;
use crate::shared::{CLOSE_GRACE, config_file, keys, output, signals};

/// Interval between two sweeps for expired partial files.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let settings = match Settings::read(std::env::args_os().collect()) {
        Ok(settings) => settings,
        Err(error) => return fail(Exit::Usage, &error.to_string()),
    };
    if let Some(Command::Config {
        command: ConfigCommand::Show,
    }) = settings.args.command
    {
        return match lftp_console::out!("{}", settings.show()) {
            Ok(()) => Exit::Ok.into(),
            Err(error) => fail(output::exit(&error), &error.to_string()),
        };
    }
    let args = settings.args;
    let key_file = match config_file::path(args.key.as_deref(), "server.key", "--key") {
        Ok(path) => path,
        Err(message) => return fail(Exit::LocalFile, &message),
    };
    shared::init_logging(args.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Failed, &format!("cannot start threads: {error}")),
    };
    if let Some(Command::Key { command }) = args.command {
        let _entered = runtime.enter();
        return match keys::run(command, &key_file, &*TokioRuntime::new()) {
            Ok(()) => Exit::Ok.into(),
            Err((exit, message)) => fail(exit, &message),
        };
    }
    runtime.block_on(serve(args, &key_file))
}

async fn serve(args: Args, key_file: &Path) -> ExitCode {
    let store = match open_root(&args) {
        Ok(store) => Arc::new(store),
        Err(error) => {
            let message = format!("cannot use the folder to share: {error}");
            return fail(Exit::LocalFile, &message);
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
    let identity = match keys::load_or_create(key_file, &*runtime) {
        Ok((identity, _)) => identity,
        Err(message) => return fail(Exit::LocalFile, &message),
    };
    let key = identity.public_key();
    config.transport.identity = Some(identity);
    let authorization = match authorization(&args, &store) {
        Ok(authorization) => Arc::new(authorization),
        Err(message) => return fail(Exit::LocalFile, &message),
    };
    config.access = Access::Listed(Arc::clone(&authorization) as _);
    tokio::spawn(sweep_periodically(
        Arc::clone(&runtime),
        Arc::clone(&store),
        authorization,
    ));
    let server = match Server::bind(Arc::clone(&runtime), config, store) {
        Ok(server) => server,
        Err(error) => return fail(Exit::Bind, &error.to_string()),
    };
    // After binding: a script that reads these lines can connect.
    if let Err(error) = announce(&server, key) {
        return fail(output::exit(&error), &error.to_string());
    }
    tokio::spawn(handle_signals(server.handle()));
    let result = server.run().await;
    lftp_transport::sleep(&*runtime, CLOSE_GRACE).await;
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(error) => fail(Exit::Failed, &error.to_string()),
    }
}

fn open_root(args: &Args) -> Result<DirStore, Box<dyn std::error::Error>> {
    match std::fs::create_dir_all(&args.root) {
        // A file has that name: opening it below reports that more clearly.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!("{}: {error}", args.root.display()).into());
        }
        _ => {}
    }
    let store = DirStore::open(&args.root)?
        .durable(!args.no_fsync)
        .keep_partials(Duration::from_secs(args.keep_partial * 3600));
    sweep(&store);
    Ok(store)
}

fn authorization(args: &Args, store: &Arc<DirStore>) -> Result<Authorization, String> {
    let given = args.authorized_keys.as_deref();
    let file = config_file::path(given, "authorized_keys", "--authorized-keys")?;
    let options = StoreOptions {
        durable: !args.no_fsync,
        keep_partials: Duration::from_secs(args.keep_partial * 3600),
    };
    Authorization::open(
        file,
        given.is_some(),
        args.anonymous,
        Arc::clone(store),
        options,
    )
}

fn sweep(store: &DirStore) {
    match store.sweep() {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed expired partial files"),
        Err(error) => tracing::warn!(%error, "cannot search the folder for expired partial files"),
    }
}

/// Removes expired partial files while the server runs, which may be for months.
async fn sweep_periodically(
    runtime: Arc<dyn Runtime>,
    store: Arc<DirStore>,
    authorization: Arc<Authorization>,
) {
    loop {
        lftp_transport::sleep(&*runtime, SWEEP_INTERVAL).await;
        let mut stores = authorization.external_roots();
        stores.push(Arc::clone(&store));
        lftp_transport::spawn_blocking(&*runtime, move || {
            stores.iter().for_each(|store| sweep(store));
        })
        .await;
    }
}

/// Prints addresses and key on stdout, for scripts that wait for the server. A reader that has
/// left is no error: it did not want to wait.
fn announce(server: &Server, key: PublicKey) -> Result<(), OutputError> {
    let ports = server.data_ports();
    let ports = if ports.is_empty() {
        "same".to_owned()
    } else {
        DataPorts::List(ports).to_string()
    };
    let addr = server.local_addr();
    match lftp_console::outln!("listening on {addr}\ndata ports {ports}\nkey {key}") {
        Err(error) if error.is_closed_pipe() => Ok(()),
        printed => printed,
    }
}

/// Shuts down gracefully at the first signal, at once at the second.
async fn handle_signals(server: ServerHandle) {
    for stop in [ServerHandle::shutdown, ServerHandle::stop] {
        tokio::select! {
            biased;
            () = signals::interrupted() => tracing::info!("interrupted"),
            () = signals::terminated() => tracing::info!("terminated"),
        }
        stop(&server);
    }
}

fn fail(exit: Exit, message: &str) -> ExitCode {
    // A reader of standard output that has left has no use for a message either.
    if exit != Exit::ClosedPipe {
        lftp_console::noteln!("lftp-server: {message}");
    }
    exit.into()
}
