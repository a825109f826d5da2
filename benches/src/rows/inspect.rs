//! `wardroom plugin inspect` of many plugins, whole processes: what is known of
//! them was kept when they were installed, and nothing is compiled.

use std::fmt::Write as _;
use std::sync::Arc;

use wardroom::Wardroom;
use wardroom_host::Silent;

use super::{Effort, serving};
use crate::Failed;
use crate::measure::Samples;
use crate::process::{measured, wardroom};
use crate::report::Row;

const PLUGINS: usize = 100;
/// Of each plugin; each has a name, params and a result to be shown.
const FUNCTIONS: usize = 8;
/// ms, for all of them in one process.
const BUDGET: f64 = 200.0;

pub(super) fn measure(effort: Effort) -> Result<Vec<Row>, Failed> {
    let folder = tempfile::tempdir()?;
    let home = folder.path().join("home");
    let program = folder.path().join("many.wasm");
    std::fs::write(&program, wat::parse_str(functions()?)?)?;
    let wardroom_here = Wardroom::open(&home, wardroom()?, Arc::new(Silent))?;
    serving()?.block_on(async {
        for number in 0..PLUGINS {
            let offer = wardroom_here.offer_of_file(&program)?;
            drop(wardroom_here.install_plugin(offer, Some(&format!("plugin-{number}"))).await?);
        }
        Ok::<(), Failed>(())
    })?;
    drop(wardroom_here);
    let binary = wardroom()?;
    let mut rows = Vec::new();
    let all = format!("`plugin inspect --all`, {PLUGINS} plugins of {FUNCTIONS} functions, the whole process");
    for (what, args, budget) in [
        (format!("{all}, as JSON"), &["plugin", "inspect", "--all", "--json"][..], Some(BUDGET)),
        (format!("{all}, as text"), &["plugin", "inspect", "--all"], Some(BUDGET)),
        (format!("`plugin inspect NAME` of one of {PLUGINS}, the whole process"), &["plugin", "inspect", "plugin-7"], None),
    ] {
        let times = (0..effort.rounds(3, 41)).map(|_| Ok(measured(&binary, args, &home)?.wall.as_secs_f64() * 1000.0));
        let times = Samples::new(times.collect::<Result<_, Failed>>()?);
        let words = format!("median {:.1} ms, at most {:.1} ms", times.median(), times.quantile(1.0));
        rows.push(Row::figure("inspect", what, words, &times, ("ms", budget)));
    }
    Ok(rows)
}

/// A component that exports functions that add.
fn functions() -> Result<String, std::fmt::Error> {
    let mut exports = String::new();
    for number in 0..FUNCTIONS {
        write!(exports, "(func $f{number} (param \"first\" u64) (param \"second\" u64) (result u64) (canon lift (core func $i \"f\")))")?;
        write!(exports, "(export \"add-number-{number}\" (func $f{number}))")?;
    }
    Ok(format!(
        r#"(component
            (core module $m (func (export "f") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))
            (core instance $i (instantiate $m))
            {exports})"#
    ))
}
