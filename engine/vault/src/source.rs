//! source: being built.
