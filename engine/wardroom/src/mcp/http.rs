//! Serving clients over HTTP, on this machine alone.
//!
//! ```text
//!  connection ─▶ of at most 64 ─▶ Host ─▶ Origin ─▶ token ─▶ body ─▶ rmcp ─▶ Server
//!                slow: cut off     403     403       401      413     one a session, or one for
//!                                                                     the era that has none
//! ```
//!
//! Whoever reaches the address may be a page in a browser (DNS rebinding), or
//! another user of this machine: the first is turned away by `Host` and `Origin`,
//! both by the token. Nothing is read of a body before that.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::handler::server::ServerHandler;
use rmcp::model::ProtocolVersion;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use subtle::ConstantTimeEq as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::stdio::{Stops, interrupt};
use super::{McpError, Server, ServerOptions};
use crate::wardroom::Wardroom;

/// Where clients speak to.
const PATH: &str = "/mcp";
/// Connections at one time.
const MAX_CONNECTIONS: usize = 64;
/// Sessions of the eras that have them, at one time.
const MAX_SESSIONS: usize = 64;
/// A session that nobody used for so long ends.
const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
/// Bytes of a request's body.
const MAX_BODY: usize = 16 << 20;
/// Bytes of a request's head, and its fields.
const MAX_HEAD: usize = 64 << 10;
const MAX_FIELDS: usize = 64;
/// How long a request's head may take, and a connection may be silent before.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long its body may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// Characters of a token that is read from a file: 256 bits in base64 at least.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 43..=256;

/// What lets a client in. Never in a log and never on a command line.
pub struct Token(Zeroizing<String>);

/// A file that holds no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read or made.
    #[error("the token's file `{}` cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could read it.
    #[error("the token's file `{}` can be read by others: expected a file of your own with mode 0600", .0.display())]
    Open(PathBuf),
    /// Something else is in there.
    #[error("the token's file `{}` holds none: expected 43 to 256 letters, digits, `-` and `_`", .0.display())]
    Form(PathBuf),
    /// The system has no randomness.
    #[error("this system gives no random bytes: {0}")]
    Random(String),
}

impl Token {
    /// A fresh one of 256 random bits.
    ///
    /// # Errors
    ///
    /// [`TokenError::Random`].
    pub fn fresh() -> Result<Self, TokenError> {
        let mut bytes = Zeroizing::new([0_u8; TOKEN_BYTES]);
        getrandom::fill(bytes.as_mut()).map_err(|error| TokenError::Random(error.to_string()))?;
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_BYTES * 2));
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|half| char::from_digit(half.into(), 16));
        text.extend(digits);
        Ok(Self(text))
    }

    /// The one in a file, which is made with a fresh one where it is missing.
    ///
    /// # Errors
    ///
    /// [`TokenError`] for a file that others can read, or that holds no token.
    pub fn in_file(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::File { path: path.to_owned(), source };
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut file) => {
                let fresh = Self::fresh()?;
                file.write_all(fresh.0.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
                return Ok(fresh);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        // Not waited for: a FIFO in its place would hold this up for ever.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let is_own = meta.is_file() && meta.uid() == rustix::process::geteuid().as_raw();
        if !is_own || meta.mode() & 0o077 != 0 {
            return Err(TokenError::Open(path.to_owned()));
        }
        let mut text = Zeroizing::new(String::with_capacity(1024));
        file.take(1024).read_to_string(&mut text).map_err(failed)?;
        let token = text.trim();
        let fits = TOKEN_LENGTH.contains(&token.len());
        if !fits || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(TokenError::Form(path.to_owned()));
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// For the eyes of the operator, once.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.0
    }

    /// Takes as long for each wrong one.
    fn is(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

/// An address on this machine, from `127.0.0.1:PORT`, `[::1]:PORT` or
/// `localhost:PORT`; none where it is another's.
#[must_use]
pub fn loopback(text: &str) -> Option<SocketAddr> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)),
        None => text.parse().ok()?,
    };
    // A mapped one is an address of the other family in disguise.
    address.ip().is_loopback().then_some(address)
}

/// The door, before it serves.
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    token: Token,
}

