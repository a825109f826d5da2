//! A stranger's server on loopback that answers as it is told: wrong, late, for
//! ever. It keeps to no specification where its script does not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bytes of one request's head.
const MAX_HEAD: usize = 64 << 10;
/// Bytes that are sent to whoever listens to what never ends.
const ENDLESS: usize = 256 << 20;
/// How often a server that says nothing looks whether it should end.
const GLANCE: Duration = Duration::from_millis(10);

/// One request, as its head was written.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
}

impl Asked {
    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// What it does with a request.
pub(crate) enum Reply {
    /// These bytes, and the end.
    Whole(Vec<u8>),
    /// These bytes, and then nothing, for ever.
    Silence(Vec<u8>),
    /// These bytes, and then a byte now and then, for ever.
    Drip(Vec<u8>),
    /// These bytes, and then this again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// These pieces, with a pause between them.
    Pieces(Vec<Vec<u8>>, Duration),
}

impl Reply {
    /// An ordinary answer.
    pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = head(status, headers, body.len());
        bytes.extend_from_slice(body);
        Self::Whole(bytes)
    }
}

/// The head of an answer with a body of this length.
pub(crate) fn head(status: u16, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}

/// Runs until it is dropped.
pub(crate) struct Stranger {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

impl Stranger {
    /// The script is shown each request, and how many came before it.
    pub(crate) fn start(script: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, ended) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicBool>::default());
        let (kept, end, script) = (asked.clone(), ended.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                let (kept, end, script) = (kept.clone(), end.clone(), script.clone());
                // Whoever goes away does so.
                std::thread::spawn(move || drop(serve(stream, &kept, &end, &*script)));
            }
        });
        Self { address, asked, ended }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // It waits for somebody.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    mut stream: TcpStream,
    kept: &Mutex<Vec<Asked>>,
    ended: &AtomicBool,
    script: &dyn Fn(&Asked, usize) -> Reply,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let asked = Asked { head: String::from_utf8_lossy(&head).into_owned() };
    let before = {
        let mut kept = kept.lock().unwrap();
        kept.push(asked.clone());
        kept.len() - 1
    };
    let silent = |stream: &mut TcpStream, drip: &[u8]| -> std::io::Result<()> {
        while !ended.load(Ordering::Relaxed) {
            std::thread::sleep(GLANCE);
            stream.write_all(drip)?;
        }
        Ok(())
    };
    match script(&asked, before) {
        Reply::Whole(bytes) => stream.write_all(&bytes),
        Reply::Silence(bytes) => stream.write_all(&bytes).and_then(|()| silent(&mut stream, b"")),
        Reply::Drip(bytes) => stream.write_all(&bytes).and_then(|()| silent(&mut stream, b"x")),
        Reply::Endless(bytes, again) => {
            stream.write_all(&bytes)?;
            (0..ENDLESS / again.len()).try_for_each(|_| stream.write_all(&again))
        }
        Reply::Pieces(pieces, pause) => pieces.iter().try_for_each(|piece| {
            std::thread::sleep(pause);
            stream.write_all(piece)
        }),
    }
}
