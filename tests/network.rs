//! The forbidden-address corpus, and the wire against real loopback servers.
//!
//! Every hostile spelling goes the whole way a guest's request goes: parse,
//! check, resolve (a scripted resolver that answers what hurts most), dial (a
//! dialler that only writes down). What is asserted is the one thing that
//! counts: where a connection would have gone. Nothing here leaves loopback.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wardroom_core::address::classify;
use wardroom_core::capability::Refusal;
use wardroom_core::capability::net::{GrantedAddress, GrantedRequest, HttpTarget, NetAccess, TargetError};
use wardroom_core::credential::NoCredentials;
use wardroom_core::log::{LogLine, Progress};
use wardroom_core::witness::{BoxFuture, HostFault, Witness};
use wardroom_host::wire::{
    AnswerBody, BoxConnection, Budget, Call, Dial, HttpLimits, MAX_CONNECTIONS_PER_RUN, ProxyConfig, Resolve, SystemDialer, Timeouts, Wire,
    WireConfig, WireConfigError, WireError,
};

/// What happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Effect,
    Resolved(String),
    Contacted(String),
    Dialled(SocketAddr),
}

type Journal = Arc<Mutex<Vec<Event>>>;

fn dialled(journal: &Journal) -> Vec<SocketAddr> {
    let events = journal.lock().unwrap();
    let dials = events.iter().filter_map(|event| match event {
        Event::Dialled(address) => Some(*address),
        _ => None,
    });
    dials.collect()
}

struct Watcher(Journal);

impl Witness for Watcher {
    fn line(&self, _: &LogLine) {}
    fn progress(&self, _: &Progress) {}
    fn refused(&self, _: &Refusal) {}
    fn contacted(&self, host: &str) {
        self.0.lock().unwrap().push(Event::Contacted(host.to_owned()));
    }
    fn effect(&self) -> BoxFuture<'_, Result<(), HostFault>> {
        self.0.lock().unwrap().push(Event::Effect);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Answers from a script: the n-th question for a name gets its n-th answer,
/// the last one again and again. Names not in it get the default.
struct Script {
    journal: Journal,
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    default: Vec<IpAddr>,
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut journal = self.journal.lock().unwrap();
        let asked = journal.iter().filter(|event| **event == Event::Resolved(name.to_owned())).count();
        journal.push(Event::Resolved(name.to_owned()));
        let listed = self.answers.get(name).map(|list| list[asked.min(list.len() - 1)].clone());
        Box::pin(std::future::ready(Ok(listed.unwrap_or_else(|| self.default.clone()))))
    }
}

/// Writes down and refuses.
struct Recorder(Journal);

impl Dial for Recorder {
    fn dial<'a>(&'a self, address: &'a GrantedAddress) -> BoxFuture<'a, io::Result<BoxConnection>> {
        self.0.lock().unwrap().push(Event::Dialled(address.socket()));
        Box::pin(std::future::ready(Err(io::ErrorKind::ConnectionRefused.into())))
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is no address"))
}

fn access(scopes: &[&str]) -> NetAccess {
    NetAccess::new(scopes.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))).collect())
}

/// A machine on a network where every name leads somewhere it must not.
struct World {
    journal: Journal,
    wire: Wire,
}

impl World {
    fn new(answers: &[(&str, &[&[&str]])], default: &[&str]) -> Self {
        let journal = Journal::default();
        let list = |texts: &[&str]| texts.iter().map(|text| address(text)).collect::<Vec<_>>();
        let answers = answers.iter().map(|(name, turns)| ((*name).to_owned(), turns.iter().map(|turn| list(turn)).collect())).collect();
        let resolver = Script { journal: Arc::clone(&journal), answers, default: list(default) };
        let dialer = Recorder(Arc::clone(&journal));
        let wire = Wire::with(WireConfig::default(), Arc::new(resolver), Arc::new(dialer)).unwrap();
        Self { journal, wire }
    }

    fn hostile() -> Self {
        Self::new(&[], &["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254"])
    }

    /// The whole way. The error's name, for the report of a failing case.
    async fn request(&self, scopes: &[&str], url: &str) -> String {
        let target = match HttpTarget::parse("GET", url) {
            Ok(target) => target,
            Err(error) => return format!("unreadable: {error}"),
        };
        let granted = match access(scopes).check(&target) {
            Ok(granted) => granted,
            Err(refusal) => return format!("refused: {}", refusal.reason),
        };
        let budget = Budget::new(HttpLimits::default());
        let watcher = Watcher(Arc::clone(&self.journal));
        let call = Call { timeouts: Timeouts::default(), budget: &budget, witness: &watcher, credentials: &NoCredentials };
        match self.wire.send(Request::new(Empty::<Bytes>::new()), granted, call).await {
            Ok(_) => "answered".to_owned(),
            Err(error) => format!("failed: {error}"),
        }
    }
}

/// The port that the localhost scopes grant.
const PORT: u16 = 11434;

