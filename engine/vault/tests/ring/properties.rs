//! What holds of every request, whatever a program thinks of.

use proptest::prelude::*;
use wardroom_core::credential::{CredentialKind, holds_placeholder};

use super::*;

/// Host and header texts near to what matters.
const PIECES: [&str; 10] = ["wardroom_", "Bearer ", ".wardroom.invalid", "Basic ", "%77", "0123456789abcdef", "", " ", "=", "é"];

fn both() -> Ring {
    let key = key(&["api.example.org"], &["KEY:query:path:body"]);
    Ring::new(vec![held(CredentialKind::Url, &["api.example.org"], &["HOOK"], "https://api.example.org/hook"), key]).unwrap()
}

/// Bytes of pieces and noise; `M` stands for the placeholder.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(PIECES.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// The same without anything that looks like a placeholder.
fn innocent() -> impl Strategy<Value = Vec<u8>> {
    noise().prop_map(|bytes| if free(&bytes) { bytes } else { Vec::new() })
}

fn joined(pieces: &[Vec<u8>], mark: &str) -> Vec<u8> {
    pieces.join(mark.as_bytes())
}

fn free(bytes: &[u8]) -> bool {
    !holds_placeholder(bytes)
}

fn request(host: &str, line: &str, headers: Vec<(String, Vec<u8>)>, body: Option<Vec<u8>>) -> Draft {
    Draft { target: target(&format!("https://{host}/")), path_and_query: line.to_owned(), headers, body }
}

proptest! {
    #[test]
    fn without_placeholders_nothing_is_carried_or_changed(
        line in "/[a-z0-9/?=&._-]{0,40}",
        names in proptest::collection::vec("[a-z-]{1,12}", 0..4),
        values in proptest::collection::vec(innocent(), 4),
        body in proptest::option::of(innocent()),
    ) {
        let draft = request("any.example", &line, names.into_iter().zip(values).collect(), body);
        let ring = both();
        let carried = ring.check(&draft).unwrap();
        prop_assert!(carried.is_empty());
        prop_assert!(ring.fill(draft.clone(), &carried).unwrap() == draft);
    }

    #[test]
    fn toward_another_host_a_placeholder_is_always_refused(
        host in "[a-z]{1,8}\\.example", name in "[a-z-]{1,12}", pieces in proptest::collection::vec(noise(), 2..4), place in 0..4_u8,
    ) {
        let ring = both();
        let mark = placeholder(&ring, 1);
        let bytes = joined(&pieces, &mark);
        let draft = match place {
            0 => request(&host, "/", vec![(name, bytes)], None),
            1 => request(&host, "/", Vec::new(), Some(bytes)),
            2 => request(&host, &format!("/?{}", String::from_utf8_lossy(&bytes)), Vec::new(), None),
            _ => request(&host, &format!("/{}", String::from_utf8_lossy(&bytes).replace('?', "")), Vec::new(), None),
        };
        prop_assert!(matches!(ring.check(&draft), Err(CredentialError::Refused(_))));
    }

    #[test]
    fn a_filled_header_is_what_replacing_gives(pieces in proptest::collection::vec(noise(), 1..5)) {
        let ring = both();
        let mark = placeholder(&ring, 1);
        let draft = request("api.example.org", "/", vec![("x-key".to_owned(), joined(&pieces, &mark))], None);
        match ring.check(&draft) {
            Err(_) => prop_assert!(pieces.iter().any(|piece| !free(piece)) || !free(&joined(&pieces, ""))),
            Ok(carried) => {
                let out = ring.fill(draft, &carried).unwrap();
                prop_assert_eq!(&out.headers[0].1, &joined(&pieces, VALUE));
                prop_assert!(free(&out.headers[0].1));
            }
        }
    }

    #[test]
    fn what_was_filled_holds_no_placeholder_of_the_ring(
        pieces in proptest::collection::vec("[ -~]{0,12}", 1..4), kind in proptest::sample::select(vec!["application/json", "text/plain", "application/x-www-form-urlencoded"]),
    ) {
        let ring = both();
        let mark = placeholder(&ring, 1);
        let text = pieces.join(&mark);
        let headers = vec![("content-type".to_owned(), kind.as_bytes().to_vec()), ("x-key".to_owned(), text.clone().into_bytes())];
        let draft = request("api.example.org", &format!("/{mark}?k={mark}"), headers, Some(text.into_bytes()));
        let Ok(carried) = ring.check(&draft) else { return Ok(()) };
        let out = ring.fill(draft, &carried).unwrap();
        let holds = |bytes: &[u8]| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
        prop_assert!(!holds(out.path_and_query.as_bytes()) && !holds(out.body.as_deref().unwrap()));
        prop_assert!(out.headers.iter().all(|(_, value)| !holds(value)));
        prop_assert_eq!(out.path_and_query, format!("/{VALUE}?k={VALUE}"));
    }

    #[test]
    fn nothing_panics_and_what_is_checked_is_filled(
        line in any::<String>(), name in any::<String>(), value in noise(), content in noise(), secret in proptest::collection::vec(any::<u8>(), 0..40),
        body in proptest::option::of(proptest::collection::vec(noise(), 1..3)), hook in any::<bool>(),
    ) {
        let kind = if hook { CredentialKind::Url } else { CredentialKind::Form };
        let mut own = held(kind, &["api.example.org"], &["KEY:query:path:body:sign:reveal"], "");
        own.value = Secret::new(secret);
        let ring = Ring::new(vec![own]).unwrap();
        let mark = placeholder(&ring, 0);
        let headers = vec![(name, [&value, mark.as_bytes()].concat()), ("content-type".to_owned(), content), ("authorization".to_owned(), value)];
        let draft = request("api.example.org", &format!("/{line}{mark}"), headers, body.map(|pieces| joined(&pieces, &mark)));
        if let Ok(carried) = ring.check(&draft) {
            prop_assert!(ring.fill(draft, &carried).is_ok());
        }
        prop_assert!(ring.values().all(|(name, _)| name == "KEY"));
        if hook {
            prop_assert!(ring.target(&target(&mark)).is_err(), "noise is no address");
        }
    }
}
