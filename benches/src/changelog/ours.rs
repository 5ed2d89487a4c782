//! hms-sync's change log. Encoding, hashing, chaining, index: all is in the time.

use super::{Engine, Group};
use hms_sync_changelog::{Log, LogError, Options, Sealed, seal};
use std::path::Path;

pub(super) struct Ours(Log);

impl Ours {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        Ok(Self(Log::open(dir, Options::default())?))
    }

    pub(super) fn close(self) -> anyhow::Result<()> {
        Ok(self.0.close()?)
    }
}

impl Engine for Ours {
    fn append(&mut self, group: &Group) -> anyhow::Result<()> {
        let sealed = group.events.iter().map(seal).collect::<Result<Vec<Sealed>, LogError>>()?;
        Ok(self.0.append(&sealed)?)
    }
}
