//! A session of messages that nobody would send: valid, nearly valid and broken
//! ones, from a printed seed. No crash, no byte that is no protocol, and memory
//! that stays what it was.
//!
//! `WARDROOM_MCP_MESSAGES` says how many (2,000); `.ci/long mcp` sends 100,000.

use std::time::Duration;

use serde_json::{Value, json};

use super::Client;
use crate::support::home::Home;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn value(&mut self, depth: usize) -> Value {
        let texts = ["", "a", "log-message", "health", "\u{1b}[2J", "../..", "\u{0}", "ä€😀", "true", "2026-01-31T12:00:00Z", "cron"];
        match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.next().is_multiple_of(2)),
            2 => json!(self.next()),
            3 => json!(self.next() as i64 as f64 / 3.0),
            4 => json!(-(self.below(1000) as i64)),
            5 => json!(self.one(&texts)),
            6 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => (0..self.below(4)).map(|_| (self.key(), self.value(depth - 1))).collect(),
        }
    }

    fn key(&mut self) -> String {
        let keys =
            ["name", "id", "code", "params", "schedule", "type", "expression", "limit", "offset", "wait", "enabled", "_meta", "uri", "x"];
        (*self.one(&keys)).to_owned()
    }

    fn message(&mut self, id: u64, tools: &[String]) -> Vec<u8> {
        let methods = [
            "tools/call",
            "tools/list",
            "resources/read",
            "resources/list",
            "prompts/get",
            "completion/complete",
            "ping",
            "initialize",
            "resources/subscribe",
            "server/discover",
            "subscriptions/listen",
            "logging/setLevel",
            "no/such",
            "notifications/cancelled",
            "notifications/initialized",
            "tasks/get",
        ];
        let mut message = match self.below(10) {
            0..=5 => {
                let tool = self.one(tools).clone();
                json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": self.object() } })
            }
            6..=8 => json!({ "jsonrpc": "2.0", "id": id, "method": self.one(&methods), "params": self.object() }),
            _ => self.value(4),
        };
        if self.below(20) == 0
            && let Some(map) = message.as_object_mut()
        {
            let key = (*self.one(&["id", "jsonrpc", "method", "params"])).to_owned();
            map.insert(key, self.value(2));
        }
        let mut bytes = message.to_string().into_bytes();
        if self.below(15) == 0 {
            let at = self.below(bytes.len());
            bytes[at] = u8::try_from(self.below(256)).unwrap();
        }
        bytes.retain(|byte| *byte != b'\n');
        bytes.push(b'\n');
        bytes
    }

    fn object(&mut self) -> Value {
        (0..self.below(5)).map(|_| (self.key(), self.value(3))).collect()
    }
}

fn resident(client: &Client) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", client.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_session_of_nonsense_leaves_it_as_it_was() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seed, messages) = (number("WARDROOM_SEED").unwrap_or(1), number("WARDROOM_MCP_MESSAGES").unwrap_or(2_000));
    let home = Home::new();
    // Nothing that runs programs: their memory is not this server's.
    let mut client = Client::new(&home, "operate");
    let listed = client.request("tools/list", json!({}));
    let tools: Vec<String> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
    let mut random = Random(seed);
    let (mut early, mut answers) = (0, 0_u64);
    for turn in 0..messages {
        let bytes = random.message(1_000_000 + turn, &tools);
        client.send_bytes(&bytes);
        // Each line is read as JSON-RPC, whatever it answers.
        while client.receive(Duration::ZERO).is_some() {
            answers += 1;
        }
        if turn % 100 == 99 {
            // Everything before is answered: it keeps the order of none, but all is read.
            let alive = client.request("tools/call", json!({ "name": "get_status", "arguments": {} }));
            assert_eq!(alive["result"]["structuredContent"]["success"], true, "seed {seed}, message {turn}: {alive}");
        }
        if turn == messages / 5 {
            early = resident(&client);
        }
    }
    let late = resident(&client);
    println!("seed {seed}, {messages} messages, {answers} answers read at once; resident {early} KiB after a fifth, {late} KiB at the end");
    assert!(late < early + 20 * 1024, "seed {seed}: resident {early} KiB after a fifth, {late} KiB at the end");
    let (_, code) = client.close();
    assert_eq!(code, Some(0), "seed {seed}");
}