impl Door {
    /// Takes the address; with port 0, whichever is free.
    ///
    /// # Errors
    ///
    /// [`McpError::Address`] where somebody else has it, or it is not of this
    /// machine alone.
    pub async fn open(address: SocketAddr, token: Token) -> Result<Self, McpError> {
        let failed = |source| McpError::Address { address, source };
        if !address.ip().is_loopback() {
            return Err(failed(io::Error::other("it is not of this machine alone")));
        }
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, token })
    }

    /// Where clients speak to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// What lets them in.
    #[must_use]
    pub const fn token(&self) -> &Token {
        &self.token
    }

    /// Serves until this process is told to stop; what runs then is recorded as
    /// interrupted.
    ///
    /// # Errors
    ///
    /// [`McpError::Signals`], or [`McpError::Session`] where others cannot know
    /// of it.
    pub async fn serve(self, wardroom: Arc<Wardroom>, options: ServerOptions) -> Result<(), McpError> {
        let mut stops = Stops::new()?;
        self.serve_around(wardroom, options, |server| server, stops.told()).await
    }

    /// The same until `end`, with something around each [`Server`].
    ///
    /// The binary puts nothing there. The official conformance suite wants tools
    /// of fixed names in the server that it judges: the tests put them around this
    /// one, so that it is this door and this server that are judged, and the binary
    /// holds none of them.
    ///
    /// # Errors
    ///
    /// [`McpError::Session`] where others cannot know of it.
    pub async fn serve_around<H: ServerHandler>(
        self,
        wardroom: Arc<Wardroom>,
        options: ServerOptions,
        around: impl Fn(Server) -> H + Send + Sync + 'static,
        end: impl Future<Output = ()>,
    ) -> Result<(), McpError> {
        wardroom.session().await?.note_listener(&self.url())?;
        let Self { listener, address, token } = self;
        // One for all requests of the era without sessions: they have to agree
        // on the key of what they hand to the client.
        let shared = around(Server::shared(wardroom.clone(), options.clone()));
        let make = {
            let wardroom = wardroom.clone();
            move || around(Server::new(wardroom.clone(), options.clone()))
        };
        let inside = Arc::new(Inside::new(shared, make, address, token));
        tokio::select! {
            () = accept(listener, inside) => {}
            () = end => {}
        }
        // Before sessions are taken down, which would cancel what runs for them:
        // nobody asked for that.
        interrupt(&wardroom).await;
        Ok(())
    }
}

