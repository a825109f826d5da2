//! Commands for the tests; each file in `bin` says what it does.
