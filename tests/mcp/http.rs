//! The same door over HTTP on loopback: who is let in, and what those outside
//! cannot do.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::home::{Home, Running};

/// A server, and what a client needs to know.
pub(super) struct Door {
    process: Running,
    address: SocketAddr,
    token: String,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The JSON-RPC message, wherever it stands: alone, or as the last event.
    #[track_caller]
    fn message(&self) -> Value {
        let events: Vec<&str> = self.body.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| data.len() > 2).collect();
        let text = events.last().copied().unwrap_or(&self.body);
        serde_json::from_str(text).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads one answer to its end.
fn read(stream: TcpStream) -> Answer {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let mut body = Vec::new();
    if is_chunked {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            let mut piece = vec![0; size + 2];
            if size == 0 || reader.read_exact(&mut piece).is_err() {
                break;
            }
            body.extend_from_slice(&piece[..size]);
        }
    } else {
        drop(reader.read_to_end(&mut body));
    }
    Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() }
}

impl Door {
    pub(super) fn start(home: &Home, args: &[&str]) -> Self {
        let all: Vec<&str> = ["mcp", "--http=127.0.0.1:0"].iter().chain(args).copied().collect();
        let process = home.start(&all);
        let seen = process.until_stderr("/mcp\n");
        let after = |word: &str| seen.split_once(word).map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned());
        let address = after("http://").unwrap().trim_end_matches("/mcp").parse().unwrap();
        Self { process, address, token: after("token: ").unwrap_or_default() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// One request as it is, on a connection of its own.
    fn send(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} /mcp HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        let mut stream = connect(self.address);
        // One that is refused early may close while we write.
        drop(stream.write_all(format!("{text}\r\n{body}").as_bytes()));
        read(stream)
    }

    /// One that a client sends which knows what it does.
    fn ask(&self, more: &[(&str, &str)], message: &Value) -> Answer {
        let (host, bearer) = (self.address.to_string(), format!("Bearer {}", self.token));
        let mut headers = vec![
            ("Host", host.as_str()),
            ("Authorization", &bearer),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        headers.extend_from_slice(more);
        self.send("POST", &headers, &message.to_string())
    }

    /// Begins a session of the eras that have them.
    fn initialize(&self) -> Answer {
        let client = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        self.ask(&[], &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }))
    }

    #[track_caller]
    fn session(&self) -> String {
        let begun = self.initialize();
        assert_eq!(begun.message()["result"]["serverInfo"]["name"], "wardroom", "{}", begun.body);
        let session = begun.header("mcp-session-id").unwrap().to_owned();
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.ask(&[("Mcp-Session-Id", &session)], &ready).status, 202);
        session
    }

    #[track_caller]
    fn call(&self, session: &str, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        let answer = self.ask(
            &[("Mcp-Session-Id", session), ("MCP-Protocol-Version", "2025-11-25")],
            &json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params }),
        );
        answer.message()["result"]["structuredContent"].clone()
    }

    /// A request of the era without sessions.
    fn modern(&self, method: &str, params: Value) -> Answer {
        self.modern_as(&json!({ "name": "test", "version": "1" }), method, params)
    }

    /// A request of the era without sessions, from whoever says to be this.
    fn modern_as(&self, client: &Value, method: &str, params: Value) -> Answer {
        let mut params = params;
        let name = params["name"].as_str().map(str::to_owned);
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": client,
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {} } },
        });
        let mut headers = vec![("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)];
        headers.extend(name.as_deref().map(|name| ("Mcp-Name", name)));
        self.ask(&headers, &json!({ "jsonrpc": "2.0", "id": 3, "method": method, "params": params }))
    }
}

