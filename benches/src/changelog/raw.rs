//! The limit: the frames added to a file, and one `sync_data`.

use super::{Engine, Group};
use std::fs::File;
use std::io::Write;
use std::path::Path;

pub(super) struct Raw(File);

impl Raw {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        Ok(Self(File::options().create(true).append(true).open(dir.join("raw"))?))
    }
}

impl Engine for Raw {
    fn append(&mut self, group: &Group) -> anyhow::Result<()> {
        let bytes: Vec<&[u8]> = group.sealed.iter().map(hms_sync_changelog::Sealed::frame).collect();
        self.0.write_all(&bytes.concat())?;
        Ok(self.0.sync_data()?)
    }
}
