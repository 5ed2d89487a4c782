//! Connector for REST APIs: polling, webhooks, writes.
