//! The vault: personal values are sealed here before they reach the change log, each
//! record's under a key of its own, and a key that is destroyed takes them with it.
//!
//! A log that only grows cannot take anything back, and its storage keeps old pages.
//! So what is personal never gets there as it is: it is **sealed** (XChaCha20-Poly1305)
//! when an event is made, and **opened** when one is read. The keys lie beside the log,
//! each wrapped by one small **epoch key** in a place that is written over. To erase a
//! record, the keys of all others are wrapped anew under the next epoch key, and the
//! old one is overwritten: whatever copies of the old wrapping a disk keeps, nothing
//! opens them.
//!
//! What never happens here: a key in a message, in a log line, or in a file unwrapped,
//! the epoch key's own slot aside; knowing what an event means beyond where values and
//! words stand in it. The form on disk is in `docs/format.md`, what is erased and what
//! is not in `docs/erasure.md`.

mod error;
mod folder;
mod memory;
mod random;
mod cipher;
mod epoch;
mod table;
mod vault;
mod text;
mod border;

pub use error::VaultError;
pub use folder::{Files, Folder};
pub use memory::MemoryFolder;
pub use random::Random;
pub use vault::Vault;
