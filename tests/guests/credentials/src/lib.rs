//! A task that uses its credentials as the SDK has them: names them all, carries
//! one to a server, signs with it in every way, and looks at its value.
//!
//! What a use was refused with stands in its place as `{"error"}`.

use serde::Deserialize;
use serde_json::{Value, json};
use wardroom_guest::Failure;
use wardroom_guest::credential::{self, AwsRequest, Hash, JwtAlgorithm};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

#[derive(Deserialize)]
struct Params {
    /// The credential.
    name: String,
    /// Where it goes, without a path.
    base: String,
}

fn run(Params { name, base }: Params) -> Result<Value, Failure> {
    let assigned = credential::assigned();
    let kinds: Vec<Value> = assigned.iter().map(|one| json!([one.name, format!("{:?}", one.kind)])).collect();
    let placeholder = credential::placeholder(&name)?;
    let listed = assigned.iter().any(|one| one.name == name && one.placeholder == placeholder);
    let hmac = credential::sign_hmac(&name, Hash::Sha256, "what do ya want for nothing?");
    let jwt = credential::sign_jwt(&name, JwtAlgorithm::Hs256, Some("k1"), &json!({ "iss": "guest" }));
    let url = format!("{base}/object?b=2&a=1");
    let request = AwsRequest {
        access_key_id: "AKIDEXAMPLE",
        region: "eu-central-1",
        service: "execute-api",
        method: "GET",
        url: &url,
        headers: &[("x-note", "one")],
        payload_hash: "UNSIGNED-PAYLOAD",
    };
    let aws = credential::sign_aws_sigv4(&name, &request);
    let bytes = |code: Vec<u8>| code.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(json!({
        "assigned": kinds,
        "listed": listed,
        "status": send(&base, &placeholder).map_err(Failure::failed)?,
        "hmac": said(hmac.map(bytes)),
        "jwt": said(jwt),
        "aws": said(aws.map(|headers| headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" "))),
        "revealed": said(credential::reveal(&name).map(|value| value.len().to_string())),
        "other": said(credential::placeholder("NOT_MINE")),
    }))
}

fn said(answer: Result<String, credential::Error>) -> Value {
    match answer {
        Ok(text) => Value::from(text),
        Err(error) => json!({ "error": format!("{error:?}").split('(').next() }),
    }
}

/// The status that a request with the placeholder is answered with.
fn send(base: &str, placeholder: &str) -> Result<u16, String> {
    let taken = "the request does not take it";
    let fields = Fields::new();
    fields.append("authorization", format!("Bearer {placeholder}").as_bytes()).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(fields);
    request.set_method(&Method::Get).map_err(|()| taken)?;
    request.set_scheme(Some(&Scheme::Https)).map_err(|()| taken)?;
    request.set_authority(base.strip_prefix("https://")).map_err(|()| taken)?;
    request.set_path_with_query(Some("/guest")).map_err(|()| taken)?;
    let body = request.body().map_err(|()| taken)?;
    let sent = handle(request, None).map_err(|code| format!("{code:?}"))?;
    OutgoingBody::finish(body, None).map_err(|code| format!("{code:?}"))?;
    sent.subscribe().block();
    let response = sent.get().ok_or("no answer")?.map_err(|()| taken)?.map_err(|code| format!("{code:?}"))?;
    Ok(response.status())
}

wardroom_guest::task!(run);
