//! Append-only history on sled: commit, history, views, verification, recovery.
