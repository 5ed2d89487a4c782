//! Exports of a history, for auditors: the form (`docs/format.md`), a writer, and a
//! verifier that needs neither the engine nor the log's storage.
//!
//! An export says of every entry the exact bytes that were hashed, the same once more for
//! people to read, and a proof that they are in the tree of a signed checkpoint. Whoever
//! has the log's key from elsewhere can check that alone; with a checkpoint from earlier,
//! also that nothing before it was changed since.
//!
//! What never happens here: reading a clock or the network; believing a key, a count or a
//! word that stands in the export; holding more in memory than a few entries around the one
//! that is judged, whatever the export's length.
//!
//! ```no_run
//! use hms_sync_audit::Auditor;
//!
//! let mut auditor = Auditor::new();
//! auditor.key("example.org/permits+6f1e2a3b+AQ…".parse()?);
//! let file = std::io::BufReader::new(std::fs::File::open("permits.jsonl")?);
//! let report = auditor.verify(file, |_| {})?;
//! println!("{} entries, each as it was written", report.entries);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod payload;
mod form;
mod lines;
mod write;
mod hashed;
mod report;
mod given;
mod verify;

pub use error::{AuditError, BadLine, Problem};
pub use form::{FORMAT, KINDS, Range, Scope, Selection};
pub use hashed::Hashed;
pub use lines::LINE_BYTES_MAX;
pub use payload::{Payload, PayloadError};
pub use report::{Report, Witnessed};
pub use verify::Auditor;
pub use write::{Begin, Writer};
