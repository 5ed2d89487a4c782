//! Connector for REST APIs: polling, webhooks, writes.
//!
//! [`spec`] is what stands in a config; [`HttpConnector`] is a side reached that
//! way, [`SubscriberConnector`] one that is only told, by webhooks going out. It follows no redirect, reads no proxy from the environment, and never
//! takes an address out of an answer: every request goes below the configured
//! URL, and so does every secret.

pub mod spec;
mod template;
mod error;
mod fill;
mod body;
mod guard;
mod complaint;
mod request;
mod wire;
mod select;
mod stamp;
mod paging;
mod read;
mod lookup;
mod write;
mod batch;
mod webhook;
mod connector;
mod subscriber;

pub use connector::HttpConnector;
pub use error::SpecError;
pub use subscriber::SubscriberConnector;
pub use template::TemplateError;
