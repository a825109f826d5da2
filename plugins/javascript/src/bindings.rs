//! The contract as Rust types, generated from `wit/`.
#![allow(clippy::undocumented_unsafe_blocks, clippy::too_many_lines, unreachable_pub, reason = "generated code")]

wit_bindgen::generate!({
    path: ["../../wit", "wit"],
    world: "wardroom:interpreter/interpreter",
    generate_all,
    // So that calls are waited for together with everything else.
    with: { "wasi:io/poll@0.2.12": wasip2::io::poll },
});

use crate::Interpreter;
export!(Interpreter with_types_in self);
