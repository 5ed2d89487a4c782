//! Speaks for the change log to outsiders: keeps its key, signs checkpoints, has them
//! countersigned by witnesses, and hands out exports.
//!
//! A checkpoint is signed only of events that are durable, and only if the last one that
//! was signed is a beginning of it; it is durable itself before anybody is shown it.
//! Otherwise the notary refuses, and says what broke, until a person begins a new origin.
//!
//! What never happens here: writing to the change log, or holding up the sync. Whatever
//! fails here is told in `status`, and tried again.

mod error;
mod key;
mod folder;
mod settings;
mod notary;
mod change;
mod last;
mod witness;
mod export;
mod task;

pub use change::KeyChange;
pub use error::{NotaryError, Refusal};
pub use export::{Ask, ExportError};
pub use last::{LastSigned, last_signed};
pub use notary::{Notary, NotaryStatus, Signed, WitnessStatus, named_keys};
pub use settings::{Settings, WitnessSettings};
pub use task::{Signing, begin};
