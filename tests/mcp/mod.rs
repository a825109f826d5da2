//! The assistant's door, spoken to line by line as any client would.

mod clients;
mod code;
mod conformance;
mod escalation;
mod fixtures;
mod functions;
mod fuzz;
mod http;
mod inspector;
mod install;
mod news;
mod rights;
mod schedule;
mod story;
mod trust;
mod wire;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::PATIENCE;
use crate::support::home::Home;
use crate::support::terminal::by_code;

thread_local! {
    static HEARD: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// All that clients of this test were told.
fn heard() -> String {
    HEARD.with_borrow(Clone::clone)
}

/// A client of ours: it speaks the era of 2025-11-25.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    next: u64,
    /// Notifications that came meanwhile.
    notes: Vec<Value>,
}

impl Client {
    fn raw(home: &Home, args: &[&str]) -> Self {
        let all: Vec<&str> = ["mcp"].iter().chain(args).copied().collect();
        let mut child = home.command(&all).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, lines, next: 0, notes: Vec::new() }
    }

    fn new(home: &Home, profile: &str) -> Self {
        let mut client = Self::raw(home, &["--profile", profile]);
        let hello = client.request(
            "initialize",
            json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } }),
        );
        assert_eq!(hello["result"]["serverInfo"]["name"], "wardroom", "{hello}");
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).and_then(|()| stdin.flush()).unwrap();
    }

    fn send(&mut self, message: &Value) {
        self.send_bytes(format!("{message}\n").as_bytes());
    }

    /// The next message; every line is one, or the output is not pure.
    fn receive(&self, within: Duration) -> Option<Value> {
        match self.lines.recv_timeout(within) {
            Ok(line) => {
                HEARD.with_borrow_mut(|heard| heard.push_str(&line));
                let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no protocol: {line}"));
                assert_eq!(message["jsonrpc"], "2.0", "{line}");
                Some(message)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params }));
        self.next
    }

    fn answer(&mut self, id: u64) -> Value {
        let start = Instant::now();
        loop {
            let message = self.receive(PATIENCE.saturating_sub(start.elapsed()));
            let message = message.unwrap_or_else(|| panic!("no answer to request {id}"));
            if message["id"] == id {
                return message;
            }
            self.notes.push(message);
        }
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id)
    }

    /// The next notification of this kind, that came already or is to come.
    #[track_caller]
    fn told(&mut self, method: &str) -> Value {
        let start = Instant::now();
        loop {
            if let Some(at) = self.notes.iter().position(|note| note["method"] == method) {
                return self.notes.remove(at);
            }
            let message = self.receive(PATIENCE.saturating_sub(start.elapsed()));
            self.notes.push(message.unwrap_or_else(|| panic!("waited in vain for {method}: {:?}", self.notes)));
        }
    }

    /// A tool's result, whatever it is.
    #[track_caller]
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.request("tools/call", json!({ "name": tool, "arguments": arguments }));
        let result = answer["result"].clone();
        assert!(result.is_object(), "{tool}: {answer}");
        assert!(answer.to_string().len() <= 80_000, "{tool}: the answer is too long");
        result
    }

    /// A tool's structured answer; it has to succeed.
    #[track_caller]
    fn done(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments);
        assert_eq!(result["structuredContent"]["success"], true, "{tool}: {result}");
        assert_ne!(result["isError"], true, "{tool}: {result}");
        result["structuredContent"].clone()
    }

    /// The code with which a tool refuses.
    #[track_caller]
    fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!((&result["isError"], &result["structuredContent"]["success"]), (&json!(true), &json!(false)), "{tool}: {result}");
        result["structuredContent"]["error"].as_str().unwrap_or_else(|| panic!("{tool}: {result}")).to_owned()
    }

    /// Ends the input, and answers how long the server took to be gone, and its
    /// exit code.
    fn close(mut self) -> (Duration, Option<i32>) {
        drop(self.stdin.take());
        self.gone()
    }

    fn gone(&mut self) -> (Duration, Option<i32>) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (start.elapsed(), status.code());
            }
            assert!(start.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A person approves, in a terminal, by the code on the screen. Nothing where no
/// terminal can be made.
fn approve(home: &Home, id: &str) -> Option<String> {
    by_code(home, &format!("approval approve {id}"))
}
