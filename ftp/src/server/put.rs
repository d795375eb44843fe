//! A file that a client asks to put: where it goes, and what is there of it already.

use std::sync::Arc;

use lftp_transport::Runtime;

use super::receptions::Reception;
use crate::protocol::Held;
use crate::protocol::Name;
use crate::protocol::blocks::{BlockHash, Prefix};
use crate::store::{Origin, Parked, Sink, Store, StoreError};
use crate::transfer::resume;

/// What the client asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: Name,
    pub(super) size: u64,
    pub(super) overwrite: bool,
    /// The fingerprint of the client's file.
    pub(super) source: Option<String>,
    /// What the client's file takes on its disk, where it has holes.
    pub(super) allocated: Option<u64>,
}

/// A file that may be received now.
#[derive(Debug)]
pub(super) struct Put {
    sink: Box<dyn Sink>,
    /// What the sink holds.
    hashes: Vec<BlockHash>,
    size: u64,
    anew: Anew,
}

/// How to begin a file anew when the client does not go on with what is there.
#[derive(Debug)]
struct Anew {
    wanted: Wanted,
    store: Arc<dyn Store>,
}

impl Wanted {
    /// What another transfer of the same file is known by.
    pub(super) fn key(&self) -> Option<String> {
        let source = self.source.as_deref()?;
        Some(format!("put {} {} {source}", self.name, self.size))
    }

    /// Opens or begins the file. The reception is held with it, where there is one; without,
    /// somebody else has what was parked.
    pub(super) fn begin(
        self,
        store: Arc<dyn Store>,
        reception: Option<Reception>,
    ) -> Result<Put, StoreError> {
        let size = self.size;
        let anew = Anew {
            wanted: self,
            store,
        };
        let Some(reception) = reception else {
            let wanted = &anew.wanted;
            let sink = anew.store.create(&wanted.name, size, wanted.overwrite)?;
            return Ok(Put {
                sink,
                hashes: Vec::new(),
                size,
                anew,
            });
        };
        let (sink, hashes) = match anew.parked()? {
            Some(parked) => (parked.sink, parked.hashes),
            None => (anew.create()?, Vec::new()),
        };
        Ok(Put {
            sink: reception.hold(sink),
            hashes,
            size,
            anew,
        })
    }
}

impl Anew {
    fn parked(&self) -> Result<Option<Parked>, StoreError> {
        let Some(key) = self.wanted.key() else {
            return Ok(None);
        };
        let (name, overwrite) = (&self.wanted.name, self.wanted.overwrite);
        let parked = self.store.parked(name, &key, overwrite)?;
        Ok(parked.filter(|parked| parked.size == self.wanted.size))
    }

    fn create(&self) -> Result<Box<dyn Sink>, StoreError> {
        let wanted = &self.wanted;
        let (name, overwrite) = (&wanted.name, wanted.overwrite);
        match (wanted.key(), &wanted.source) {
            (Some(key), Some(source)) => {
                let origin = Origin {
                    key: &key,
                    source,
                    allocated: wanted.allocated,
                };
                self.store
                    .create_parkable(name, wanted.size, overwrite, origin)
            }
            _ => self.store.create(name, wanted.size, overwrite),
        }
    }
}

impl Put {
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// What to tell the client of it.
    pub(super) fn held(&self, runtime: &dyn Runtime) -> Option<Held> {
        resume::held(runtime, &self.hashes)
    }

    /// The sink and what counts of it: everything, or, if the client has another file now,
    /// nothing. Blocks.
    pub(super) fn decide(self, resume: bool) -> Result<(Box<dyn Sink>, Prefix), StoreError> {
        if resume || self.hashes.is_empty() {
            return Ok((self.sink, Prefix::of(&self.hashes)));
        }
        self.sink.discard();
        Ok((self.anew.create()?, Prefix::default()))
    }
}
