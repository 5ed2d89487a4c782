//! Whole-system scenarios against real servers, with faults.
