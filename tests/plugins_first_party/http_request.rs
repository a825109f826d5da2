//! Requests to a real server on loopback, in the clear and over TLS.

use serde_json::{Value, json};

use super::{Function, failure};
use crate::credentials::{VALUE, Vaulted};
use crate::support::home::Home;
use crate::support::server::Server;

fn send(home: &Home) -> Function<'_> {
    Function::of(home, "http-request", "send")
}

fn net(server: &Server) -> String {
    format!("--allow-net={}", server.base())
}

/// What the server's echo saw.
fn seen(response: &Value) -> Value {
    serde_json::from_str(response["body"]["text"].as_str().unwrap()).unwrap()
}

#[test]
fn a_request_goes_out_as_asked_and_its_answer_comes_back() {
    let (home, server) = (Home::new(), Server::start());
    let params = json!({
        "url": format!("{}/a/b?c=%20d#e", server.base()),
        "method": "PUT",
        "headers": [{ "name": "X-One", "value": "1" }, { "name": "content-type", "value": "text/x" }],
        "body": { "text": "grüße" },
    });
    let record = send(&home).call(&params, &[&net(&server)]);
    let response = record.succeeded().result();
    assert_eq!((&response["status"], &response["redirects"]), (&json!(200), &json!(0)));
    assert_eq!(response["url"], format!("{}/a/b?c=%20d", server.base()));
    let seen = seen(response);
    assert_eq!([&seen["method"], &seen["path"], &seen["query"], &seen["body"]], ["PUT", "/a/b", "c=%20d", "grüße"]);
    assert_eq!([&seen["headers"]["x-one"], &seen["headers"]["content-type"], &seen["headers"]["content-length"]], ["1", "text/x", "7"]);
    assert!(response["headers"].as_array().unwrap().contains(&json!({ "name": "content-type", "value": "application/json" })));
}

#[test]
fn bytes_go_and_come_as_bytes() {
    let (home, server) = (Home::new(), Server::start());
    let params = json!({ "url": server.base(), "body": { "bytes": "AP8=" } });
    let record = send(&home).call(&params, &[&net(&server)]);
    assert_eq!(seen(record.succeeded().result())["method"], "POST");
    assert_eq!(server.requests()[0].body, [0, 255]);
    let deflated = send(&home).call(&json!({ "url": format!("{}/status/404", server.base()) }), &[&net(&server)]);
    let response = deflated.succeeded().result();
    assert_eq!((&response["status"], &response["body"]), (&json!(404), &json!({ "text": "gone" })));
    let cookies = response["headers"].as_array().unwrap().iter().filter(|header| header["name"] == "set-cookie").count();
    assert_eq!(cookies, 2, "a header that comes twice stays two");
}

#[test]
fn redirects_are_followed_up_to_the_number_that_was_asked_for() {
    let (home, server) = (Home::new(), Server::start());
    let call = |path: &str, more: Value| {
        let mut params = json!({ "url": format!("{}{path}", server.base()) });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        send(&home).call(&params, &[&net(&server)])
    };
    let none = call("/redirect/302", json!({}));
    assert_eq!(none.succeeded().result()["status"], 302);
    let one = call("/redirect/302", json!({ "redirects": 1, "body": { "text": "x" } }));
    let response = one.succeeded().result();
    assert_eq!((&response["url"], &response["redirects"]), (&json!(format!("{}/echo", server.base())), &json!(1)));
    let seen_first = seen(response);
    assert_eq!(
        (&seen_first["method"], &seen_first["body"], &seen_first["headers"]["content-type"]),
        (&json!("GET"), &json!(""), &json!(null))
    );
    let kept = call("/redirect/307", json!({ "redirects": 1, "body": { "text": "x" } }));
    let kept = seen(kept.succeeded().result());
    assert_eq!([&kept["method"], &kept["body"]], ["POST", "x"]);
    let endless = call("/loop", json!({ "redirects": 3 }));
    assert_eq!(failure(&endless), json!({ "too_many_redirects": "it redirects more than 3 times" }));
    assert_eq!(server.requests().iter().filter(|request| request.path == "/loop").count(), 4);
    let elsewhere = call("/to?url=ftp://127.0.0.1/", json!({ "redirects": 1 }));
    assert!(failure(&elsewhere)["failed"].as_str().unwrap().contains("neither http nor https"));
}