#[test]
fn pages_and_strangers_are_turned_away() {
    let home = Home::new();
    let door = Door::start(&home, &[]);
    let (port, token) = (door.address.port(), format!("Bearer {}", door.token));
    let own = door.address.to_string();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    let with = |host: &str, origin: Option<&str>, authorization: Option<&str>| {
        let mut headers = vec![("Host", host), ("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        headers.extend(authorization.map(|value| ("Authorization", value)));
        door.send("POST", &headers, &body)
    };
    // A name that leads here is none of ours, whatever the token.
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        "127.0.0.1".to_owned(),
        "localhost:1".to_owned(),
        format!("127.0.0.1:{port}, {own}"),
        format!("user@127.0.0.1:{port}"),
        String::new(),
    ] {
        assert_eq!(with(&host, None, Some(&token)).status, 403, "{host}");
    }
    for origin in ["https://evil.example", "null", "http://127.0.0.1", "http://localhost:1", &format!("https://{own}"), "file://", ""] {
        assert_eq!(with(&own, Some(origin), Some(&token)).status, 403, "{origin}");
    }
    let two_hosts = door.send("POST", &[("Host", &own), ("Host", "evil.example"), ("Authorization", &token)], &body);
    assert!(two_hosts.status == 403 || two_hosts.status == 400, "{}", two_hosts.status);
    let two_origins = [("Host", own.as_str()), ("Origin", &format!("http://{own}")), ("Origin", "https://evil.example")];
    assert_eq!(door.send("POST", &two_origins, &body).status, 403);
    let longer = format!("{token}0");
    for wrong in [None, Some(""), Some("Bearer "), Some("Bearer"), Some(&token[..token.len() - 1]), Some(&longer), Some("Basic abc")] {
        let refused = with(&own, None, wrong);
        assert_eq!(refused.status, 401, "{wrong:?}");
        assert!(refused.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")), "{}", refused.head);
    }
    let twice = door.send("POST", &[("Host", &own), ("Authorization", &token), ("Authorization", "Bearer x")], &body);
    assert_eq!(twice.status, 401);
    // No page is ever told that it may.
    let preflight =
        door.send("OPTIONS", &[("Host", &own), ("Origin", &format!("http://{own}")), ("Access-Control-Request-Method", "POST")], "");
    assert!(preflight.status == 401 && !preflight.head.to_ascii_lowercase().contains("access-control"), "{}", preflight.head);
    // And who may, may: also by the name.
    for (host, origin) in [(own.clone(), None), (format!("localhost:{port}"), Some(format!("http://localhost:{port}")))] {
        let answer = with(&host, origin.as_deref(), Some(&token));
        assert!(answer.status != 401 && answer.status != 403, "{host}: {}", answer.status);
    }
    door.session();
}

#[test]
fn two_clients_have_two_sessions() {
    let home = Home::new();
    let door = Door::start(&home, &[]);
    let (first, second) = (door.session(), door.session());
    assert_ne!(first, second);
    let mut recorded = Vec::new();
    for session in [&first, &second] {
        let ran = door.call(session, "run_script", json!({ "code": "return 42;" }));
        assert_eq!(ran["result"], 42, "{ran}");
        let record = home.read(&["exec", "show", ran["execution_id"].as_str().unwrap(), "--json"]);
        assert_eq!(record["session"], door.call(session, "get_status", json!({}))["session"]);
        recorded.push(record["session"].clone());
    }
    assert!(recorded[0] != recorded[1] && recorded[0] != json!(first), "what is recorded lets nobody in: {recorded:?}");
    let discovered = door.modern("server/discover", json!({}));
    assert_eq!(discovered.message()["result"]["capabilities"]["tools"]["listChanged"], true, "{}", discovered.body);
    let ran = door.modern("tools/call", json!({ "name": "run_script", "arguments": { "code": "return 1;" } })).message();
    assert_eq!(ran["result"]["structuredContent"]["result"], 1, "{ran}");
    // A session that was ended is none.
    let (host, bearer) = (door.address.to_string(), format!("Bearer {}", door.token));
    let ended = door.send("DELETE", &[("Host", &host), ("Authorization", &bearer), ("Mcp-Session-Id", &first)], "");
    assert!((200..300).contains(&ended.status), "{}", ended.status);
    let list = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": {} });
    assert_eq!(door.ask(&[("Mcp-Session-Id", &first)], &list).status, 404);
    assert_eq!(door.ask(&[("Mcp-Session-Id", &second)], &list).status, 200);
}

#[test]
fn clients_of_the_era_without_sessions_are_recorded_apart_by_what_they_say() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "--vault", "file"]).code, Some(0));
    let door = Door::start(&home, &["--elicitation=trusted"]);
    let call = |client: &Value, tool: &str, arguments: Value, more: Value| -> Value {
        let mut params = json!({ "name": tool, "arguments": arguments });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        door.modern_as(client, "tools/call", params).message()["result"].clone()
    };
    let [editor, newer, other] =
        [("editor", "1"), ("editor", "2"), ("other", "1")].map(|(name, version)| json!({ "name": name, "version": version }));
    let mut sessions = Vec::new();
    for client in [&editor, &newer, &other] {
        for _ in 0..2 {
            let ran = call(client, "run_script", json!({ "code": "return 1;" }), json!({}));
            let id = ran["structuredContent"]["execution_id"].as_str().unwrap_or_else(|| panic!("{ran}")).to_owned();
            let recorded = home.read(&["exec", "show", &id, "--json"])["session"].clone();
            assert_eq!(recorded, call(client, "get_status", json!({}), json!({}))["structuredContent"]["session"]);
            sessions.push(recorded);
        }
        let own = call(client, "get_executions", json!({ "session": "own" }), json!({}))["structuredContent"]["executions"].clone();
        assert_eq!(own.as_array().unwrap().len(), 2, "{own}");
    }
    let distinct: std::collections::BTreeSet<String> = sessions.iter().map(Value::to_string).collect();
    assert!(distinct.len() == 3 && sessions[0] == sessions[1] && sessions[4] == sessions[5], "{sessions:?}");
    // It decides what is written down, and gives nobody more: what one client was
    // asked, no other answers.
    let schedule = json!({ "type": "cron", "expression": "0 * * * *" });
    call(&editor, "schedule_task", json!({ "name": "t", "code": "return 1;", "schedule": schedule }), json!({}));
    let wish = json!({ "task": "t", "grants": { "net": ["https://one.example"] }, "reason": "to ask" });
    let required = call(&editor, "request_grant", wish.clone(), json!({}));
    let yes = json!({ "approval": { "action": "accept", "content": { "approve": true } } });
    let said = json!({ "requestState": required["requestState"], "inputResponses": yes });
    assert!(said["requestState"].is_string(), "{required}");
    for stranger in [&newer, &other] {
        let refused = call(stranger, "request_grant", wish.clone(), said.clone());
        assert_eq!(refused["structuredContent"]["error"], "invalid_state", "{refused}");
    }
    assert_eq!(call(&editor, "request_grant", wish, said)["structuredContent"]["approved"], true);
    // And the log says which of them was refused what they do not have.
    let reading = Door::start(&home, &["--profile=read"]);
    for client in [&editor, &editor, &other] {
        let refused = reading.modern_as(client, "tools/call", json!({ "name": "run_script", "arguments": { "code": "" } }));
        assert_eq!(refused.message()["result"]["structuredContent"]["error"], "not_allowed", "{}", refused.body);
    }
    let log = home.read(&["audit", "list", "--json", "--event=tool-refused"]);
    let refused = log["events"].as_array().unwrap();
    assert!(refused.len() == 2 && refused[0]["session"] != refused[1]["session"], "{refused:?}");
}

