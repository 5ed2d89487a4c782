//! Webhook endpoint, management API, status.
