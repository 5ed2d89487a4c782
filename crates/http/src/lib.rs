//! Connector for REST APIs: polling, webhooks, writes.
//!
//! [`spec`] is what stands in a config; [`HttpConnector`] is a side reached that
//! way, [`SubscriberConnector`] one that is only told, by webhooks going out. It
//! follows no redirect, reads no proxy from the environment, and never goes where an
//! answer points unless that is below the configured URL: every request stays there,
//! and so does every secret.

pub mod spec;
mod template;
mod formula;
mod error;
mod spot;
mod shape;
mod fill;
mod body;
mod guard;
mod complaint;
mod request;
mod wire;
mod decode;
mod deleted;
mod deletions;
mod key;
mod transform;
mod select;
mod stamp;
mod link;
mod paging;
mod next;
mod partition;
mod listing;
mod read;
mod lookup;
mod write;
mod batch;
mod webhook;
mod connector;
mod subscriber;
mod probe;

pub use connector::HttpConnector;
pub use error::SpecError;
pub use probe::{Probe, Probed};
pub use subscriber::SubscriberConnector;
pub use template::TemplateError;