#[test]
fn sessions_are_bounded_and_an_ended_one_makes_room() {
    let home = Home::new();
    let door = Door::start(&home, &["--profile=read"]);
    let sessions: Vec<String> = (0..64).map(|_| door.session()).collect();
    let beyond = door.initialize();
    assert_eq!(beyond.status, 503, "{}", beyond.body);
    assert!(beyond.header("retry-after").is_some(), "{}", beyond.head);
    let (host, bearer) = (door.address.to_string(), format!("Bearer {}", door.token));
    door.send("DELETE", &[("Host", &host), ("Authorization", &bearer), ("Mcp-Session-Id", &sessions[7])], "");
    door.session();
}

#[test]
fn what_is_too_long_is_refused_and_the_next_is_served() {
    let home = Home::new();
    let door = Door::start(&home, &[]);
    let (host, bearer) = (door.address.to_string(), format!("Bearer {}", door.token));
    let headers = [("Host", host.as_str()), ("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Accept", "*/*")];
    let long = format!("{{\"x\": \"{}\"}}", "y".repeat(16 << 20));
    assert_eq!(door.send("POST", &headers, &long).status, 413);
    // Without its length, in pieces.
    let mut stream = connect(door.address);
    write!(stream, "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let piece = format!("100000\r\n{}\r\n", "y".repeat(1 << 20));
    (0..20).for_each(|_| drop(stream.write_all(piece.as_bytes())));
    assert_eq!(read(stream).status, 413);
    // A head as well.
    let field = "z".repeat(100_000);
    let mut with_field = headers.to_vec();
    with_field.push(("X-Long", &field));
    assert_eq!(door.send("POST", &with_field, "{}").status, 431);
    for nonsense in ["", "{", "[]", "\u{0}", "[[[[[[[[[[[[[[[["] {
        let status = door.send("POST", &headers, nonsense).status;
        assert!((400..500).contains(&status), "{nonsense:?}: {status}");
    }
    door.session();
}

#[test]
fn clients_that_dawdle_hold_up_nobody_for_long() {
    let home = Home::new();
    let door = Door::start(&home, &["--profile=read"]);
    // All places are taken by heads that never end.
    let slow: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = connect(door.address);
            stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: ").unwrap();
            stream
        })
        .collect();
    // Served once they are cut off, and they are.
    door.session();
    for mut stream in slow {
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
}

