//! The native half of `credentials`: what the engine answers about the
//! credentials assigned to a run. No value passes through here but where the
//! operator allowed `reveal`.

use rquickjs::{Ctx, Object, Result, TypedArray, convert::List, prelude::Func};
use sha2::{Digest, Sha256};

use crate::bindings::wardroom::automation::credential::{
    self, AwsRequest, Error, Hash, HmacRequest, JwtAlgorithm, JwtRequest, Kind, Scheme, Signature,
};
use crate::text::{Bytes, Text};

/// One function that makes the others: a script without credentials pays for no more.
pub(crate) fn install(host: &Object<'_>) -> Result<()> {
    host.set("credential", Func::from(natives))
}

fn natives(ctx: Ctx<'_>) -> Result<Object<'_>> {
    let natives = Object::new(ctx)?;
    natives.set("list", Func::from(list))?;
    natives.set("placeholder", Func::from(placeholder))?;
    natives.set("reveal", Func::from(reveal))?;
    natives.set("hmac", Func::from(hmac))?;
    natives.set("jwt", Func::from(jwt))?;
    natives.set("awsSigV4", Func::from(aws_sigv4))?;
    natives.set("sha256", Func::from(sha256))?;
    Ok(natives)
}

/// `[error, value]` for the prelude, the error itself being `[kind, message]`.
type Answer<T> = List<(Option<List<(&'static str, String)>>, Option<T>)>;

fn answer<T>(result: std::result::Result<T, Error>) -> Answer<T> {
    List(match result {
        Ok(value) => (None, Some(value)),
        Err(Error::NotAssigned(message)) => (Some(List(("notAssigned", message))), None),
        Err(Error::Denied(message)) => (Some(List(("denied", message))), None),
        Err(Error::Unfit(message)) => (Some(List(("unfit", message))), None),
    })
}

fn list() -> Vec<List<(String, &'static str, String)>> {
    credential::list().into_iter().map(|one| List((one.name, word(one.kind), one.placeholder))).collect()
}

/// A kind as flags and records write it.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::ApiKey => "api_key",
        Kind::OauthToken => "oauth_token",
        Kind::EnvVar => "env_var",
        Kind::Secret => "secret",
        Kind::Url => "url",
        Kind::Form => "form",
    }
}

fn placeholder(name: Text) -> Answer<String> {
    answer(credential::placeholder(&name.0))
}

fn reveal(name: Text) -> Answer<String> {
    answer(credential::reveal(&name.0))
}

fn hmac<'js>(ctx: Ctx<'js>, name: Text, hash: Text, message: Bytes) -> Result<Answer<TypedArray<'js, u8>>> {
    let hash = match hash.0.as_str() {
        "sha1" => Hash::Sha1,
        "sha512" => Hash::Sha512,
        _ => Hash::Sha256,
    };
    let signed = sign(&name, Scheme::Hmac(HmacRequest { hash, message: message.0 }), |signature| match signature {
        Signature::Bytes(bytes) => Some(bytes),
        _ => None,
    });
    Ok(answer(match signed {
        Ok(bytes) => Ok(TypedArray::new(ctx, bytes)?),
        Err(error) => Err(error),
    }))
}

fn jwt(name: Text, algorithm: Text, key_id: Option<Text>, claims: Text) -> Answer<String> {
    let algorithm = match algorithm.0.as_str() {
        "HS512" => JwtAlgorithm::Hs512,
        "RS256" => JwtAlgorithm::Rs256,
        "ES256" => JwtAlgorithm::Es256,
        "EdDSA" => JwtAlgorithm::Eddsa,
        _ => JwtAlgorithm::Hs256,
    };
    let request = JwtRequest { algorithm, key_id: key_id.map(|Text(id)| id), claims: claims.0 };
    answer(sign(&name, Scheme::Jwt(request), |signature| match signature {
        Signature::Text(text) => Some(text),
        _ => None,
    }))
}

/// The texts come in the order in which `prelude/credentials.js` names them.
fn aws_sigv4(name: Text, fields: Vec<Text>, headers: Vec<Vec<Text>>) -> Answer<Vec<List<(String, String)>>> {
    let mut fields = fields.into_iter().map(|Text(text)| text);
    let mut next = || fields.next().unwrap_or_default();
    let request = AwsRequest {
        access_key_id: next(),
        region: next(),
        service: next(),
        method: next(),
        url: next(),
        payload_hash: next(),
        headers: headers.into_iter().filter_map(pair).collect(),
    };
    answer(sign(&name, Scheme::AwsSigv4(request), |signature| match signature {
        Signature::Headers(headers) => Some(headers.into_iter().map(List).collect()),
        _ => None,
    }))
}

fn pair(pair: Vec<Text>) -> Option<(String, String)> {
    let [Text(name), Text(value)] = <[Text; 2]>::try_from(pair).ok()?;
    Some((name, value))
}

/// Signs, and takes the signature that the scheme is answered with.
fn sign<T>(Text(name): &Text, scheme: Scheme, take: fn(Signature) -> Option<T>) -> std::result::Result<T, Error> {
    let signature = credential::sign(name, &scheme)?;
    take(signature).ok_or_else(|| Error::Unfit(String::from("the engine answered with another scheme's signature")))
}

/// Of a body that is signed by its hash.
fn sha256<'js>(ctx: Ctx<'js>, bytes: Bytes) -> Result<TypedArray<'js, u8>> {
    TypedArray::new(ctx, Sha256::digest(&bytes.0).to_vec())
}
