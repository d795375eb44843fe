//! `put` and `get`, of the command line and of the shell: checked locally first, then run.

use std::path::PathBuf;

use lftp_ftp::{Exit, Plan, Receipt};

use crate::cli::{GetArgs, PutArgs};
use crate::failure::Failure;
use crate::local_path::{self, LocalTarget, is_pipe};
use crate::receipt;
use crate::session::{Output, Session};
use crate::tree::LocalTree;

/// A transfer whose local side is ready.
pub(crate) enum TransferCommand {
    Put {
        file: PathBuf,
        name: String,
        overwrite: bool,
        receipt: Option<PathBuf>,
    },
    /// From standard input.
    PutPiped {
        name: String,
        overwrite: bool,
        receipt: Option<PathBuf>,
    },
    Get {
        name: String,
        target: LocalTarget,
        overwrite: bool,
        receipt: Option<PathBuf>,
    },
    PutTree {
        local: LocalTree,
        name: String,
        plan: Plan,
    },
    GetTree {
        local: LocalTree,
        name: String,
        plan: Plan,
    },
}

impl TransferCommand {
    pub(crate) fn put(put: PutArgs, name: Option<String>) -> Result<Self, Failure> {
        // --recursive of a single file is an ordinary put, as with cp.
        if put.tree.recursive && put.file.is_dir() {
            let plan = put.tree.plan(put.no_clobber)?;
            let (local, name) = LocalTree::to_send(&put.file, name)?;
            return Ok(Self::PutTree { local, name, plan });
        }
        if is_pipe(&put.file) {
            let unnamed = "standard input has no file name; choose a name with --name";
            return Ok(Self::PutPiped {
                name: name.ok_or_else(|| Failure::new(Exit::Usage, unnamed))?,
                overwrite: !put.no_clobber,
                receipt: put.receipt,
            });
        }
        Ok(Self::Put {
            name: local_path::remote_name(&put.file, name)?,
            file: put.file,
            overwrite: !put.no_clobber,
            receipt: put.receipt,
        })
    }

    pub(crate) fn get(get: GetArgs, out: Option<PathBuf>, output: Output) -> Result<Self, Failure> {
        let name = get.name;
        // Standard output holds one file and nothing else.
        let to_stdout = out.as_deref().is_some_and(is_pipe);
        if to_stdout && (output.json || get.tree.recursive) {
            let message = "--out - writes the file to standard output, so it cannot be combined \
                           with --json or --recursive";
            return Err(Failure::new(Exit::Usage, message));
        }
        if get.tree.recursive {
            let plan = get.tree.plan(get.no_clobber)?;
            let local = LocalTree::to_receive(&name, out, plan.dry_run)?;
            return Ok(Self::GetTree { local, name, plan });
        }
        Ok(Self::Get {
            target: LocalTarget::new(&name, out)?,
            name,
            overwrite: !get.no_clobber,
            receipt: get.receipt,
        })
    }

    pub(crate) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Put {
                file,
                name,
                overwrite,
                receipt,
            } => {
                let transferred = session.put(&file, &name, overwrite).await?;
                write_receipt(session, "put", &name, receipt, &transferred)
            }
            Self::PutPiped {
                name,
                overwrite,
                receipt,
            } => {
                let transferred = session.put_piped(&name, overwrite).await?;
                write_receipt(session, "put", &name, receipt, &transferred)
            }
            Self::Get {
                name,
                target,
                overwrite,
                receipt,
            } => {
                let transferred = session.get(&name, &target, overwrite).await?;
                write_receipt(session, "get", &name, receipt, &transferred)
            }
            Self::PutTree { local, name, plan } => session.put_tree(&local, &name, &plan).await,
            Self::GetTree { local, name, plan } => session.get_tree(&name, &local, &plan).await,
        }
    }
}

fn write_receipt(
    session: &Session,
    action: &str,
    name: &str,
    to: Option<PathBuf>,
    transferred: &Receipt,
) -> Result<(), Failure> {
    let server = session.host.to_string();
    to.map_or(Ok(()), |to| {
        receipt::write(&to, action, name, &server, transferred)
    })
}
