//! The URL parser behind `URL` and `URLSearchParams`: the `url` crate, whose
//! `quirks` are the getters and setters of the WHATWG standard.

use rquickjs::{Object, Result, convert::List, prelude::Func};
use url::{Url, form_urlencoded, quirks};

use crate::text::Text;

pub(crate) fn install(host: &Object<'_>) -> Result<()> {
    host.set("parseUrl", Func::from(parse))?;
    host.set("changeUrl", Func::from(change))?;
    host.set("parseForm", Func::from(parse_form))?;
    host.set("writeForm", Func::from(write_form))
}

/// A URL's parts in the order in which `prelude/url.js` names them.
fn parts(url: &Url) -> Vec<String> {
    let parts = [
        quirks::href(url),
        &quirks::origin(url),
        quirks::protocol(url),
        quirks::username(url),
        quirks::password(url),
        quirks::host(url),
        quirks::hostname(url),
        quirks::port(url),
        quirks::pathname(url),
        quirks::search(url),
        quirks::hash(url),
    ];
    parts.map(str::to_owned).into()
}

fn parse(url: Text, base: Option<Text>) -> Option<Vec<String>> {
    let base = match base {
        Some(Text(base)) => Some(Url::parse(&base).ok()?),
        None => None,
    };
    let url = Url::options().base_url(base.as_ref()).parse(&url.0).ok()?;
    Some(parts(&url))
}

/// Changes one part. A value that does not fit changes nothing, except for the
/// whole address, where it is an error.
fn change(href: Text, part: Text, value: Text) -> Option<Vec<String>> {
    let mut url = Url::parse(&href.0).ok()?;
    let value = value.0.as_str();
    // The standard's setters ignore what does not fit.
    let _fits = match part.0.as_str() {
        "href" => return Url::parse(value).ok().map(|url| parts(&url)),
        "protocol" => quirks::set_protocol(&mut url, value).is_ok(),
        "username" => quirks::set_username(&mut url, value).is_ok(),
        "password" => quirks::set_password(&mut url, value).is_ok(),
        "host" => quirks::set_host(&mut url, value).is_ok(),
        "hostname" => quirks::set_hostname(&mut url, value).is_ok(),
        "port" => quirks::set_port(&mut url, value).is_ok(),
        other => {
            change_rest(&mut url, other, value);
            true
        }
    };
    Some(parts(&url))
}

/// The parts that any value fits.
fn change_rest(url: &mut Url, part: &str, value: &str) {
    match part {
        "pathname" => quirks::set_pathname(url, value),
        "search" => quirks::set_search(url, value),
        "hash" => quirks::set_hash(url, value),
        _ => {}
    }
}

fn parse_form(text: Text) -> Vec<List<(String, String)>> {
    let pairs = form_urlencoded::parse(text.0.as_bytes());
    pairs.map(|(name, value)| List((name.into_owned(), value.into_owned()))).collect()
}

fn write_form(pairs: Vec<Vec<Text>>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for pair in pairs {
        if let [Text(name), Text(value)] = pair.as_slice() {
            form.append_pair(name, value);
        }
    }
    form.finish()
}