/// Ways to name an address that must not be reached, as a guest would write
/// them. `{P}` is the granted port.
const SPELLINGS: &[&str] = &[
    // loopback in the open
    "http://127.0.0.1:{P}/",
    "https://127.0.0.1/",
    "http://127.0.0.2/",
    "http://127.255.255.254/",
    "http://[::1]/",
    "http://[::1]:{P}/",
    "https://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]:{P}/",
    // decimal, octal, hexadecimal, short, mixed
    "http://2130706433/",
    "http://2130706433:{P}/",
    "http://0x7f000001/",
    "http://0X7F000001:{P}/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0177.0.0.1:{P}/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://127.1/",
    "http://127.1:{P}/",
    "http://127.0.1/",
    "http://127.0x1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0x0.1/",
    "http://00000177.0.0.1/",
    "http://127.0.0.1./",
    "http://127.1./",
    "http://0x7f000001./",
    // the unspecified address and its kin
    "http://0.0.0.0/",
    "http://0.0.0.0:{P}/",
    "http://0/",
    "http://0:{P}/",
    "http://0x0/",
    "http://00/",
    "http://[::]/",
    "http://[::]:{P}/",
    "http://0.0.0.1/",
    "http://[0:0::0:0]/",
    // cloud metadata
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xA9.0xFE.0xA9.0xFE/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://169.16689662/",
    "http://169.254.169.254./",
    "http://169.254.170.2/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://[fd00:ec2::254]/",
    "http://metadata.google.internal/",
    "http://metadata/",
    "http://instance-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://169.254.169.254.nip.io/",
    "http://169-254-169-254.example.com/",
    // private networks
    "http://10.0.0.1/",
    "http://10.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://192.168.257/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://[fc00::1]/",
    "http://[fd12:3456:789a::1]/",
    "http://[fec0::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[fe80::1%25lo]:{P}/",
    // an IPv4 address in another coat
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:127.0.0.1]:{P}/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:7f00:0001]/",
    "http://[::127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::127.0.0.1]/",
    "http://[64:ff9b:1:7f00:0:100::]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:7f00:0001::1]:{P}/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:0:808:808::80ff:fffe]/",
    "http://[2a00:1450:4001::5efe:7f00:1]/",
    "http://[2a00:1450:4001::200:5efe:10.0.0.1]/",
    // everybody and nobody
    "http://255.255.255.255/",
    "http://4294967295/",
    "http://0xffffffff/",
    "http://224.0.0.1/",
    "http://[ff02::1]/",
    "http://240.0.0.1/",
    "http://192.0.2.1/",
    "http://[2001:db8::1]/",
    "http://[100::1]/",
    "http://192.0.0.192/",
    // localhost in other clothes
    "http://localhost/",
    "https://localhost/",
    "http://LOCALHOST/",
    "http://LocalHost./",
    "http://foo.localhost/",
    "http://foo.localhost:{P}/",
    "http://localhost.localdomain/",
    "http://ip6-localhost/",
    "http://localtest.me/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://lo%63alhost/",
    "http://%6c%6f%63%61%6c%68%6f%73%74/",
    "http://loc\u{00ad}alhost/",
    "http://localhost:1/",
    "http://localhost:0/",
    "http://localhost:65536/",
    "http://localhost:{P}0/",
    // full width, other digits, other dots, percent-encoding
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://127．0．0．1:{P}/",
    "http://127｡0｡0｡1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://１６９。２５４。１６９。２５４/",
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://127.0.0.1%2f@example.com/",
    "http://𝟙𝟚𝟟.𝟘.𝟘.𝟙/",
    "http://0𝘹7f.1/",
    // who is the host?
    "http://example.com@127.0.0.1/",
    "https://example.com:443@127.0.0.1/",
    "https://example.com%40127.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "https://127.0.0.1\\@example.com/",
    "https://127.0.0.1#@example.com/",
    "https://127.0.0.1?@example.com/",
    "https://127.0.0.1/@example.com",
    "https://127.0.0.1;example.com/",
    "https://example.com:80:443/",
    "https://example.com:@127.0.0.1/",
    "https:127.0.0.1/",
    "https:/127.0.0.1/",
    "https:///127.0.0.1/",
    "https:\\\\127.0.0.1\\",
    "//127.0.0.1/",
    "\thttp://127.0.0.1/",
    "http://127.0.0.1 /",
    "http://127.0.0.1\t/",
    "http://127.0\n.0.1/",
    "http://127.0.0.1\r\nHost: example.com/",
    "http://[::1/",
    "http://::1/",
    "http://[127.0.0.1]/",
    "http://127.0.0.1:80\\@example.com/",
    "http://example.com\u{0000}.evil.example/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://127.0.0.1/",
    "unix:///var/run/docker.sock",
    "data:text/html,x",
    "ws://127.0.0.1/",
    "blob:http://127.0.0.1/x",
    "javascript:1",
    "http+unix://x/",
    // names that the scopes do grant, or nearly
    "https://example.com/",
    "http://example.com/",
    "https://example.com./",
    "https://EXAMPLE.com/",
    "https://a.example.com/",
    "http://a.b.example.com/",
    "https://example.com.evil.example/",
    "https://evil-example.com/",
    "https://example.com:8443/",
    "https://xn--xample-9uf.com/",
    "https://ｅｘａｍｐｌｅ.com/",
];