#[test]
fn a_redirect_elsewhere_is_named_and_granted_and_takes_no_authorization_along() {
    let (home, first, second) = (Home::new(), Server::start(), Server::start());
    let headers = json!([{ "name": "Authorization", "value": "Basic abc" }, { "name": "x-plain", "value": "1" }]);
    let mut params = json!({ "url": format!("{}/to?url={}/echo", first.base(), second.base()), "redirects": 5, "headers": headers });
    let unnamed = failure(&send(&home).call(&params, &[&net(&first), &net(&second)]));
    assert!(unnamed["denied"].as_str().unwrap().contains("say so in `redirects_to`"), "{unnamed}");
    params["redirects_to"] = json!(second.base());
    let refused = send(&home).call(&params, &[&net(&first)]);
    assert!(failure(&refused)["denied"].is_string());
    assert!(refused.ended.stderr.contains(&format!("Allow it with `--allow-net={}", second.base())), "{}", refused.ended);
    assert_eq!(second.requests().len(), 0);
    send(&home).call(&params, &[&net(&first), &net(&second)]).succeeded();
    let (sent, forwarded) = (&first.requests()[2].headers, &second.requests()[0].headers);
    assert_eq!((sent.get("authorization").map(String::as_str), forwarded.get("authorization")), (Some("Basic abc"), None));
    assert_eq!(forwarded["x-plain"], "1");
}

#[test]
fn a_body_and_a_wait_have_their_bounds() {
    let (home, server) = (Home::new(), Server::start());
    let call = |path: &str, name: &str, value: u32| {
        send(&home).call(&json!({ "url": format!("{}{path}", server.base()), name: value }), &[&net(&server)])
    };
    let whole = call("/bytes/1000", "max_bytes", 1000);
    assert_eq!(whole.succeeded().result()["body"]["text"].as_str().unwrap().len(), 1000);
    assert_eq!(failure(&call("/bytes/1001", "max_bytes", 1000)), json!({ "too_large": "the body has more than 1000 bytes" }));
    assert_eq!(failure(&call("/bytes/600000", "redirects", 0)), json!({ "too_large": "the body has more than 524288 bytes" }));
    for path in ["/never", "/half"] {
        assert_eq!(failure(&call(path, "timeout_ms", 200)), json!({ "unavailable": "it took longer than 200 ms" }), "{path}");
    }
    assert_eq!(failure(&call("/", "max_bytes", 5 << 20)), json!({ "invalid": "`max_bytes` is 5242880: expected 0 to 4194304" }));
    assert_eq!(failure(&call("/", "redirects", 21)), json!({ "invalid": "`redirects` is 21: expected 0 to 20" }));
}

#[test]
fn a_credential_is_filled_in_where_a_header_names_it_and_is_never_shown() {
    let vaulted = Vaulted::new();
    let headers = json!([{ "name": "Authorization", "value": "Bearer {credentials.API_TOKEN}" }]);
    let params = json!({ "url": format!("{}/echo", vaulted.base()), "headers": headers });
    let record = send(&vaulted.home).call(&params, &[&vaulted.allow(), "--credential=API_TOKEN"]);
    let response = record.succeeded().result();
    assert_eq!(response["status"], 200);
    assert_eq!(vaulted.server.requests()[0].headers["authorization"], format!("Bearer {VALUE}"));
    let shown = format!("{}{}", record.json, record.ended.stderr);
    assert!(!shown.contains("tok~9f"), "the server echoes it, and nobody is shown it: {shown}");
    let refused = send(&vaulted.home).call(&params, &[&vaulted.allow()]);
    assert!(failure(&refused)["denied"].as_str().unwrap().contains("API_TOKEN"), "{}", refused.ended);
    assert!(refused.ended.stderr.contains("--credential=API_TOKEN"), "{}", refused.ended);
    assert_eq!(vaulted.server.requests().len(), 1);
}

#[test]
fn what_cannot_be_sent_is_said_before_anything_is() {
    let (home, server) = (Home::new(), Server::start());
    for (params, why) in [
        (json!({ "url": "no url" }), "`url` does not hold"),
        (json!({ "url": "file:///etc/passwd" }), "expected http or https"),
        (json!({ "url": "http://user:secret@127.0.0.1/" }), "holds a user name"),
        (json!({ "url": server.base(), "method": "get" }), "upper case"),
        (json!({ "url": server.base(), "headers": [{ "name": "Host", "value": "x" }] }), "not for programs"),
        (json!({ "url": server.base(), "headers": [{ "name": "x", "value": "a\r\nb: c" }] }), "does not hold"),
        (json!({ "url": server.base(), "headers": [{ "name": "x", "value": "{credentials.A" }] }), "never closed"),
    ] {
        let refused = failure(&send(&home).call(&params, &[&net(&server)]));
        assert!(refused["invalid"].as_str().unwrap().contains(why), "{params}: {refused}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn no_address_is_asked_without_its_grant_and_the_flag_is_named() {
    let (home, server) = (Home::new(), Server::start());
    let refused = send(&home).call(&json!({ "url": server.base() }), &[]);
    assert_eq!(failure(&refused), json!({ "denied": "this address was not granted" }));
    assert!(refused.ended.stderr.contains(&format!("Allow it with `--allow-net={}", server.base())), "{}", refused.ended);
    assert_eq!(server.requests().len(), 0);
}
