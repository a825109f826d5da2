//! Requests through the operator's own proxy.
//!
//! The proxy itself is checked like a grant: a name must lead to a public
//! address unless the operator binds it (`http://proxy.corp:3128=10.0.0.2`), and
//! the checked address is the dialled one. Behind it, the target's *name* has
//! been checked as ever, but its address cannot be: the proxy resolves. What
//! has a known address is still checked here, and what is special or bound
//! (`localhost`, `192.168.1.5`, `nas.lan=192.168.1.5`) goes straight to it: the
//! proxy's loopback is not this machine's.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wardroom_core::address::classify;
use wardroom_core::capability::Refusal;
use wardroom_core::capability::net::{AddressRule, GrantedRequest, HttpScope, HttpTarget, Lookup, NetAccess, NetScope, Scheme};

use super::{BoxConnection, WireConfigError, WireError};

/// Bytes of a proxy's answer to CONNECT. It is the operator's own, but a
/// captive portal may answer in its place.
const MAX_TUNNEL_HEAD_BYTES: usize = 8 * 1024;

/// A proxy, as a checked target.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    access: NetAccess,
    target: HttpTarget,
}

impl ProxyConfig {
    /// Reads `http://host:port` or `http://name:port=ADDRESS`.
    ///
    /// # Errors
    ///
    /// [`WireConfigError`], its variants about the proxy.
    pub fn parse(text: &str) -> Result<Self, WireConfigError> {
        let scope: HttpScope = text.parse()?;
        let origin = text.split('=').next().unwrap_or_default();
        if !origin.to_ascii_lowercase().starts_with("http://") {
            return Err(WireConfigError::ProxyScheme);
        }
        if origin.contains([',', '*']) {
            return Err(WireConfigError::ProxyShape);
        }
        let target = HttpTarget::parse("GET", origin)?;
        if target.path_and_query() != "/" {
            return Err(WireConfigError::ProxyShape);
        }
        Ok(Self { access: NetAccess::new(vec![NetScope::from(scope)]), target })
    }

    /// The receipt that lets the wire dial the proxy.
    pub(super) fn granted(&self) -> Result<GrantedRequest, Refusal> {
        self.access.check(&self.target)
    }

    /// Whether this request goes through a proxy at all.
    pub(super) fn takes(granted: &GrantedRequest) -> bool {
        match (granted.rule(), granted.lookup()) {
            (AddressRule::PublicOnly, Lookup::Name(_)) => true,
            (AddressRule::Exactly(address), _) => granted.target().host_address() == Some(address) && classify(address).is_public(),
            _ => false,
        }
    }
}

/// The request line's target: the whole URL where a proxy has to read it.
pub(super) fn request_uri(target: &HttpTarget, path_and_query: &str, through_proxy: bool) -> Result<http::Uri, WireError> {
    let uri = http::Uri::builder().path_and_query(path_and_query);
    let uri = if through_proxy && target.scheme() == Scheme::Http { uri.scheme("http").authority(target.authority()) } else { uri };
    uri.build().map_err(|_| WireError::Target)
}

/// Asks the proxy on `raw` for a tunnel to `target` (RFC 9110, 9.3.6).
pub(super) async fn tunnel(mut raw: BoxConnection, target: &HttpTarget) -> Result<BoxConnection, WireError> {
    let endpoint = target.endpoint();
    let lost = |source: io::Error| WireError::Connect { endpoint: target.endpoint(), source };
    let head = format!("CONNECT {endpoint} HTTP/1.1\r\nHost: {endpoint}\r\n\r\n");
    raw.write_all(head.as_bytes()).await.map_err(lost)?;
    raw.flush().await.map_err(lost)?;
    let answer = read_head(&mut raw).await.map_err(lost)?;
    match status(&answer) {
        200..=299 => Ok(raw),
        status => Err(WireError::Proxy { endpoint, status }),
    }
}

/// Byte by byte: whatever follows the empty line belongs to TLS.
async fn read_head(raw: &mut BoxConnection) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_TUNNEL_HEAD_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the proxy's answer is too long"));
        }
        head.push(raw.read_u8().await?);
    }
    Ok(head)
}

/// The status in `HTTP/1.1 200 …`; 0 where there is none.
fn status(head: &[u8]) -> u16 {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return 0 };
    let mut words = line.split(' ');
    let http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let code = words.next().filter(|code| http && code.len() == 3);
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_plain_http_origin() {
        for right in ["http://127.0.0.1:3128", "http://proxy.corp:3128=10.0.0.2", "HTTP://proxy.example:80/"] {
            assert!(ProxyConfig::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "proxy.corp:3128",
            "https://proxy.corp",
            "http://*.corp.example:1",
            "http://p.corp/x",
            "http://p.corp,GET",
            "http://u:p@p.corp",
            "",
        ] {
            assert!(ProxyConfig::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_status_line_has_a_status() {
        let table: [(&[u8], u16); 5] = [
            (b"HTTP/1.1 200 OK\r\n\r\n", 200),
            (b"HTTP/1.0 407 Auth\r\n\r\n", 407),
            (b"SSH-2.0 200\r\n", 0),
            (b"HTTP/1.1 2000\r\n", 0),
            (b"\xff\r\n", 0),
        ];
        for (head, expected) in table {
            assert_eq!(status(head), expected);
        }
    }
}