/// Scopes that grant names, and whether loopback on [`PORT`] is among them.
const SCOPES: &[(&str, bool)] = &[
    ("https://example.com", false),
    ("http://example.com", false),
    ("*.example.com", false),
    ("http://*.example.com", false),
    ("https://example.com:8443,GET", false),
    ("http://localhost:11434", true),
    ("http://*.localhost:11434", true),
    ("https://93.184.216.34", false),
    ("http://nas.lan=93.184.216.34", false),
];

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_is_ever_dialled() {
    let world = World::hostile();
    let mut reached_localhost = 0;
    for (scope, grants_loopback) in SCOPES {
        for spelling in SPELLINGS {
            let url = spelling.replace("{P}", &PORT.to_string());
            let before = dialled(&world.journal).len();
            let outcome = world.request(&[scope], &url).await;
            let all = dialled(&world.journal);
            for went in &all[before..] {
                let granted = *grants_loopback && went.ip().is_loopback() && went.port() == PORT;
                assert!(granted, "{scope} let {url} out to {went}: {outcome}");
                reached_localhost += 1;
            }
        }
    }
    // `http://foo.localhost:P/` under `http://*.localhost:P`: the corpus is not
    // refused for a silly reason.
    assert!(reached_localhost > 0);
    assert!(SPELLINGS.len() >= 80, "{} spellings", SPELLINGS.len());
    // Not one name beyond the granted ones was even looked up.
    let asked = world.journal.lock().unwrap().clone();
    let names = asked.iter().filter_map(|event| match event {
        Event::Resolved(name) => Some(name.as_str()),
        _ => None,
    });
    for name in names {
        assert!(name == "example.com" || name.ends_with(".example.com"), "{name} was looked up");
    }
}

/// The twin: the same spellings are no obstacle where the address is granted,
/// and lead there and nowhere else.
#[tokio::test]
async fn every_spelling_of_a_granted_address_leads_just_there() {
    let world = World::hostile();
    let mut arrived = Vec::new();
    for spelling in SPELLINGS {
        let before = dialled(&world.journal).len();
        world.request(&["http://127.0.0.1:11434"], &spelling.replace("{P}", &PORT.to_string())).await;
        let went = dialled(&world.journal).split_off(before);
        assert!(went.iter().all(|went| *went == SocketAddr::from(([127, 0, 0, 1], PORT))), "{spelling}: {went:?}");
        arrived.extend((!went.is_empty()).then_some(*spelling));
    }
    let expected = [
        "http://127.0.0.1:{P}/",
        "http://2130706433:{P}/",
        "http://0X7F000001:{P}/",
        "http://0177.0.0.1:{P}/",
        "http://127.1:{P}/",
        "http://[::ffff:127.0.0.1]:{P}/",
        "http://127．0．0．1:{P}/",
    ];
    assert_eq!(arrived, expected);
}

/// Addresses that a granted name may turn out to have.
const ANSWERS: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.254",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:a00:1::",
    "2002:808:808::",
    "2a00::5efe:10.0.0.1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];

#[tokio::test]
async fn a_granted_name_leads_to_no_special_address() {
    for answer in ANSWERS {
        for (scope, url) in [("https://example.com", "https://example.com/"), ("http://*.example.com", "http://a.example.com/")] {
            let world = World::new(&[], &[answer]);
            let outcome = world.request(&[scope], url).await;
            assert_eq!(dialled(&world.journal), [], "{answer}: {outcome}");
        }
    }
}

#[tokio::test]
async fn a_granted_name_leads_to_public_addresses() {
    for answer in ["93.184.216.34", "8.8.8.8", "192.0.1.1", "2606:4700::1111", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"] {
        let world = World::new(&[], &[answer]);
        world.request(&["https://example.com"], "https://example.com/").await;
        assert_eq!(dialled(&world.journal), [SocketAddr::new(address(answer).to_canonical(), 443)]);
    }
}

