//! The promises every connector keeps.
