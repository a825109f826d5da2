//! Network scopes and requests.

use wardroom_core::capability::net::{HttpScope, HttpTarget, NetAccess, NetScope};

use crate::line;

/// Two scopes, a method and a URL, a line each. A scope reads back as itself,
/// covers itself, and only what it covers remains of it; a request is checked
/// without a panic, and what a scope around it says allows it.
pub fn scopes(bytes: &[u8]) {
    let (one, rest) = line(bytes);
    let (other, rest) = line(rest);
    let (method, rest) = line(rest);
    let (url, _) = line(rest);
    let scopes: Vec<NetScope> = [one, other].into_iter().filter_map(read).collect();
    if let [grant, request] = scopes.as_slice() {
        meet(grant, request);
    }
    let Ok(target) = HttpTarget::parse(method, url) else { return };
    let access = NetAccess::new(scopes.clone());
    let allowed = access.check(&target).is_ok();
    let alone = scopes.iter().any(|scope| NetAccess::new(vec![scope.clone()]).check(&target).is_ok());
    assert!(allowed || !alone, "more scopes allow less: {scopes:?} {target}");
    assert!(NetAccess::new(Vec::new()).check(&target).is_err(), "no scope allows {target}");
    let around = NetScope::Http(HttpScope::around(&target));
    assert!(NetAccess::new(vec![around.clone()]).check(&target).is_ok(), "`{around}` does not allow {target}");
}

fn read(text: &str) -> Option<NetScope> {
    let scope: NetScope = text.parse().ok()?;
    let shown = scope.to_string();
    let again: NetScope = shown.parse().unwrap_or_else(|error| unreadable(&shown, &error));
    assert_eq!(again, scope, "`{shown}` reads back as another scope");
    assert!(scope.covers(&scope), "`{shown}` does not cover itself");
    Some(scope)
}

#[expect(clippy::panic, reason = "that is how a fuzzer is told")]
fn unreadable(shown: &str, error: &dyn std::error::Error) -> NetScope {
    panic!("a scope shows itself as `{shown}`, which does not read: {error}")
}

fn meet(grant: &NetScope, request: &NetScope) {
    let Some(rest) = grant.effective(request) else {
        assert!(!grant.covers(request), "`{grant}` covers `{request}` and leaves nothing of it");
        return;
    };
    assert!(grant.covers(&rest), "`{rest}` remains of `{request}` beyond `{grant}`");
}
