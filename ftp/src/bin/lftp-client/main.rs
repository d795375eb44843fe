//! `lftp-client`: puts files on an LFTP server, gets them, lists them.
//!
//! | module | holds |
//! |---|---|
//! | [`transfer_command`], [`shell`] | `put` and `get`, and the commands of the shell |
//! | [`cli`] | the command line and the settings that follow from it |
//! | [`session`], [`tree`], [`verify`] | the requests made on one connection |
//! | [`trust`], [`known_servers`], [`connect`], [`host`] | reaching and authenticating the server |
//! | [`local_path`], [`downloads`], [`stdout`], [`receipt`] | the local side of a transfer |
//! | [`progress`], [`json`], [`retry`] | reports on stderr and stdout, and retries |
//! | [`failure`] | the error type: a message and an exit code |
//!
//! Each row uses the rows below it only.

mod cli;
mod connect;
mod downloads;
mod failure;
mod host;
mod json;
mod known_servers;
mod local_path;
mod progress;
mod receipt;
mod retry;
mod session;
#[path = "../shared/mod.rs"]
mod shared;
mod shell;
mod stdout;
mod transfer_command;
mod tree;
mod trust;
mod verify;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use lftp_ftp::Exit;
use lftp_transport::{Runtime, TokioRuntime};

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::session::Session;
use crate::shared::{CLOSE_GRACE, keys, output, signals};
use crate::transfer_command::TransferCommand;

fn main() -> ExitCode {
    let cli: Cli = lftp_console::parse("lftp-client", output::exit_number);
    shared::init_logging(cli.options.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            lftp_console::noteln!("lftp-client: cannot start threads: {error}");
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(run(cli));
    // A thread may still be waiting for a line of the shell; it must not delay the exit.
    runtime.shutdown_timeout(CLOSE_GRACE);
    exit.into()
}

async fn run(cli: Cli) -> Exit {
    let runtime: Arc<dyn Runtime> = TokioRuntime::new();
    // In the shell Ctrl-C ends a transfer, not the program.
    let is_shell = matches!(cli.command, Command::Shell { .. });
    let json = cli.options.output().json;
    let result = tokio::select! {
        biased;
        () = signals::interrupted(), if !is_shell => Err(Failure::interrupted()),
        () = signals::terminated() => Err(Failure::interrupted()),
        result = execute(cli, Arc::clone(&runtime)) => result,
    };
    let Err(failure) = result else {
        return Exit::Ok;
    };
    // A reader of standard output that has left has no use for a message either.
    if failure.exit() != Exit::ClosedPipe {
        lftp_console::noteln!("lftp-client: {failure}");
        if json && let Err(error) = json::print(&json::failure(&failure)) {
            tracing::debug!(%error, "the failure cannot be printed as JSON");
        }
    }
    if failure.exit() == Exit::Interrupted {
        lftp_transport::sleep(&*runtime, CLOSE_GRACE).await;
    }
    failure.exit()
}

async fn execute(cli: Cli, runtime: Arc<dyn Runtime>) -> Result<(), Failure> {
    let options = &cli.options;
    let output = options.output();
    let connect_for = async |host, transfers| {
        let mut config = options.session(&*runtime)?;
        config.client.connect_data_early = transfers;
        Session::connect(Arc::clone(&runtime), host, config).await
    };
    let connect = async |host| connect_for(host, false).await;
    let connect_for_transfer = async |host| connect_for(host, true).await;
    let (session, result) = match cli.command {
        Command::Put { put, host, name } => {
            let transfer = TransferCommand::put(put, name)?;
            let mut session = connect_for_transfer(host).await?;
            let result = transfer.run(&mut session).await;
            (session, result)
        }
        Command::Get { get, host, out } => {
            let transfer = TransferCommand::get(get, out, output)?;
            let mut session = connect_for_transfer(host).await?;
            let result = transfer.run(&mut session).await;
            (session, result)
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
            let result = session.verify(&name, &file).await;
            (session, result)
        }
        Command::Ls { host, path } => {
            let mut session = connect(host).await?;
            let result = session.ls(&path).await;
            (session, result)
        }
        Command::Key { command } => {
            let result = keys::run(command, &options.key_file()?, &*runtime);
            return result.map_err(|(exit, message)| Failure::new(exit, message));
        }
        Command::Shell { host } => {
            let mut session = connect(host).await?;
            let result = shell::run(&mut session).await;
            (session, result)
        }
    };
    session.close().await;
    result
}