#[tokio::test]
async fn of_several_addresses_only_the_public_ones_are_dialled() {
    // The public one refuses the connection, as it would in the attack: there
    // is nothing to fall back on.
    for answer in [["93.184.216.34", "127.0.0.1"], ["10.0.0.1", "93.184.216.34"], ["::1", "93.184.216.34"]] {
        let world = World::new(&[], &answer);
        world.request(&["https://example.com"], "https://example.com/").await;
        assert_eq!(dialled(&world.journal), ["93.184.216.34:443".parse().unwrap()], "{answer:?}");
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_and_what_was_checked_is_dialled() {
    let world = World::new(&[("example.com", &[&["93.184.216.34"], &["127.0.0.1"]])], &[]);
    let granted = ["https://example.com"];
    world.request(&granted, "https://example.com/").await;
    let expected = [
        Event::Effect,
        Event::Resolved("example.com".to_owned()),
        Event::Contacted("example.com:443".to_owned()),
        Event::Dialled("93.184.216.34:443".parse().unwrap()),
    ];
    assert_eq!(*world.journal.lock().unwrap(), expected);
    // The next request asks again, gets the rebound answer, and goes nowhere.
    let outcome = world.request(&granted, "https://example.com/").await;
    assert!(outcome.starts_with("failed: net"), "{outcome}");
    assert_eq!(dialled(&world.journal).len(), 1);
}

#[tokio::test]
async fn localhost_and_bound_names_never_reach_a_resolver() {
    let table: [(&str, &str, &[&str]); 5] = [
        ("http://localhost:81", "http://localhost:81/", &["127.0.0.1:81", "[::1]:81"]),
        ("http://localhost:81", "http://LOCALHOST.:81/", &["127.0.0.1:81", "[::1]:81"]),
        ("https://nas.lan=192.168.1.5", "https://nas.lan/", &["192.168.1.5:443"]),
        ("http://10.0.0.1", "http://10.1/", &["10.0.0.1:80"]),
        ("http://169.254.169.254", "http://0xa9fea9fe/latest", &["169.254.169.254:80"]),
    ];
    for (scope, url, expected) in table {
        let world = World::new(&[], &["8.8.8.8"]);
        world.request(&[scope], url).await;
        let expected: Vec<SocketAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(dialled(&world.journal), expected, "{scope} {url}");
        assert!(!world.journal.lock().unwrap().iter().any(|event| matches!(event, Event::Resolved(_))));
    }
}

#[test]
fn userinfo_is_told_apart_from_other_mistakes() {
    let parse = |url| HttpTarget::parse("GET", url).map(|target| target.endpoint());
    assert_eq!(parse("http://example.com@127.0.0.1/"), Err(TargetError::Userinfo));
    assert_eq!(parse("https://127.0.0.1\\@example.com/"), Err(TargetError::Character));
    assert_eq!(parse("http://１２７.０.０.１/").as_deref(), Ok("127.0.0.1:80"));
    assert!(classify(address("127.0.0.1")).name() == "loopback");
}

// ---------------------------------------------------------------- real servers

/// A server on loopback that gives each connection to `serve`, in turn.
async fn server<F, S>(serve: S) -> SocketAddr
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
        assert!(head.len() < 200_000);
    }
    String::from_utf8(head).unwrap()
}

/// Reads one head, answers with fixed bytes, and ends.
async fn fixed(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer: Arc<Vec<u8>> = Arc::new(answer.into());
    server(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            read_head(&mut stream).await;
            drop(stream.write_all(&answer).await);
        }
    })
    .await
}

/// Answers with the request it got, body and all, as the response's body.
async fn echo() -> SocketAddr {
    server(|mut stream| async move {
        let mut got = read_head(&mut stream).await;
        let mut buffer = [0; 4096];
        while let Ok(Ok(n @ 1..)) = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut buffer)).await {
            got.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{got}", got.len());
        drop(stream.write_all(answer.as_bytes()).await);
    })
    .await
}

/// Short ones, so that nobody waits.
const BRIEF: Timeouts =
    Timeouts { connect: Duration::from_millis(300), first_byte: Duration::from_millis(300), between_bytes: Duration::from_millis(150) };

struct Client {
    wire: Wire,
    budget: Budget,
    journal: Journal,
    timeouts: Timeouts,
}

impl Client {
    fn new() -> Self {
        Self::with(WireConfig::default(), HttpLimits::default())
    }

    fn limited(limits: HttpLimits) -> Self {
        Self::with(WireConfig::default(), limits)
    }

    fn with(config: WireConfig, limits: HttpLimits) -> Self {
        let journal = Journal::default();
        let resolver = Script { journal: Arc::clone(&journal), answers: HashMap::new(), default: vec![address("10.0.0.1")] };
        let wire = Wire::with(config, Arc::new(resolver), Arc::new(SystemDialer)).unwrap();
        Self { wire, budget: Budget::new(limits), journal, timeouts: Timeouts::default() }
    }

    fn brief(mut self) -> Self {
        self.timeouts = BRIEF;
        self
    }

    async fn send<B>(&self, url: &str, request: Request<B>) -> Result<Response<AnswerBody>, WireError>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<wardroom_host::wire::BoxError>,
    {
        self.send_granted(grant(&origin(url), request.method().as_str(), url), request).await
    }

