//! A sync engine to embed: sides, polls, webhooks, handlers and two-way collections.
