//! How a registry asks who it is: the `WWW-Authenticate` header (RFC 9110,
//! 11.6.1).

/// One way in which a registry may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With name and password (RFC 7617).
    Basic,
    /// With a token that somebody else gives out (the Distribution project's
    /// token authentication specification).
    Bearer {
        /// Who gives it out.
        realm: String,
        /// For whom.
        service: Option<String>,
    },
}

/// What the headers ask for that is understood here: a token where that is
/// possible, for it is worth less than a password.
pub(super) fn challenge<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut found: Vec<Challenge> = headers.flat_map(|header| read(header).unwrap_or_default()).collect();
    found.sort_by_key(|challenge| *challenge == Challenge::Basic);
    found.into_iter().next()
}

/// A parsed challenge: its scheme, and its params in order.
type Parts<'a> = (&'a str, Vec<(&'a str, String)>);

/// All challenges of one header; nothing where it does not keep to the grammar.
fn read(header: &str) -> Option<Vec<Challenge>> {
    let mut parts: Vec<Parts<'_>> = Vec::new();
    let mut rest = header.trim();
    while !rest.is_empty() {
        let (word, after) = token(rest)?;
        let value = after.trim_start().strip_prefix('=').map(str::trim_start);
        match value {
            Some(value) => {
                let (value, after) = text(value)?;
                parts.last_mut()?.1.push((word, value));
                rest = after;
            }
            None => {
                // A scheme is parted from its params by a blank.
                (after.is_empty() || after.starts_with([' ', ','])).then(|| parts.push((word, Vec::new())))?;
                rest = after;
            }
        }
        rest = rest.trim_start_matches([',', ' ', '\t']);
    }
    Some(parts.into_iter().filter_map(known).collect())
}

fn known((scheme, params): Parts<'_>) -> Option<Challenge> {
    let of = |name: &str| params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Some(Challenge::Bearer { realm: of("realm")?, service: of("service") })).flatten()
}

/// RFC 9110, 5.6.2.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A token, or a quoted text (RFC 9110, 5.6.4).
fn text(rest: &str) -> Option<(String, &str)> {
    let Some(quoted) = rest.strip_prefix('"') else { return token(rest).map(|(value, after)| (value.to_owned(), after)) };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(headers: &[&str]) -> Option<Challenge> {
        challenge(headers.iter().copied())
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
    }

    #[test]
    fn a_token_is_asked_for_before_a_password() {
        for (headers, expected) in [
            (&[r#"Basic realm="x""#][..], Some(Challenge::Basic)),
            (
                &[r#"Bearer realm="https://a.example/t",service="r",scope="repository:x:pull,push""#],
                bearer("https://a.example/t", Some("r")),
            ),
            (&[r#"bearer Realm = "https://a\"b" , service=r"#], bearer(r#"https://a"b"#, Some("r"))),
            (&[r#"Basic realm="x", Bearer realm="https://a.example/t""#], bearer("https://a.example/t", None)),
            (&["Basic", r#"Bearer realm="https://a.example/t""#], bearer("https://a.example/t", None)),
            (&["Negotiate, Basic realm=x"], Some(Challenge::Basic)),
            (&["Bearer service=x"], None),
            (&["Negotiate"], None),
            (&[r#"Bearer realm="https://a.example"#], None),
            (&["realm=x"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(of(headers), expected, "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read_to_its_end(header in "[ -~]{0,80}") {
            drop(of(&[&header]));
        }
    }
}
