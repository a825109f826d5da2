//! Sends one request, `fetch URL [METHOD]`, and answers `{"status", "body"}` or
//! `{"error"}`. Waits as long as it takes.

use serde_json::{Value, json};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    eprintln!("asking");
    let answer = fetch(&args[1], args.get(2).map_or("GET", String::as_str));
    println!("{}", answer.unwrap_or_else(|error| json!({ "error": error })));
}

fn fetch(url: &str, method: &str) -> Result<Value, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        other => Method::Other(other.to_owned()),
    };
    let taken = "the request takes it";
    request.set_method(&method).map_err(|()| taken)?;
    request.set_scheme(Some(&scheme)).map_err(|()| taken)?;
    request.set_authority(Some(authority)).map_err(|()| taken)?;
    request.set_path_with_query(Some(path)).map_err(|()| taken)?;
    let body = request.body().map_err(|()| taken)?;
    let sent = handle(request, None).map_err(|code| format!("{code:?}"))?;
    OutgoingBody::finish(body, None).map_err(|code| format!("{code:?}"))?;
    sent.subscribe().block();
    let response = sent.get().ok_or("no answer")?.map_err(|()| taken)?.map_err(|code| format!("{code:?}"))?;
    let status = response.status();
    Ok(json!({ "status": status, "body": text(&response)? }))
}

fn text(response: &IncomingResponse) -> Result<String, String> {
    let body: IncomingBody = response.consume().map_err(|()| "taken")?;
    let stream = body.stream().map_err(|()| "taken")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}
