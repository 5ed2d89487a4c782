//! How large what an expression makes may become: a few signs over a record must not fill
//! the memory.
//!
//! Fuel counts the steps of the language, and the bytes of the texts that it makes. It does not
//! count a list that is said to be another one many times over, nor one list in many places:
//! these are small until somebody writes them out. So lists are not multiplied here, and
//! whatever is about to be written out, or has come to be a result, is weighed first.
//!
//! What never happens here: a value is changed; a value is in a message.

mod guard;
mod scan;
mod weight;

pub use guard::{build, compile, small, teach};
pub use scan::{Guarded, expression, is_statement, live, template};
pub use weight::{Limit, TooLarge, check};
