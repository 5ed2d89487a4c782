//! Sides at work: ingest, project, deliver, retry, guards.
