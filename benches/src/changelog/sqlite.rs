//! `SQLite`, as its manual says one keeps a log safely: WAL, and a sync with
//! every commit. Tables instead of prefixes, which is what it is good at.

use super::{Engine, Group, encoded};
use rusqlite::{Connection, params};
use std::path::Path;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -24576;
    CREATE TABLE event (seq INTEGER PRIMARY KEY, frame BLOB NOT NULL);
    CREATE TABLE place (record TEXT, version INTEGER, seq INTEGER, PRIMARY KEY (record, version)) WITHOUT ROWID;
";

pub(super) struct Sqlite(Connection);

impl Sqlite {
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let db = Connection::open(dir.join("log.sqlite"))?;
        db.execute_batch(SCHEMA)?;
        let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        anyhow::ensure!(mode == "wal", "SQLite is in mode {mode}");
        Ok(Self(db))
    }
}

impl Engine for Sqlite {
    fn append(&mut self, group: &Group) -> anyhow::Result<()> {
        let commit = self.0.transaction()?;
        {
            let mut event = commit.prepare_cached("INSERT INTO event VALUES (?, ?)")?;
            let mut place = commit.prepare_cached("INSERT INTO place VALUES (?, ?, ?)")?;
            for one in &group.events {
                let (seq, version) = (i64::try_from(one.seq)?, i64::try_from(one.version)?);
                event.execute(params![seq, encoded(one)?])?;
                place.execute(params![one.record.as_str(), version, seq])?;
            }
        }
        Ok(commit.commit()?)
    }
}
