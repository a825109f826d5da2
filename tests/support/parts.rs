//! Parts of a machine that a test needs and that may be absent.
//!
//! A test without its part says so and passes; with `WARDROOM_REQUIRE_PARTS=1`
//! (in CI, where everything is there) it fails instead.

/// Whether the part is there; says how to get it where it is not.
pub(crate) fn needs(part: &str, present: bool, how: &str) -> bool {
    if !present {
        println!("skipped: needs {part} ({how})");
        let required = std::env::var_os("WARDROOM_REQUIRE_PARTS").is_some_and(|value| value == "1");
        assert!(!required, "needs {part}, and WARDROOM_REQUIRE_PARTS=1 says that all parts are there ({how})");
    }
    present
}
