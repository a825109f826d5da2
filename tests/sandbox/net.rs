//! The network: the granted origin, path and method; and nothing else.

use serde_json::json;
use wardroom_core::capability::Capability;

use super::{refusal, refusals};
use crate::support::home::Home;
use crate::support::library::Job;
use crate::support::server::Server;

#[test]
fn a_granted_origin_is_reached() {
    let server = Server::start();
    let url = format!("{}/echo?q=1", server.base());
    let finished = Job::command("fetch").args(&[&url]).net(&server.base()).finish();
    assert_eq!(finished.json()["status"], json!(200), "{}", finished.json());
    assert_eq!(finished.outcome.usage.hosts, [server.address().to_string()]);
    assert_eq!(finished.seen.effects, 1, "the start row comes before the first request");
    let script = Job::script("return (await (await fetch(params.url)).json()).query").params(json!({ "url": url })).net(&server.base());
    assert_eq!(script.finish().json(), &json!("q=1"));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_granted_origin_is_reached_denied() {
    let server = Server::start();
    let url = format!("{}/echo?secret=1", server.base());
    let finished = Job::command("fetch").args(&[&url]).finish();
    assert_eq!(finished.json(), &json!({ "error": "ErrorCode::HttpRequestDenied" }));
    let expected = format!("GET {}/echo", server.base());
    assert_eq!((refusal(&finished).capability, refusal(&finished).wanted.as_str()), (Capability::Net, expected.as_str()));
    let script = Job::script("return (await fetch(params.url)).status").params(json!({ "url": url })).finish();
    assert_eq!(script.failure().0, wardroom_core::failure::FailureKind::Denied);
    assert!(server.requests().is_empty() && finished.outcome.usage.hosts.is_empty());
}

#[test]
fn the_flag_that_a_refusal_names_is_the_one_that_helps() {
    let server = Server::start();
    let home = Home::new();
    let url = format!("{}/deep/path?secret=1", server.base());
    let script = home.file("s.js", format!("return (await fetch({url:?})).status"));
    let refused = home.record(&[script.to_str().unwrap()]);
    assert_eq!(refused.ending(), ("failed", "denied", "operator", Some(1)), "{}", refused.ended);
    let scope = refused.json["refusals"][0]["scope"].as_str().unwrap().to_owned();
    let flag = format!("--allow-net={scope}");
    assert!(refused.ended.stderr.contains(&format!("`{flag}`")), "the operator is told `{flag}`:\n{}", refused.ended);
    let allowed = home.record(&[&flag, script.to_str().unwrap()]);
    assert_eq!(allowed.succeeded().result(), &json!(200));
}

#[test]
fn another_method_path_port_or_scheme_is_refused() {
    let (server, other) = (Server::start(), Server::start());
    let (base, elsewhere) = (server.base(), other.base());
    let https = base.replace("http:", "https:");
    let localhost = base.replace("127.0.0.1", "localhost");
    for (url, method) in [
        (format!("{base}/open/x"), "POST"),
        (format!("{base}/other"), "GET"),
        (format!("{base}/open/../other"), "GET"),
        (format!("{base}/open/%2e%2e/other"), "GET"),
        (format!("{base}/openly"), "GET"),
        (format!("{elsewhere}/open/x"), "GET"),
        (format!("{https}/open/x"), "GET"),
        (format!("{localhost}/open/x"), "GET"),
    ] {
        let finished = Job::command("fetch").args(&[&url, method]).net(&format!("{base}/open/,GET")).finish();
        assert!(finished.json()["error"].is_string(), "{method} {url}: {}", finished.json());
    }
    let granted = Job::command("fetch").args(&[&format!("{base}/open/x")]).net(&format!("{base}/open/,GET")).finish();
    assert_eq!(granted.json()["status"], json!(200));
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!((paths, other.requests().len()), (vec!["/open/x".to_owned()], 0));
}

#[test]
fn a_redirect_is_a_request_of_its_own_and_is_refused_like_one() {
    let (server, other) = (Server::start(), Server::start());
    let source = "return (await fetch(params.url)).status";
    let url = format!("{}/to?url={}/echo", server.base(), other.base());
    let finished = Job::script(source).params(json!({ "url": url })).net(&server.base()).finish();
    assert_eq!(finished.failure().0, wardroom_core::failure::FailureKind::Denied);
    assert_eq!((server.requests().len(), other.requests().len()), (1, 0));
}

#[test]
fn raw_sockets_are_refused_whatever_is_granted() {
    let server = Server::start();
    let address = server.address().to_string();
    let finished = Job::command("socket").args(&[&address]).net(&server.base()).finish();
    let all = json!({ "connect": "refused", "bind": "refused", "datagram": "refused", "name": "refused" });
    assert_eq!(finished.json(), &all);
    let wanted = refusals(&finished);
    assert!(wanted.iter().all(|(capability, _, flag)| *capability == Capability::Net && flag.is_none()), "{wanted:?}");
    assert!(!wanted.is_empty() && server.requests().is_empty());
}

#[test]
fn nothing_is_sent_where_the_start_row_cannot_be_written() {
    let server = Server::start();
    let finished = Job::command("fetch").args(&[&server.base()]).net(&server.base()).without_start_row().finish();
    assert_eq!(finished.failure(), (wardroom_core::failure::FailureKind::Host, "no space is left"));
    assert!(server.requests().is_empty());
}

#[test]
fn a_run_sends_no_more_requests_than_its_limit() {
    let server = Server::start();
    let source = "let sent = 0; try { for (;;) { await (await fetch(params.url)).text(); sent++; } } catch { return sent; }";
    let mut job = Job::script(source).params(json!({ "url": server.base() })).net(&server.base());
    job.limits.http_requests = 7;
    assert_eq!(job.finish().json(), &json!(7));
    assert_eq!(server.requests().len(), 7);
}
