//! Components: what is told of their bytes.

use std::panic::{UnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::LazyLock;

use wardroom_core::program::Format;
use wardroom_host::value::{failure_schema, params_schema, result_schema, supported};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};
use wasmtime::{Config, Engine};

/// Compiling takes time that belongs to the fuzzer.
const MAX_BYTES: usize = 16 << 10;

static ENGINE: LazyLock<Option<Engine>> = LazyLock::new(|| {
    let mut config = Config::new();
    config.concurrency_support(false).epoch_interruption(true);
    Engine::new(&config).ok()
});

/// A program's bytes: they are prepared as in the child (adapted, compiled, or
/// stripped of types) in good time and within memory. Where they are a component,
/// every function of its own has a schema or a reason why not.
pub fn component(bytes: &[u8]) {
    // The ending counts only for what is no WebAssembly.
    let format = Format::of(Path::new("x.wasm"), bytes);
    if bytes.len() > MAX_BYTES {
        return;
    }
    contained(|| wardroom_host::fuzz::prepare(bytes));
    if format != Ok(Format::Component) {
        return;
    }
    let Some(engine) = ENGINE.as_ref() else { return };
    let Ok(component) = Component::new(engine, bytes) else { return };
    for (_, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(function) => described(&function),
            ComponentItem::ComponentInstance(instance) => {
                for (_, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(function) = item.ty {
                        described(&function);
                    }
                }
            }
            _ => {}
        }
    }
    let _: Option<ComponentExportIndex> = component.get_export_index(None, "run");
}

/// Adapting and stripping are other people's code that panics on some inputs: in
/// the child that ends the child and nothing else, so here it counts as an answer.
/// The hook is silent meanwhile, because libFuzzer's own ends the process.
fn contained(work: impl FnOnce() + UnwindSafe) {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    drop(catch_unwind(work));
    set_hook(hook);
}

fn described(function: &ComponentFunc) {
    let schemas = (params_schema(function), result_schema(function), failure_schema(function));
    if supported(function).is_ok() {
        assert!(matches!(schemas, (Ok(_), Ok(_), Ok(_))), "a supported function without a schema");
    }
}
