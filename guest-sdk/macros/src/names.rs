//! Names as serde writes them.

/// The rules of `rename_all` that serde has.
pub(crate) fn renamed(name: &str, rule: Option<&str>) -> Option<String> {
    let words = words(name);
    let capital = |word: &String| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().collect::<String>() + chars.as_str()).unwrap_or_default()
    };
    let upper = |words: &[String]| words.iter().map(|word| word.to_uppercase()).collect::<Vec<_>>();
    Some(match rule {
        None => name.to_owned(),
        Some("lowercase") => name.to_lowercase(),
        Some("UPPERCASE") => name.to_uppercase(),
        Some("snake_case") => words.join("_"),
        Some("kebab-case") => words.join("-"),
        Some("SCREAMING_SNAKE_CASE") => upper(&words).join("_"),
        Some("SCREAMING-KEBAB-CASE") => upper(&words).join("-"),
        Some("PascalCase") => words.iter().map(capital).collect(),
        Some("camelCase") => {
            let rest: String = words.iter().skip(1).map(capital).collect();
            words.first().cloned().unwrap_or_default() + &rest
        }
        Some(_) => return None,
    })
}

/// `min_length` and `MinLength` are `min` and `length`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        let starts = c == '_' || c.is_uppercase();
        if starts && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c != '_') {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// A TOML string of one line.
pub(crate) fn toml_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_serdes_rules() {
        for (rule, field, variant) in [
            ("snake_case", "min_length", "dark_green"),
            ("kebab-case", "min-length", "dark-green"),
            ("camelCase", "minLength", "darkGreen"),
            ("PascalCase", "MinLength", "DarkGreen"),
            ("SCREAMING_SNAKE_CASE", "MIN_LENGTH", "DARK_GREEN"),
        ] {
            assert_eq!(renamed("min_length", Some(rule)).as_deref(), Some(field));
            assert_eq!(renamed("DarkGreen", Some(rule)).as_deref(), Some(variant));
        }
        assert_eq!(renamed("DarkGreen", Some("lowercase")).as_deref(), Some("darkgreen"));
        assert_eq!(renamed("a", Some("mixed")), None);
        assert_eq!(toml_string("a \"b\"\n\u{1}"), "\"a \\\"b\\\"\\n\\u0001\"");
    }
}