#[test]
fn changes_are_told_over_http_in_both_eras() {
    let home = Home::new();
    let door = Door::start(&home, &[]);
    let file = home.file("t.js", "return 1;");
    assert_eq!(home.run(&["task", "add", "t", file.to_str().unwrap()]).code, Some(0));
    let session = door.session();
    let (host, bearer) = (door.address.to_string(), format!("Bearer {}", door.token));
    let mut stream = connect(door.address);
    let get = format!(
        "GET /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {session}\r\n\r\n"
    );
    stream.write_all(get.as_bytes()).unwrap();
    let mut legacy = BufReader::new(stream);
    let listen = json!({ "jsonrpc": "2.0", "id": "ears", "method": "subscriptions/listen", "params": {
        "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["wardroom://task/t"] },
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        } } })
    .to_string();
    let mut stream = connect(door.address);
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n\
         Content-Length: {}\r\n\r\n{listen}",
        listen.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut modern = BufReader::new(stream);
    let until = |reader: &mut BufReader<TcpStream>, word: &str| {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "it ended before {word}");
        }
        line
    };
    until(&mut modern, "subscriptions/acknowledged");
    until(&mut legacy, "200 OK");
    let start = std::time::Instant::now();
    let items =
        || std::fs::read_dir(home.path().join("run")).unwrap().flatten().any(|entry| entry.path().extension() == Some("items".as_ref()));
    while !items() {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(home.run(&["expose", "t"]).code, Some(0));
    until(&mut legacy, "notifications/tools/list_changed");
    assert!(until(&mut modern, "notifications/tools/list_changed").contains("\"ears\""));
    until(&mut modern, "notifications/resources/updated");
    // Who hangs up is not listened for any more.
    drop(modern);
    let start = std::time::Instant::now();
    while items() {
        assert!(start.elapsed() < PATIENCE, "it is told on for a client that is gone");
        assert_eq!(home.run(&["task", "pause", "t"]).code, Some(0));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn it_ends_when_it_is_told_to_and_what_runs_is_interrupted() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let home = Home::new();
        let door = Door::start(&home, &[]);
        let session = door.session();
        let code = "for (;;) { await new Promise((done) => setTimeout(done, 50)); }";
        let schedule = json!({ "type": "cron", "expression": "0 * * * *" });
        door.call(&session, "schedule_task", json!({ "name": "slow", "code": code, "schedule": schedule }));
        let id = door.call(&session, "execute_task", json!({ "name": "slow", "wait": false }))["execution_id"].clone();
        door.process.signal(signal);
        let ended = door.process.wait();
        assert_eq!(ended.code, Some(0), "{ended}");
        assert_eq!(home.read(&["exec", "show", id.as_str().unwrap(), "--json"])["status"], "interrupted");
    }
}

