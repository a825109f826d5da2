//! seal: being built.
