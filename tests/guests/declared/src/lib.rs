//! An ordinary function as a task, with its params declared by their types; it
//! asks an address, with a credential where one is assigned.

use serde::Deserialize;
use serde_json::{Value, json};
use wardroom_guest::{Failure, Params, credential, http, log};

#[derive(Deserialize, Params)]
#[serde(rename_all = "lowercase")]
enum Method {
    Get,
    Post,
}

#[wardroom_guest::main]
fn ask(
    /// Where to ask.
    url: String,
    method: Option<Method>,
    /// What to send along.
    #[serde(default)]
    body: Value,
    #[serde(default)] times: u8,
) -> Result<Value, Failure> {
    let request = match method {
        None | Some(Method::Get) => http::get(url),
        Some(Method::Post) => http::post(url).json(&body),
    };
    let token = credential::assigned().into_iter().next();
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {}", token.placeholder)),
        None => request,
    };
    let response = request.send()?.successful()?;
    log::info!("{} bytes", response.body.len());
    Ok(json!({"status": response.status, "kind": response.header("content-type"), "text": response.text()?, "times": times}))
}
