//! JSON and WIT values.

use std::sync::LazyLock;

use serde_json::Value as Json;
use wardroom_host::value::{from_json, schema, to_json};
use wasmtime::component::Component;
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::{Config, Engine};

/// Bytes of JSON text that a value may become: far more than the inputs.
const PLENTY: usize = 1 << 20;

/// The types to choose from, as the params of one imported function: nothing is
/// compiled for that.
const TYPES: &str = r#"
(component
  (type $point' (record (field "x" s32) (field "y" (option u64)) (field "label" string)))
  (import "point" (type $point (eq $point')))
  (type $shape' (variant (case "empty") (case "dot" $point) (case "many" (list $point)) (case "not-now" (option (option bool)))))
  (import "shape" (type $shape (eq $shape')))
  (type $colour' (enum "red" "light-green" "blue"))
  (import "colour" (type $colour (eq $colour')))
  (type $rights' (flags "read" "write" "may-grant" "x1"))
  (import "rights" (type $rights (eq $rights')))
  (import "f" (func
    (param "a" bool) (param "b" u8) (param "c" s8) (param "d" u16) (param "e" s16) (param "f" u32) (param "g" s32)
    (param "h" u64) (param "i" s64) (param "j" f32) (param "k" f64) (param "l" char) (param "m" string)
    (param "n" (list u8)) (param "o" (list string)) (param "p" (list (list f32))) (param "q" (tuple u8 string (option char)))
    (param "r" $point) (param "s" $shape) (param "t" $colour) (param "u" $rights)
    (param "v" (option u8)) (param "w" (option (option string))) (param "x" (result $shape (error string)))
    (param "y" (result)) (param "z" (list (tuple string $shape)))
    (param "z1" (option (option (option (list $rights))))) (param "z2" (list (result u64 (error $colour)))))))"#;

static CHOICE: LazyLock<Vec<Type>> = LazyLock::new(|| choice().unwrap_or_default());

fn choice() -> Option<Vec<Type>> {
    let engine = Engine::new(&Config::new()).ok()?;
    let component = Component::new(&engine, wat::parse_str(TYPES).ok()?).ok()?;
    let ty = component.component_type();
    let ComponentItem::ComponentFunc(function) = ty.get_import(&engine, "f")?.ty else { return None };
    Some(function.params().map(|(_, ty)| ty).collect())
}

/// A byte that chooses a type, then JSON text. What becomes a value comes back
/// as JSON that becomes the same again, also through text.
pub fn value(bytes: &[u8]) {
    assert!(!CHOICE.is_empty(), "the types do not compile");
    let Some((which, text)) = bytes.split_first() else { return };
    let Some(ty) = CHOICE.get(usize::from(*which) % CHOICE.len()) else { return };
    assert!(schema(ty).is_ok(), "a type without a schema");
    let Ok(json) = serde_json::from_slice::<Json>(text) else { return };
    let Ok(value) = from_json(&json, ty) else { return };
    let Ok(shown) = to_json(&value, ty, PLENTY) else { return };
    let read: Result<Json, _> = serde_json::from_str(&shown.to_string());
    let again = read.ok().and_then(|json| from_json(&json, ty).ok()).and_then(|value| to_json(&value, ty, PLENTY).ok());
    assert_eq!(again.as_ref(), Some(&shown), "{json} becomes {shown}, which does not stay");
}
