//! A file or a folder to put or get, once it is clear that this side is ready for it.

use std::path::PathBuf;

use lftp_ftp::Plan;

use crate::session::{self, Failure, Place, Session};
use crate::trees::{self, Here};
use crate::{GetArgs, PutArgs};

/// What is to be carried.
pub(crate) enum Job {
    Put {
        file: PathBuf,
        name: String,
        overwrite: bool,
    },
    Get {
        name: String,
        place: Place,
        overwrite: bool,
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
        Ok(Self::Put {
            name: session::name(&put.file, name)?,
            file: put.file,
            overwrite: !put.no_clobber,
        })
    }

    pub(crate) fn get(get: GetArgs, out: Option<PathBuf>) -> Result<Self, Failure> {
        let name = get.name;
        if get.tree.recursive {
            let plan = get.tree.plan(get.no_clobber)?;
            let here = trees::to(&name, out, plan.dry_run)?;
            return Ok(Self::GetTree { here, name, plan });
        }
        Ok(Self::Get {
            place: session::target(&name, out)?,
            name,
            overwrite: !get.no_clobber,
        })
    }

    pub(crate) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Put {
                file,
                name,
                overwrite,
            } => session.put(&file, &name, overwrite).await,
            Self::Get {
                name,
                place,
                overwrite,
            } => session.get(&name, &place, overwrite).await,
            Self::PutTree { here, name, plan } => session.put_tree(&here, &name, &plan).await,
            Self::GetTree { here, name, plan } => session.get_tree(&name, &here, &plan).await,
        }
    }
}
