//! A field's way between a side's shape and the canonical one, both directions.
