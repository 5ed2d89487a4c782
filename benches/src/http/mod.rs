//! What a connector to HTTP APIs costs, beside the plainest thing that could do the
//! same work. Each file is one comparison; `bin/http.rs` runs them in turn.

mod client;
mod feed;
mod intake;
mod page;
mod peer;
mod reading;

pub use feed::{FEED, feed_server};
pub use intake::{BARE, Intake, bare_server, intake};
pub use page::{Pages, pages};
pub use peer::Peer;
pub use reading::{Memory, Race, memory, race};

use anyhow::Context;
use tempfile::TempDir;

/// A folder on the disk that the build is on: `/tmp` is memory on many machines.
fn folder() -> anyhow::Result<TempDir> {
    let program = std::env::current_exe()?;
    let beside = program.parent().context("the bench is nowhere")?;
    Ok(tempfile::Builder::new().prefix("hms-sync-bench-").tempdir_in(beside)?)
}

/// The configuration of a sync that learns of records as `learns` says, and has nobody to
/// tell: the other side can only be asked.
fn alone(data: &str, port: u16, url: &str, learns: &str) -> String {
    let field = |name: &str, of: &str, path: &str| {
        format!("      {name}: {{ type: {of}, clerk: {{ path: {path}, direction: from_side }} }}\n")
    };
    let fields: String = [
        ("address", "text", "location.address"),
        ("applicant", "text", "applicant"),
        ("status", "string", "status"),
        ("fee", "decimal", "fee"),
        ("notes", "text", "notes"),
    ]
    .map(|(name, of, path)| field(name, of, path))
    .concat();
    let lookup = "lookup: { path: /permits, request_parameters: { no: \"{{ identity.no }}\" } }";
    format!(
        "sync: Alone\ndata_dir: {data}\nmanagement: 127.0.0.1:{port}\n\
         sides:\n  clerk: {{ connector: http, url: \"{url}\" }}\n  \
         none: {{ connector: http, url: \"http://127.0.0.1:9\" }}\n\
         collections:\n  permit:\n    identity: [no]\n    sides:\n      \
         clerk: {{ {learns}, {lookup} }}\n      none: {{ {lookup} }}\n    \
         fields:\n      no: {{ type: string, clerk: {{ path: permit_no, direction: from_side }}, \
         none: {{ path: no, direction: from_side }} }}\n{fields}"
    )
}