#[test]
fn a_token_of_a_file_is_shown_nowhere() {
    let home = Home::new();
    let file = home.work().join("token");
    let flag = format!("--token-file={}", file.display());
    let mut door = Door::start(&home, &[&flag]);
    door.token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    assert!(door.token.len() >= 43);
    let session = door.session();
    door.call(&session, "run_script", json!({ "code": "return 1;" }));
    #[cfg(target_os = "linux")]
    {
        let arguments = std::fs::read(format!("/proc/{}/cmdline", door.process.pid().as_raw_nonzero())).unwrap();
        assert!(!String::from_utf8_lossy(&arguments).contains(&door.token));
    }
    door.process.signal(rustix::process::Signal::TERM);
    let (token, ended) = (door.token.clone(), door.process.wait());
    assert!(!ended.stderr.contains(&token) && ended.stdout.is_empty(), "{ended}");
    // Others must not read it.
    crate::support::home::chmod(&file, 0o644);
    let refused = home.run(&["mcp", "--http=127.0.0.1:0", &flag]);
    assert!(refused.code == Some(1) && refused.stderr.contains("chmod 600"), "{refused}");
}

#[test]
fn only_loopback_is_listened_on() {
    let home = Home::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.168.1.5:1", "example.com:1", "nonsense"] {
        let refused = home.run(&["mcp", &format!("--http={address}")]);
        assert!(refused.code == Some(2) && refused.stderr.contains("127.0.0.1:PORT"), "{address}: {refused}");
    }
    let alone = home.run(&["mcp", "--token-file=x"]);
    assert_eq!(alone.code, Some(2), "{alone}");
    let listeners = |home: &Home| {
        let checked = home.run(&["doctor", "--json"]).json();
        checked.to_string()
    };
    assert!(listeners(&home).contains("nothing of this program listens"));
    let door = Door::start(&home, &[]);
    assert!(listeners(&home).contains(&door.address.to_string()), "whoever looks sees it");
    let taken = home.run(&["mcp", &format!("--http={}", door.address)]);
    assert!(taken.code == Some(1) && taken.stderr.contains("cannot be listened on"), "{taken}");
    door.process.signal(rustix::process::Signal::KILL);
    door.process.wait();
    assert!(listeners(&home).contains("nothing of this program listens"), "who was killed listens no more");
}

#[test]
fn settings_for_http_name_the_address_and_never_hold_a_token() {
    let home = Home::new();
    for (client, field) in [("claude", "url"), ("cursor", "url"), ("vscode", "url"), ("windsurf", "serverUrl"), ("zed", "url")] {
        let printed = home.read(&["mcp", "--http=127.0.0.1:7777", "--print-config", client]);
        let server = printed.as_object().unwrap().values().find(|of| of["wardroom"].is_object()).unwrap()["wardroom"].clone();
        assert_eq!(server[field], "http://127.0.0.1:7777/mcp", "{printed}");
        let header = server["headers"]["Authorization"].as_str().unwrap();
        assert!(header.starts_with("Bearer ") && header.contains("TOKEN"), "{header}");
    }
}
