//! What a connector to HTTP APIs costs, beside the plainest thing that could do the
//! same work. Each file is one comparison; `bin/http.rs` runs them in turn.

mod client;
mod intake;

pub use intake::{Intake, bare_server, intake};
