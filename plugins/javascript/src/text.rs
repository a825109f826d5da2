//! Text between the two worlds. JavaScript strings may hold lone surrogates,
//! Rust's may not: they become U+FFFD, as the web's standards say.

use std::{mem::MaybeUninit, slice};

use rquickjs::{Ctx, FromJs, Object, Result, TypedArray, Value, convert::List, prelude::Func, qjs};

/// A string argument.
pub(crate) struct Text(pub(crate) String);

impl<'js> FromJs<'js> for Text {
    fn from_js(_: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        to_rust(&value).map(Text)
    }
}

/// The bytes of a Uint8Array argument.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'js> FromJs<'js> for Bytes {
    fn from_js(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        let array = TypedArray::<u8>::from_js(ctx, value)?;
        // SAFETY: the bytes are copied before any script could run again.
        let bytes = unsafe { array.as_bytes() };
        Ok(Bytes(bytes.unwrap_or_default().to_vec()))
    }
}

/// Any value as `String(value)` would write it.
pub(crate) fn to_rust(value: &Value<'_>) -> Result<String> {
    let ctx = value.ctx().as_raw().as_ptr();
    let mut length = MaybeUninit::uninit();
    // SAFETY: the value belongs to the context, and the length is written whenever a pointer comes back.
    let text = unsafe { qjs::JS_ToCStringLen(ctx, length.as_mut_ptr(), value.as_raw()) };
    if text.is_null() {
        return Err(rquickjs::Error::Exception);
    }
    // SAFETY: QuickJS gave a text of that length, which stays until it is freed below.
    let bytes = unsafe { slice::from_raw_parts(text.cast::<u8>(), length.assume_init()) };
    let copy = without_surrogates(bytes);
    // SAFETY: the text came from JS_ToCStringLen and is not used any more.
    unsafe { qjs::JS_FreeCString(ctx, text) };
    Ok(copy)
}

/// QuickJS writes a lone surrogate as the three bytes that UTF-8 forbids for it.
fn without_surrogates(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some([first, second, third]) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        if *first == 0xED && *second >= 0xA0 {
            (*first, *second, *third) = (0xEF, 0xBF, 0xBD);
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn install<'js>(host: &Object<'js>) -> Result<()> {
    host.set("encode", Func::from(encode))?;
    host.set("decode", Func::from(decode))
}

fn encode(ctx: Ctx<'_>, text: Text) -> Result<TypedArray<'_, u8>> {
    TypedArray::new(ctx, text.0)
}

/// The text and how many bytes it took: with `partial`, a character that the
/// bytes only begin is left for the next call. Nothing where `fatal` and wrong.
fn decode(bytes: Bytes, fatal: bool, partial: bool) -> Option<List<(String, usize)>> {
    let bytes = bytes.0;
    let used = if partial { bytes.len() - unfinished(&bytes) } else { bytes.len() };
    let whole = bytes.get(..used).unwrap_or(&bytes);
    if fatal {
        let text = std::str::from_utf8(whole).ok()?;
        return Some(List((text.to_owned(), used)));
    }
    Some(List((String::from_utf8_lossy(whole).into_owned(), used)))
}

/// How many bytes at the end begin a character without ending it.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    match std::str::from_utf8(tail) {
        Err(error) if error.error_len().is_none() => tail.len(),
        _ => 0,
    }
}
