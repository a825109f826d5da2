//! A real HTTP/1.1 server on loopback, with TLS where wanted, small and bounded,
//! that writes down what it was asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;

use super::mirror;

/// A connection, in the clear or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Bytes of one request, head and body together.
const MAX_REQUEST: usize = 4 << 20;
/// Connections at once.
const MAX_CONNECTIONS: usize = 64;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What a server is told to answer, whatever it is asked.
#[derive(Debug, Clone)]
struct Canned {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// What a server and its test tell each other.
#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    canned: Mutex<Option<Canned>>,
}

/// Runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    /// The certificate to trust, in PEM; none: no TLS.
    pem: Option<String>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::listen(None)
    }

    /// Over TLS, as `localhost` and `127.0.0.1`.
    pub(crate) fn start_tls() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let pem = made.cert.pem();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        Self::listen(Some((TlsAcceptor::from(Arc::new(config)), pem)))
    }

    fn listen(tls: Option<(TlsAcceptor, String)>) -> Self {
        let (acceptor, pem) = tls.unzip();
        let shared = Arc::<Shared>::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (bound, binding) = std::sync::mpsc::channel();
        let served = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = accept(listener, acceptor, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address: binding.recv().unwrap(), pem, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    pub(crate) fn base(&self) -> String {
        match self.pem {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.address.port()),
        }
    }

    /// The certificate to trust.
    pub(crate) fn pem(&self) -> &str {
        self.pem.as_deref().unwrap_or_default()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// From now on, this is the answer to everything.
    pub(crate) fn answers(&self, status: u16, headers: &[(&str, &str)], body: &str) {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        *self.shared.canned.lock().unwrap() = Some(Canned { status, headers, body: body.to_owned() });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let (Ok(slot), Ok((stream, _))) = (free.clone().acquire_owned().await, listener.accept().await) {
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            let _slot = slot;
            // A client that goes away is its own affair.
            match tls {
                None => drop(serve(stream, &shared).await),
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        drop(serve(stream, &shared).await);
                    }
                }
            }
        });
    }
}

async fn serve(mut stream: impl Stream, shared: &Shared) -> std::io::Result<()> {
    let Some(request) = read(&mut stream).await? else { return Ok(()) };
    shared.requests.lock().unwrap().push(request.clone());
    let canned = shared.canned.lock().unwrap().clone();
    if let Some(Canned { status, headers, body }) = canned {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        return answer(&mut stream, status, &headers, body.as_bytes()).await;
    }
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    match parts.as_slice() {
        ["never"] => loop {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        },
        ["half"] => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it").await?;
            loop {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
        }
        ["delay", ms] => {
            tokio::time::sleep(Duration::from_millis(number(ms))).await;
            answer(&mut stream, 200, &[("content-type", "application/json")], echo(&request).as_bytes()).await
        }
        ["bytes", count] => {
            let bytes = vec![b'x'; usize::try_from(number(count)).unwrap_or(0)];
            answer(&mut stream, 200, &[("content-type", "application/octet-stream")], &bytes).await
        }
        ["status", code] => {
            let headers = [("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
            answer(&mut stream, u16::try_from(number(code)).unwrap_or(500), &headers, b"gone").await
        }
        ["redirect", code] => answer(&mut stream, u16::try_from(number(code)).unwrap_or(302), &[("location", "/echo")], b"").await,
        ["loop"] => answer(&mut stream, 302, &[("location", "/loop")], b"").await,
        ["to"] => {
            let target = decode(request.query.strip_prefix("url=").unwrap_or(""));
            answer(&mut stream, 302, &[("location", &target)], b"").await
        }
        ["mirror", form] => stream_all(&mut stream, &mirror::answer(form, &request)).await,
        ["drip", count, ms] => drip(&mut stream, number(count), number(ms)).await,
        _ => answer(&mut stream, 200, &[("content-type", "application/json")], echo(&request).as_bytes()).await,
    }
}

fn echo(request: &Request) -> String {
    json!({
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
        "body": String::from_utf8_lossy(&request.body),
    })
    .to_string()
}

/// A whole answer as it is.
async fn stream_all(stream: &mut impl Stream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

async fn answer(stream: &mut impl Stream, status: u16, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<()> {
    let reason = match status {
        200 => "OK",
        302 => "Found",
        404 => "Not Found",
        _ => "Answer",
    };
    let mut head = format!("HTTP/1.1 {status} {reason}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.shutdown().await
}

async fn drip(stream: &mut impl Stream, count: u64, ms: u64) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n").await?;
    for _ in 0..count.min(1000) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        stream.write_all(b"4\r\ndrip\r\n").await?;
    }
    stream.write_all(b"0\r\n\r\n").await?;
    stream.shutdown().await
}

/// One request, or nothing where the client says nothing that fits.
async fn read(stream: &mut impl Stream) -> std::io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    let Some(head_end) = fill(stream, &mut bytes, |bytes| find(bytes, b"\r\n\r\n").map(|at| at + 4)).await? else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(target)) = (first.next(), first.next()) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: BTreeMap<String, String> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
    let whole = |bytes: &[u8]| match chunked {
        true => find(&bytes[head_end..], b"0\r\n\r\n").map(|at| head_end + at + 5),
        false => (bytes.len() >= head_end + length).then_some(head_end + length),
    };
    let Some(end) = fill(stream, &mut bytes, whole).await? else { return Ok(None) };
    let body = if chunked { unchunk(&bytes[head_end..end]) } else { bytes[head_end..end].to_vec() };
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), headers, body }))
}

/// Reads until `done` says where the end is.
async fn fill(stream: &mut impl Stream, bytes: &mut Vec<u8>, done: impl Fn(&[u8]) -> Option<usize>) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(end) = done(bytes) {
            return Ok(Some(end));
        }
        if bytes.len() > MAX_REQUEST || stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = find(bytes, b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&bytes[..at]), 16).unwrap_or(0);
        let Some(piece) = bytes.get(at + 2..at + 2 + size).filter(|piece| !piece.is_empty()) else { break };
        body.extend_from_slice(piece);
        bytes = bytes.get(at + 4 + size..).unwrap_or_default();
    }
    body
}

/// `%2F` and its like.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let pair = more.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, pair) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
