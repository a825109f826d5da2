//! Params: what a program takes, checked and completed before it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::text::nearest;

/// The type of a param.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// Text.
    String,
    /// Any JSON number.
    Number,
    /// A whole number within ±(2^53−1), which every JSON reader keeps exact.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of the `values`.
    Enum,
    /// Any JSON.
    Json,
}

const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

/// One `[params.NAME]` of a header or manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamSpec {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// It has to be given, and has no default.
    #[serde(default)]
    pub required: bool,
    /// What it is when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What an `enum` may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// All params of a program, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ParamSpecs(pub BTreeMap<String, ParamSpec>);

/// Params that do not fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// None is called that.
    #[error("there is no param `{name}`{}", near.as_ref().map_or_else(String::new, |near| format!(" (is `{near}` meant?)")))]
    Unknown {
        /// The name given.
        name: String,
        /// A known name that is near.
        near: Option<String>,
    },
    /// A required one was not given.
    #[error("the param `{0}` is required")]
    Missing(String),
    /// It has another type.
    #[error("the param `{name}` should be {expected}, found {found}")]
    Type {
        /// Which one.
        name: String,
        /// What it should be.
        expected: String,
        /// What it is, shortly.
        found: String,
    },
    /// The declaration contradicts itself.
    #[error("the declaration of the param `{name}` does not hold: {why}")]
    Declaration {
        /// Which one.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not an object at all.
    #[error("the params should be a JSON object, found {0}")]
    NotAnObject(&'static str),
}

impl ParamSpec {
    /// `a string`, `one of "a", "b"`.
    fn expected(&self) -> String {
        match self.kind {
            ParamType::String => "a string".to_owned(),
            ParamType::Number => "a number".to_owned(),
            ParamType::Integer => "a whole number within ±(2^53-1)".to_owned(),
            ParamType::Boolean => "true or false".to_owned(),
            ParamType::Enum => format!("one of {}", self.values.join(", ")),
            ParamType::Json => "JSON".to_owned(),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match self.kind {
            ParamType::String => value.is_string(),
            ParamType::Number => value.is_number(),
            ParamType::Integer => value.as_i64().is_some_and(|n| (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(&n)),
            ParamType::Boolean => value.is_boolean(),
            ParamType::Enum => value.as_str().is_some_and(|text| self.values.iter().any(|known| known == text)),
            ParamType::Json => true,
        }
    }

    fn check(&self, name: &str, value: &Value) -> Result<(), ParamError> {
        if self.accepts(value) {
            return Ok(());
        }
        Err(ParamError::Type { name: name.to_owned(), expected: self.expected(), found: describe(value) })
    }

    fn check_declaration(&self, name: &str) -> Result<(), ParamError> {
        let wrong = |why| Err(ParamError::Declaration { name: name.to_owned(), why });
        match (&self.default, self.kind) {
            (Some(_), _) if self.required => wrong("it is required and has a default"),
            (_, ParamType::Enum) if self.values.is_empty() => wrong("an enum needs `values`"),
            (_, kind) if kind != ParamType::Enum && !self.values.is_empty() => wrong("only an enum has `values`"),
            (Some(default), _) => self.check(name, default),
            (None, _) => Ok(()),
        }
    }

    /// The JSON Schema (2020-12) of one param.
    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            ParamType::String => serde_json::json!({"type": "string"}),
            ParamType::Number => serde_json::json!({"type": "number"}),
            ParamType::Integer => serde_json::json!({"type": "integer", "minimum": -MAX_SAFE_INTEGER, "maximum": MAX_SAFE_INTEGER}),
            ParamType::Boolean => serde_json::json!({"type": "boolean"}),
            ParamType::Enum => serde_json::json!({"type": "string", "enum": self.values}),
            ParamType::Json => serde_json::json!({}),
        };
        if let Some(object) = schema.as_object_mut() {
            if let Some(text) = &self.description {
                object.insert("description".to_owned(), Value::from(text.as_str()));
            }
            if let Some(default) = &self.default {
                object.insert("default".to_owned(), default.clone());
            }
        }
        schema
    }
}

impl ParamSpecs {
    /// Checks the declarations themselves.
    ///
    /// # Errors
    ///
    /// [`ParamError::Declaration`], or [`ParamError::Type`] for a default that
    /// does not fit.
    pub fn check_declarations(&self) -> Result<(), ParamError> {
        self.0.iter().try_for_each(|(name, spec)| spec.check_declaration(name))
    }

    /// Checks params and completes them with defaults, in the order of names.
    ///
    /// # Errors
    ///
    /// [`ParamError`] names the param and what it should be.
    pub fn complete(&self, given: &Value) -> Result<Map<String, Value>, ParamError> {
        let given = given.as_object().ok_or_else(|| ParamError::NotAnObject(kind_of(given)))?;
        if let Some(name) = given.keys().find(|name| !self.0.contains_key(*name)) {
            let near = nearest(name, self.0.keys().map(String::as_str)).map(str::to_owned);
            return Err(ParamError::Unknown { name: name.clone(), near });
        }
        let mut complete = Map::new();
        for (name, spec) in &self.0 {
            match given.get(name).or(spec.default.as_ref()) {
                Some(value) => {
                    spec.check(name, value)?;
                    complete.insert(name.clone(), value.clone());
                }
                None if spec.required => return Err(ParamError::Missing(name.clone())),
                None => {}
            }
        }
        Ok(complete)
    }

    /// What `--param NAME=TEXT` means: text for a string, else JSON. A param
    /// that is not declared is JSON where the text is JSON, else text.
    ///
    /// # Errors
    ///
    /// [`ParamError::Type`] where the text is not what the param's type wants.
    pub fn value_of(&self, name: &str, text: &str) -> Result<Value, ParamError> {
        let json = || serde_json::from_str::<Value>(text).ok();
        let Some(spec) = self.0.get(name) else {
            return Ok(json().unwrap_or_else(|| Value::from(text)));
        };
        let value = match spec.kind {
            ParamType::String | ParamType::Enum => Some(Value::from(text)),
            _ => json(),
        };
        let value = value.unwrap_or_else(|| Value::from(text));
        if spec.kind == ParamType::Json && value.is_string() && json().is_none() {
            return Err(ParamError::Type { name: name.to_owned(), expected: spec.expected(), found: describe(&value) });
        }
        spec.check(name, &value)?;
        Ok(value)
    }

    /// The JSON Schema (2020-12) of the whole params object.
    #[must_use]
    pub fn schema(&self) -> Value {
        let properties: Map<String, Value> = self.0.iter().map(|(name, spec)| (name.clone(), spec.schema())).collect();
        let required: Vec<&str> = self.0.iter().filter(|(_, spec)| spec.required).map(|(name, _)| name.as_str()).collect();
        serde_json::json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A short word for a value that does not fit; never the whole of a long one.
fn describe(value: &Value) -> String {
    match value {
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::String(text) if text.len() <= 40 => format!("{text:?}"),
        other => kind_of(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn specs(toml: &str) -> ParamSpecs {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn params_are_completed_with_their_defaults() {
        let specs = specs("[a]\ntype = 'string'\nrequired = true\n[b]\ntype = 'integer'\ndefault = 3\n[c]\ntype = 'json'");
        assert_eq!(specs.complete(&json!({"a": "x"})).map(Value::Object), Ok(json!({"a": "x", "b": 3})));
        assert_eq!(specs.complete(&json!({})), Err(ParamError::Missing("a".to_owned())));
    }

    #[test]
    fn an_unknown_param_is_refused_and_the_near_one_offered() {
        let found = specs("[repo]\ntype = 'string'").complete(&json!({"rpeo": "x"}));
        assert_eq!(found, Err(ParamError::Unknown { name: "rpeo".to_owned(), near: Some("repo".to_owned()) }));
    }

    #[test]
    fn each_type_takes_its_own_values_only() {
        for (kind, good, bad) in [
            ("string", json!("x"), json!(1)),
            ("number", json!(1.5), json!("1.5")),
            ("integer", json!(-3), json!(1.5)),
            ("integer", json!(MAX_SAFE_INTEGER), json!(MAX_SAFE_INTEGER + 1)),
            ("boolean", json!(true), json!("true")),
        ] {
            let specs = specs(&format!("[p]\ntype = '{kind}'"));
            assert!(specs.complete(&json!({"p": good})).is_ok(), "{kind}");
            assert!(matches!(specs.complete(&json!({"p": bad})), Err(ParamError::Type { .. })), "{kind}");
        }
        let choice = specs("[p]\ntype = 'enum'\nvalues = ['a', 'b']");
        assert!(choice.complete(&json!({"p": "a"})).is_ok());
        assert!(matches!(choice.complete(&json!({"p": "c"})), Err(ParamError::Type { .. })));
        assert!(matches!(choice.complete(&json!([])), Err(ParamError::NotAnObject("an array"))));
    }

    #[test]
    fn text_from_the_command_line_becomes_the_declared_type() {
        let specs = specs("[n]\ntype = 'number'\n[s]\ntype = 'string'\n[j]\ntype = 'json'");
        assert_eq!(specs.value_of("n", "2"), Ok(json!(2)));
        assert_eq!(specs.value_of("s", "2"), Ok(json!("2")));
        assert_eq!(specs.value_of("j", "[1]"), Ok(json!([1])));
        assert!(specs.value_of("n", "two").is_err() && specs.value_of("j", "[1").is_err());
        assert_eq!(ParamSpecs::default().value_of("any", "x y"), Ok(json!("x y")));
    }

    #[test]
    fn declarations_that_contradict_themselves_are_refused() {
        for wrong in [
            "[p]\ntype = 'string'\nrequired = true\ndefault = 'x'",
            "[p]\ntype = 'enum'",
            "[p]\ntype = 'string'\nvalues = ['a']",
            "[p]\ntype = 'integer'\ndefault = 'x'",
        ] {
            assert!(specs(wrong).check_declarations().is_err(), "{wrong}");
        }
        assert!(toml::from_str::<ParamSpecs>("[p]\ntype = 'text'").is_err());
        assert!(toml::from_str::<ParamSpecs>("[p]\ntype = 'string'\nrequried = true").is_err());
    }
}
