//! Small real HTTP servers that stand for external systems, with faults on demand.
