//! Sends one HTTP request and answers what came back.
//!
//! Owns the rules of redirects, the bounds, and where a credential may stand; the
//! wire is wasi:http's (`wire.rs`), and which hosts may be asked is the host's to
//! say, for every request anew. A credential's value is never here: headers carry
//! placeholders.

mod redirect;
mod request;
mod wire;

#[allow(missing_docs, clippy::missing_safety_doc, clippy::too_many_arguments, reason = "generated from wit/http-request.wit")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "wardroom:http-request/http-request",
        generate_all,
    });
    use super::HttpRequest;
    export!(HttpRequest);
}

use bindings::{Body, Error, Guest, Header, Response};
use request::{Bounds, Request};

/// The function of `wit/http-request.wit`.
struct HttpRequest;

impl Guest for HttpRequest {
    #[allow(clippy::too_many_arguments, reason = "they are the params that a caller names")]
    fn send(
        url: String,
        method: Option<String>,
        headers: Option<Vec<Header>>,
        body: Option<Body>,
        redirects: Option<u32>,
        redirects_to: Option<String>,
        max_bytes: Option<u32>,
        timeout_ms: Option<u32>,
    ) -> Result<Response, Error> {
        let bounds = Bounds::of(redirects, max_bytes, timeout_ms)?;
        let mut request = Request::of(&url, method, headers.unwrap_or_default(), body)?;
        let allowed = redirect::Allowed::of(&request.url, redirects_to)?;
        let mut followed = 0;
        loop {
            let answer = wire::exchange(&request, &bounds)?;
            // Where none are to be followed, the redirect is the answer.
            let target = if bounds.redirects == 0 { None } else { redirect::target(&request, &answer)? };
            let Some(target) = target else {
                let (body, url) = (readable(answer.body), request.url.to_string());
                return Ok(Response { status: answer.status, headers: answer.headers, body, url, redirects: followed });
            };
            if followed == bounds.redirects {
                return Err(Error::TooManyRedirects(format!("it redirects more than {followed} times")));
            }
            followed += 1;
            request = redirect::follow(request, allowed.check(target)?, answer.status);
        }
    }
}

fn readable(bytes: Vec<u8>) -> Body {
    match String::from_utf8(bytes) {
        Ok(text) => Body::Text(text),
        Err(error) => Body::Bytes(error.into_bytes()),
    }
}
