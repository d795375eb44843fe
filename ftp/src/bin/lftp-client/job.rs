//! A file or a folder to put or get, once it is clear that this side is ready for it.

use std::path::{Path, PathBuf};

use lftp_ftp::{Exit, Plan, Receipt};

use crate::session::{self, Failure, Output, Place, Session};
use crate::trees::{self, Here};
use crate::{GetArgs, PutArgs, verify};

/// Whether it stands for standard input, or output, in the place of a file.
pub(crate) fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What is to be carried.
pub(crate) enum Job {
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
        place: Place,
        overwrite: bool,
        receipt: Option<PathBuf>,
    },
    PutTree {
        here: Here,
        name: String,
        plan: Plan,
    },
    GetTree {
        here: Here,
        name: String,
        plan: Plan,
    },
}

impl Job {
    pub(crate) fn put(put: PutArgs, name: Option<String>) -> Result<Self, Failure> {
        if put.tree.recursive && put.file.is_dir() {
            let plan = put.tree.plan(put.no_clobber)?;
            let (here, name) = trees::from(&put.file, name)?;
            return Ok(Self::PutTree { here, name, plan });
        }
        if is_pipe(&put.file) {
            let without = "what comes from standard input has no name; use --name";
            return Ok(Self::PutPiped {
                name: name.ok_or_else(|| Failure::new(Exit::Usage, without))?,
                overwrite: !put.no_clobber,
                receipt: put.receipt,
            });
        }
        Ok(Self::Put {
            name: session::name(&put.file, name)?,
            file: put.file,
            overwrite: !put.no_clobber,
            receipt: put.receipt,
        })
    }

    pub(crate) fn get(get: GetArgs, out: Option<PathBuf>, output: Output) -> Result<Self, Failure> {
        let name = get.name;
        let to_stdout = out.as_deref().is_some_and(is_pipe);
        if to_stdout && (output.json || get.tree.recursive) {
            let sentence = "a file on standard output leaves no room for --json or --recursive";
            return Err(Failure::new(Exit::Usage, sentence));
        }
        if get.tree.recursive {
            let plan = get.tree.plan(get.no_clobber)?;
            let here = trees::to(&name, out, plan.dry_run)?;
            return Ok(Self::GetTree { here, name, plan });
        }
        Ok(Self::Get {
            place: session::target(&name, out)?,
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
                let carried = session.put(&file, &name, overwrite).await?;
                write_receipt(session, "put", &name, receipt, &carried)
            }
            Self::PutPiped {
                name,
                overwrite,
                receipt,
            } => {
                let carried = session.put_piped(&name, overwrite).await?;
                write_receipt(session, "put", &name, receipt, &carried)
            }
            Self::Get {
                name,
                place,
                overwrite,
                receipt,
            } => {
                let carried = session.get(&name, &place, overwrite).await?;
                write_receipt(session, "get", &name, receipt, &carried)
            }
            Self::PutTree { here, name, plan } => session.put_tree(&here, &name, &plan).await,
            Self::GetTree { here, name, plan } => session.get_tree(&name, &here, &plan).await,
        }
    }
}

fn write_receipt(
    session: &Session,
    action: &str,
    name: &str,
    to: Option<PathBuf>,
    carried: &Receipt,
) -> Result<(), Failure> {
    let server = session.host.to_string();
    to.map_or(Ok(()), |to| {
        verify::write_receipt(&to, action, name, &server, carried)
    })
}