    async fn send_granted<B>(&self, granted: GrantedRequest, request: Request<B>) -> Result<Response<AnswerBody>, WireError>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<wardroom_host::wire::BoxError>,
    {
        let watcher = Watcher(Arc::clone(&self.journal));
        let call = Call { timeouts: self.timeouts, budget: &self.budget, witness: &watcher, credentials: &NoCredentials };
        self.wire.send(request, granted, call).await
    }

    async fn get(&self, url: &str) -> Result<Response<AnswerBody>, WireError> {
        self.send(url, Request::new(Empty::<Bytes>::new())).await
    }

    /// Status and whole body.
    async fn fetch(&self, url: &str) -> Result<(u16, String), WireError> {
        let response = self.get(url).await?;
        let status = response.status().as_u16();
        text(response).await.map(|text| (status, text))
    }
}

fn grant(scope: &str, method: &str, url: &str) -> GrantedRequest {
    access(&[scope]).check(&HttpTarget::parse(method, url).unwrap()).unwrap()
}

fn origin(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

async fn text(response: Response<AnswerBody>) -> Result<String, WireError> {
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

fn post(body: &str) -> Request<Full<Bytes>> {
    Request::post("/").body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}

/// A body of unknown length, in pieces.
fn pieces(count: usize, piece: &'static [u8]) -> Request<impl hyper::body::Body<Data = Bytes, Error = io::Error> + Send> {
    let frames = (0..count).map(move |_| Ok(Frame::data(Bytes::from_static(piece))));
    Request::post("/").body(StreamBody::new(futures::stream::iter(frames))).unwrap()
}

#[tokio::test]
async fn a_granted_request_arrives_as_it_was_checked() {
    let at = echo().await;
    let client = Client::new();
    let (status, got) = client.fetch(&format!("http://{at}/a/./b/../c?q=1")).await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(got, format!("GET /a/c?q=1 HTTP/1.1\r\nhost: {at}\r\n\r\n"));
    assert_eq!(*client.journal.lock().unwrap(), [Event::Effect, Event::Contacted(at.to_string())]);
}

#[tokio::test]
async fn localhost_reaches_this_machine() {
    let at = echo().await;
    let url = format!("http://localhost:{}/", at.port());
    let (status, got) = Client::new().fetch(&url).await.unwrap();
    assert_eq!((status, got), (200, format!("GET / HTTP/1.1\r\nhost: localhost:{}\r\n\r\n", at.port())));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let at = echo().await;
    let url = format!("http://{at}/");
    let sent = Client::new().send(&url, post("hello")).await.unwrap();
    assert!(text(sent).await.unwrap().ends_with("content-length: 5\r\n\r\nhello"));
    let sent = Client::new().send(&url, pieces(2, b"abc")).await.unwrap();
    assert!(text(sent).await.unwrap().ends_with("3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n"));
}

#[tokio::test]
async fn a_guest_cannot_choose_host_or_framing() {
    let at = echo().await;
    let mut request = post("x=1");
    for (name, value) in [
        ("host", "evil.example"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("connection", "keep-alive, x-secret"),
        ("x-secret", "1"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABk"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "x"),
        ("keep-alive", "x"),
        ("expect", "100-continue"),
        ("trailer", "host"),
        ("x-kept", "yes"),
    ] {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let got = text(Client::new().send(&format!("http://{at}/"), request).await.unwrap()).await.unwrap();
    assert_eq!(got, format!("POST / HTTP/1.1\r\nx-kept: yes\r\nhost: {at}\r\ncontent-length: 3\r\n\r\nx=1"));
    // What would break out of a line is not even a header value.
    assert!(http::HeaderValue::from_bytes(b"a\r\nhost: evil").is_err());
    assert!(http::HeaderName::from_bytes(b"x: y\r\nhost").is_err());
}

#[tokio::test]
async fn a_wrong_content_length_is_refused_before_anything_is_opened() {
    for lengths in [&["4"] as &[&str], &["3", "3"], &["3", "4"], &["+3"], &["0x3"], &["3,3"]] {
        let mut request = post("x=1");
        for length in lengths {
            request.headers_mut().append("content-length", length.parse().unwrap());
        }
        let client = Client::new();
        let error = client.send("http://127.0.0.1:9/", request).await.unwrap_err();
        assert!(matches!(error, WireError::ContentLength), "{lengths:?}: {error:?}");
        assert_eq!(*client.journal.lock().unwrap(), []);
    }
}

#[tokio::test]
async fn headers_of_the_connection_do_not_reach_the_guest() {
    let at = fixed(
        "HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nTransfer-Encoding: chunked\r\nX-End: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
    )
    .await;
    let response = Client::new().get(&format!("http://{at}/")).await.unwrap();
    let names: Vec<String> = response.headers().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["x-end"]);
    assert_eq!(text(response).await.unwrap(), "a");
}

#[tokio::test]
async fn a_redirect_is_handed_to_the_guest_and_its_target_checked_again() {
    let at = fixed("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n").await;
    let url = format!("http://{at}/");
    let client = Client::new();
    let response = client.get(&url).await.unwrap();
    assert_eq!(response.status(), 302);
    let next = response.headers()["location"].to_str().unwrap().to_owned();
    let refusal = access(&[&url]).check(&HttpTarget::parse("GET", &next).unwrap()).unwrap_err();
    assert_eq!(refusal.scope.as_deref(), Some("http://169.254.169.254,GET"));
    assert_eq!(client.journal.lock().unwrap().len(), 2);
}

fn limits(requests: u64, request_body: u64, response_body: u64) -> HttpLimits {
    HttpLimits { max_requests: requests, max_request_body: request_body, max_response_body: response_body }
}

#[tokio::test]
async fn a_request_beyond_the_count_is_not_sent() {
    let at = fixed("HTTP/1.1 204 No\r\n\r\n").await;
    let client = Client::limited(limits(2, 10, 10));
    let url = format!("http://{at}/");
    assert_eq!(client.fetch(&url).await.unwrap().0, 204);
    assert_eq!(client.fetch(&url).await.unwrap().0, 204);
    for _ in 0..3 {
        assert!(matches!(client.fetch(&url).await, Err(WireError::TooManyRequests { limit: 2 })));
    }
    assert_eq!(client.journal.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_request_body_beyond_the_cap_is_cut() {
    let at = echo().await;
    let url = format!("http://{at}/");
    let client = Client::limited(limits(10, 9, 1000));
    assert!(client.send(&url, post("123456789")).await.is_ok());
    assert!(client.send(&url, pieces(3, b"123")).await.is_ok());
    let known = client.send(&url, post("1234567890")).await.unwrap_err();
    assert!(matches!(known, WireError::RequestBody { limit: 9 }), "{known:?}");
    let streamed = client.send(&url, pieces(4, b"123")).await.unwrap_err();
    assert!(matches!(streamed, WireError::RequestBody { limit: 9 }), "{streamed:?}");
}

#[tokio::test]
async fn a_response_body_beyond_the_cap_is_cut() {
    let client = Client::limited(limits(10, 0, 9));
    let at = fixed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789").await;
    assert_eq!(client.fetch(&format!("http://{at}/")).await.unwrap().1, "123456789");
    let at = fixed("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234567890").await;
    let announced = client.get(&format!("http://{at}/")).await.unwrap_err();
    assert!(matches!(announced, WireError::ResponseBody { limit: 9 }), "{announced:?}");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n";
    let at = fixed(chunked).await;
    let streamed = client.fetch(&format!("http://{at}/")).await.unwrap_err();
    assert!(matches!(streamed, WireError::ResponseBody { limit: 9 }), "{streamed:?}");
    let at = fixed("HTTP/1.1 200 OK\r\n\r\nno length, until the end").await;
    let endless = client.fetch(&format!("http://{at}/")).await.unwrap_err();
    assert!(matches!(endless, WireError::ResponseBody { limit: 9 }), "{endless:?}");
}

#[tokio::test]
async fn a_response_head_beyond_the_cap_is_refused() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(200));
    for answer in [long, many] {
        let at = fixed(answer).await;
        let error = Client::new().get(&format!("http://{at}/")).await.unwrap_err();
        assert!(matches!(error, WireError::ResponseHead { .. }), "{error:?}");
    }
    let right = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}X: {}\r\n\r\n", "X: 1\r\n".repeat(100), "a".repeat(50_000));
    let at = fixed(right).await;
    assert_eq!(Client::new().fetch(&format!("http://{at}/")).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_silent_server_is_left_at_each_step() {
    let deaf = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let error = Client::new().brief().get(&format!("http://{deaf}/")).await.unwrap_err();
    assert!(matches!(error, WireError::FirstByteTimeout), "{error:?}");

    let stalls = server(|mut stream| async move {
        read_head(&mut stream).await;
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").await);
        std::future::pending::<()>().await;
    })
    .await;
    let error = Client::new().brief().fetch(&format!("http://{stalls}/")).await.unwrap_err();
    assert!(matches!(error, WireError::BetweenBytesTimeout), "{error:?}");

    let error = Client::new().brief().get(&format!("https://{deaf}/")).await.unwrap_err();
    assert!(matches!(error, WireError::ConnectTimeout { .. }), "TLS: {error:?}");
}

#[tokio::test]
async fn a_server_that_drips_is_not_left() {
    let drips = server(|mut stream| async move {
        read_head(&mut stream).await;
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await);
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            drop(stream.write_all(b"x").await);
        }
    })
    .await;
    assert_eq!(Client::new().brief().fetch(&format!("http://{drips}/")).await.unwrap().1, "xxxxx");
}

/// Never answers.
struct Silence;

impl Resolve for Silence {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::pending())
    }
}

impl Dial for Silence {
    fn dial<'a>(&'a self, _: &'a GrantedAddress) -> BoxFuture<'a, io::Result<BoxConnection>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_look_up_and_a_connection_end_in_time() {
    let timeouts = Timeouts { connect: Duration::from_millis(20), ..Timeouts::default() };
    let config = || WireConfig { timeouts, ..WireConfig::default() };
    let client = || Client { wire: Wire::with(config(), Arc::new(Silence), Arc::new(Silence)).unwrap(), ..Client::new() };
    let error = client().get("http://example.com/").await.unwrap_err();
    assert!(matches!(error, WireError::NameTimeout { .. }), "{error:?}");
    let error = client().get("http://127.0.0.1:9/").await.unwrap_err();
    assert!(matches!(error, WireError::ConnectTimeout { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_not_http_is_an_error_of_its_own() {
    type Expected = fn(&WireError) -> bool;
    let table: [(&str, Expected); 5] = [
        ("", |error| matches!(error, WireError::Incomplete)),
        ("HTTP/1.1 200 OK\r\nX", |error| matches!(error, WireError::Incomplete)),
        ("SSH-2.0-OpenSSH_9\r\n\r\n", |error| matches!(error, WireError::Protocol { .. })),
        ("HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", |error| matches!(error, WireError::Protocol { .. })),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", |error| matches!(error, WireError::Protocol { .. })),
    ];
    for (answer, expected) in table {
        let at = fixed(answer).await;
        let error = Client::new().get(&format!("http://{at}/")).await.unwrap_err();
        assert!(expected(&error), "{answer:?}: {error:?}");
    }
    let at = fixed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc").await;
    let error = Client::new().fetch(&format!("http://{at}/")).await.unwrap_err();
    assert!(matches!(error, WireError::Incomplete), "{error:?}");
    // Nobody listens on a port that was just given back.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let error = Client::new().get(&format!("http://{free}/")).await.unwrap_err();
    assert!(matches!(error, WireError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn open_responses_are_bounded_and_dropping_one_makes_room() {
    let slow = server(|mut stream| async move {
        read_head(&mut stream).await;
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").await);
        // Until the client hangs up.
        drop(stream.read_u8().await);
    })
    .await;
    let client = Client::new().brief();
    let url = format!("http://{slow}/");
    let mut open = Vec::new();
    for _ in 0..MAX_CONNECTIONS_PER_RUN {
        open.push(client.get(&url).await.unwrap());
    }
    assert!(matches!(client.get(&url).await, Err(WireError::TooManyConnections)));
    open.pop();
    open.push(client.get(&url).await.unwrap());
}

#[tokio::test]
async fn dropping_a_request_or_a_response_hangs_up() {
    let (hung_up, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let at = server(move |mut stream| {
        let hung_up = hung_up.clone();
        async move {
            if read_head(&mut stream).await.contains("/answer") {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").await);
            }
            if stream.read_u8().await.is_err() {
                hung_up.send(()).unwrap();
            }
        }
    })
    .await;
    let patience = Duration::from_secs(5);
    let client = Client::new();
    drop(client.get(&format!("http://{at}/answer")).await.unwrap());
    tokio::time::timeout(patience, ended.recv()).await.unwrap().unwrap();
    let url = format!("http://{at}/never");
    let gave_up = tokio::time::timeout(Duration::from_millis(100), client.get(&url)).await;
    assert!(gave_up.is_err());
    tokio::time::timeout(patience, ended.recv()).await.unwrap().unwrap();
}

// ------------------------------------------------------------------------- TLS

/// A certificate for `names` that signs itself, and a server that holds it.
fn tls_identity(names: &[&str]) -> (Vec<u8>, Arc<rustls::ServerConfig>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (made.cert.pem().into_bytes(), Arc::new(config))
}

async fn tls_server(config: Arc<rustls::ServerConfig>) -> SocketAddr {
    server(move |stream| {
        let config = Arc::clone(&config);
        async move {
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let head = read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
            drop(stream.write_all(answer.as_bytes()).await);
            drop(stream.shutdown().await);
        }
    })
    .await
}

fn trusting(pem: &[u8], proxy: Option<ProxyConfig>) -> Client {
    let config = WireConfig { extra_roots: vec![pem.to_vec()], proxy, ..WireConfig::default() };
    Client::with(config, HttpLimits::default())
}

#[tokio::test]
async fn tls_is_spoken_with_whoever_proves_the_name() {
    let (pem, config) = tls_identity(&["localhost", "127.0.0.1"]);
    let at = tls_server(config).await;
    let url = format!("https://localhost:{}/x", at.port());
    let (status, got) = trusting(&pem, None).fetch(&url).await.unwrap();
    assert_eq!((status, got), (200, format!("GET /x HTTP/1.1\r\nhost: localhost:{}\r\n\r\n", at.port())));
    assert!(trusting(&pem, None).fetch(&format!("https://{at}/")).await.is_ok());

    let error = Client::new().get(&url).await.unwrap_err();
    assert!(matches!(error, WireError::Certificate { .. }), "an unknown root: {error:?}");
    let other = format!("https://a.localhost:{}/", at.port());
    let error = trusting(&pem, None).get(&other).await.unwrap_err();
    assert!(matches!(error, WireError::Certificate { .. }), "another name: {error:?}");
    let plain = server(|mut stream| async move { stream.write_all(b"SSH-2.0-OpenSSH_9\r\n").await.unwrap() }).await;
    let error = trusting(&pem, None).get(&format!("https://{plain}/")).await.unwrap_err();
    assert!(matches!(error, WireError::Tls { .. }), "no TLS: {error:?}");
}

#[test]
fn an_extra_root_that_is_no_certificate_is_the_operators_error() {
    let config = |pem: &[u8]| WireConfig { extra_roots: vec![pem.to_vec()], ..WireConfig::default() };
    assert!(matches!(Wire::new(config(b"hello")), Err(WireConfigError::NoCertificate { index: 0 })));
    let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Wire::new(config(broken)), Err(WireConfigError::Certificate { index: 0, .. })));
}

// ----------------------------------------------------------------------- proxy

/// Answers plain requests with their head; tunnels CONNECT to `to`.
async fn proxy(to: Option<SocketAddr>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&heads);
    let at = server(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            let head = read_head(&mut stream).await;
            seen.lock().unwrap().push(head.clone());
            if !head.starts_with("CONNECT") {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy").await);
            } else if let Some(to) = to {
                drop(stream.write_all(b"HTTP/1.1 200 Established\r\n\r\n").await);
                let mut inner = TcpStream::connect(to).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut stream, &mut inner).await);
            } else {
                drop(stream.write_all(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n").await);
            }
        }
    })
    .await;
    (at, heads)
}

fn proxied(at: SocketAddr) -> WireConfig {
    WireConfig { proxy: Some(ProxyConfig::parse(&format!("http://{at}")).unwrap()), ..WireConfig::default() }
}

#[tokio::test]
async fn plain_requests_go_through_the_proxy_by_name() {
    let (at, heads) = proxy(None).await;
    let client = Client::with(proxied(at), HttpLimits::default());
    let (_, got) = client.fetch("http://example.com/a?b").await.unwrap();
    assert_eq!(got, "proxy");
    assert_eq!(*heads.lock().unwrap(), ["GET http://example.com/a?b HTTP/1.1\r\nhost: example.com\r\n\r\n"]);
    // The proxy resolves; nobody here did.
    assert_eq!(*client.journal.lock().unwrap(), [Event::Effect, Event::Contacted("example.com:80".to_owned())]);
}

#[tokio::test]
async fn tls_goes_through_a_tunnel_and_ends_at_the_host() {
    let (pem, config) = tls_identity(&["example.com"]);
    let (at, heads) = proxy(Some(tls_server(config).await)).await;
    let through = ProxyConfig::parse(&format!("http://{at}")).unwrap();
    let (status, got) = trusting(&pem, Some(through)).fetch("https://example.com/x").await.unwrap();
    assert_eq!((status, got.as_str()), (200, "GET /x HTTP/1.1\r\nhost: example.com\r\n\r\n"));
    assert_eq!(*heads.lock().unwrap(), ["CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"]);
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_named_with_its_status() {
    let (at, _) = proxy(None).await;
    let client = Client::with(proxied(at), HttpLimits::default());
    let error = client.get("https://example.com/").await.unwrap_err();
    assert!(matches!(error, WireError::Proxy { status: 407, .. }), "{error:?}");
}

#[tokio::test]
async fn special_addresses_never_go_through_the_proxy() {
    let (through, heads) = proxy(None).await;
    let at = echo().await;
    let client = Client::with(proxied(through), HttpLimits::default());
    client.fetch(&format!("http://localhost:{}/", at.port())).await.unwrap();
    client.fetch(&format!("http://{at}/")).await.unwrap();
    let url = format!("http://nas.lan:{}/", at.port());
    let bound = grant(&format!("http://nas.lan:{}=127.0.0.1", at.port()), "GET", &url);
    client.send_granted(bound, Request::new(Empty::<Bytes>::new())).await.unwrap();
    assert_eq!(heads.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn the_proxy_itself_is_checked_like_a_grant() {
    // `proxy.corp` resolves to 10.0.0.1 here.
    let unbound = WireConfig { proxy: Some(ProxyConfig::parse("http://proxy.corp:3128").unwrap()), ..WireConfig::default() };
    let error = Client::with(unbound, HttpLimits::default()).get("http://example.com/").await.unwrap_err();
    let WireError::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.scope.as_deref(), Some("http://proxy.corp:3128,GET=10.0.0.1"));

    let (at, heads) = proxy(None).await;
    let text = format!("http://proxy.corp:{}=127.0.0.1", at.port());
    let bound = WireConfig { proxy: Some(ProxyConfig::parse(&text).unwrap()), ..WireConfig::default() };
    Client::with(bound, HttpLimits::default()).fetch("http://example.com/").await.unwrap();
    assert_eq!(heads.lock().unwrap().len(), 1);
}
