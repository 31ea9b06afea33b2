//! Decisions: one pure step function over the tables.