async fn accept<H: ServerHandler>(listener: TcpListener, inside: Arc<Inside<H>>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Who finds no place waits in the system's queue.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let inside = inside.clone();
                drop(tokio::spawn(async move {
                    converse(stream, inside).await;
                    drop(place);
                }));
            }
            // Too many files open, or a client that was gone already.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn converse<H: ServerHandler>(stream: TcpStream, inside: Arc<Inside<H>>) {
    let service = service_fn(move |request| {
        let inside = inside.clone();
        async move { Ok::<_, Infallible>(inside.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD).max_headers(MAX_FIELDS);
    // However it ends, its place is free then.
    drop(http.serve_connection(TokioIo::new(stream), service).await);
}

type Body = BoxBody<Bytes, Infallible>;
/// What is answered to who is not let in.
type Refusal = Box<Response<Body>>;

/// What is behind the checks.
struct Inside<H: ServerHandler> {
    /// What a client may call this server: `Host`, and after `http://` `Origin`.
    names: Vec<String>,
    token: Token,
    manager: Arc<LocalSessionManager>,
    sessions: StreamableHttpService<H, LocalSessionManager>,
    stateless: StreamableHttpService<Arc<H>, LocalSessionManager>,
}

impl<H: ServerHandler> Inside<H> {
    fn new(shared: H, make: impl Fn() -> H + Send + Sync + 'static, address: SocketAddr, token: Token) -> Self {
        let port = address.port();
        let own = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let names: Vec<String> = [own.as_str(), "localhost"].map(|name| format!("{name}:{port}")).into();
        let config = StreamableHttpServerConfig::default().with_allowed_hosts(names.clone()).with_max_request_body_bytes(MAX_BODY);
        let mut manager = LocalSessionManager::default();
        manager.session_config.keep_alive = Some(SESSION_IDLE);
        let manager = Arc::new(manager);
        let shared = Arc::new(shared);
        Self {
            names,
            token,
            sessions: StreamableHttpService::new(move || Ok(make()), manager.clone(), config.clone()),
            manager,
            stateless: StreamableHttpService::new(move || Ok(shared.clone()), Arc::default(), config.with_legacy_session_mode(false)),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match self.admit(request).await {
            Ok(admitted) if is_stateless(admitted.headers()) => self.stateless.handle(admitted).await,
            Ok(admitted) => self.sessions.handle(admitted).await,
            Err(refused) => *refused,
        }
    }

    /// All checks, in the order in which they cost more.
    async fn admit(&self, request: Request<Incoming>) -> Result<Request<Full<Bytes>>, Refusal> {
        let (head, body) = request.into_parts();
        self.check_place(&head)?;
        if !single(&head.headers, &AUTHORIZATION).and_then(bearer).is_some_and(|given| self.token.is(given)) {
            let mut refused = refused(StatusCode::UNAUTHORIZED, "this server's token is missing, or another");
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wardroom\""));
            return Err(refused);
        }
        // What reads heads stops somewhere beyond its bound; this is the bound.
        let bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes > MAX_HEAD {
            return Err(refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "a head has at most 64 KiB"));
        }
        if head.uri.path() != PATH {
            return Err(refused(StatusCode::NOT_FOUND, "clients speak to /mcp"));
        }
        let body = read(body).await?;
        let begins = head.method == Method::POST && !head.headers.contains_key("mcp-session-id") && !is_stateless(&head.headers);
        if begins && self.manager.sessions.read().await.len() >= MAX_SESSIONS {
            let mut refused = refused(StatusCode::SERVICE_UNAVAILABLE, "all sessions are taken: end one with DELETE, or wait");
            refused.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
            return Err(refused);
        }
        Ok(Request::from_parts(head, Full::new(body)))
    }

    /// A page in a browser speaks to a name, not to this address, and says where
    /// it is from.
    fn check_place(&self, head: &http::request::Parts) -> Result<(), Refusal> {
        let is_own = |name: &str| self.names.iter().any(|own| own.eq_ignore_ascii_case(name));
        let host = single(&head.headers, &HOST).and_then(|host| host.to_str().ok());
        let authority = head.uri.authority().is_none_or(|authority| is_own(authority.as_str()));
        if !host.is_some_and(is_own) || !authority {
            return Err(refused(StatusCode::FORBIDDEN, "this server is not called that"));
        }
        let from_here = |origin: &HeaderValue| origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://")).is_some_and(is_own);
        if head.headers.get_all(ORIGIN).iter().all(from_here) {
            Ok(())
        } else {
            Err(refused(StatusCode::FORBIDDEN, "pages of other places are not served"))
        }
    }
}

/// What follows the word `Bearer`, in whichever case.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// The only value of a header.
fn single<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// It says that it is of the era that has no sessions.
fn is_stateless(headers: &HeaderMap) -> bool {
    let version = headers.get("mcp-protocol-version").and_then(|version| version.to_str().ok());
    version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28.as_str()) && !headers.contains_key("mcp-session-id")
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "a body has at most 16 MiB")),
        Ok(Err(_)) => Err(refused(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// Says no, and ends the connection: who is refused holds no place.
fn refused(status: StatusCode, words: &'static str) -> Refusal {
    let mut response = Response::new(Full::new(Bytes::from_static(words.as_bytes())).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Box::new(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_alone_are_taken() {
        for good in ["127.0.0.1:0", "127.0.0.2:80", "[::1]:9", "localhost:7"] {
            assert!(loopback(good).is_some(), "{good}");
        }
        for bad in [
            "0.0.0.0:80",
            "[::]:80",
            "192.168.1.5:80",
            "8.8.8.8:1",
            "[::ffff:10.0.0.1]:1",
            "example.com:80",
            "127.0.0.1",
            "localhost",
            "localhost:",
            "",
        ] {
            assert!(loopback(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_random_and_is_only_itself() {
        let (one, other) = (Token::fresh().unwrap(), Token::fresh().unwrap());
        assert_eq!(one.shown().len(), 64);
        assert_ne!(one.shown(), other.shown());
        assert!(one.is(one.shown().as_bytes()));
        for wrong in [other.shown(), "", &one.shown()[..63], &format!("{}0", one.shown())] {
            assert!(!one.is(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_tokens_file_is_made_for_its_owner_and_refused_where_others_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = Token::in_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Token::in_file(&path).unwrap().shown(), made.shown());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Token::in_file(&path), Err(TokenError::Open(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "short", &"x y".repeat(30), &"a".repeat(300)] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(Token::in_file(&path), Err(TokenError::Form(_))), "{bad}");
        }
        assert!(matches!(Token::in_file(folder.path()), Err(TokenError::Open(_))));
    }
}
