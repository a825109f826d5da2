//! The export: from JSON text to a function's own types and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::bindings::exports::wardroom::automation::task::Failure as Wire;

/// Makes a function the task that this component is.
///
/// The function takes its params as one value and answers with a result:
/// `fn(P) -> Result<R, Failure>`, where `P` is read with serde from the params
/// (a JSON object) and `R` written as the result (any JSON, at most 1 MiB of
/// text). Params that do not fit end the run as [`Failure::Invalid`], before
/// the function is called. A task without params takes [`serde_json::Value`] or
/// a struct without fields.
///
/// Used once, in a crate with `crate-type = ["cdylib"]`:
///
/// ```
/// # use serde::Deserialize;
/// # use wardroom_guest::Failure;
/// #[derive(Deserialize)]
/// struct Params {
///     #[serde(default)]
///     name: Option<String>,
/// }
///
/// fn run(params: Params) -> Result<String, Failure> {
///     Ok(format!("Hello, {}!", params.name.as_deref().unwrap_or("world")))
/// }
///
/// wardroom_guest::task!(run);
/// # fn main() {}
/// ```
///
/// What it expands to holds an `unsafe` export, so the crate that uses it may
/// `deny(unsafe_code)` around it, but not `forbid` it.
#[macro_export]
macro_rules! task {
    ($run:path) => {
        const _: () = {
            struct Task;

            impl $crate::bindings::exports::wardroom::automation::task::Guest for Task {
                fn run(
                    params: ::std::string::String,
                ) -> ::std::result::Result<::std::string::String, $crate::bindings::exports::wardroom::automation::task::Failure> {
                    $crate::answer(&params, $run)
                }
            }

    $crate::bindings::export!(Task with_types_in $crate::bindings);
        };
    };
}

/// What [`task!`] exports: reads the params, calls, writes the result.
///
/// # Errors
///
/// The function's own failure; [`Failure::Invalid`] where the params do not
/// fit, [`Failure::Permanent`] where the result has no JSON form.
pub fn answer<P, R>(params: &str, run: impl FnOnce(P) -> Result<R, Failure>) -> Result<String, Wire>
where
    P: DeserializeOwned,
    R: Serialize,
{
    let answered =
        serde_json::from_str(params).map_err(|error| Failure::invalid(format!("the params do not fit: {error}"))).and_then(run).and_then(
            |result| serde_json::to_string(&result).map_err(|error| Failure::permanent(format!("the result has no JSON form: {error}"))),
        );
    answered.map_err(Wire::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    struct Params {
        count: u32,
    }

    #[test]
    fn params_and_result_cross_as_json() {
        let doubled = answer(r#"{"count": 21}"#, |params: Params| Ok(params.count * 2));
        assert!(matches!(doubled.as_deref(), Ok("42")));
    }

    #[test]
    fn params_that_do_not_fit_are_the_callers_and_the_task_is_not_called() {
        let called = |_: Params| -> Result<(), Failure> { unreachable!("params without `count`") };
        assert!(matches!(answer("{}", called), Err(Wire::Invalid(why)) if why.contains("count")));
    }

    #[test]
    fn a_result_without_a_json_form_is_permanent() {
        let pairs = |_: serde_json::Value| Ok(BTreeMap::from([((1, 2), 3)]));
        assert!(matches!(answer("{}", pairs), Err(Wire::Permanent(_))));
    }

    #[test]
    fn a_tasks_own_failure_passes_through() {
        let denied = |_: serde_json::Value| -> Result<(), Failure> { Err(Failure::denied("no folder")) };
        assert!(matches!(answer("{}", denied), Err(Wire::Denied(why)) if why == "no folder"));
    }
}
