//! Messages of standard input and output, a line each.
//!
//! The library tries each message as everything that it may be, which for the one
//! that is said again and again takes longer than all that is done about it
//! afterwards. So a `tools/call` in its plain form is read in one pass here, as it
//! comes in, and begun at once (early.rs); whatever else there is, and all that is
//! wrong, is the library's to read and to answer.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::marker::PhantomData;
use std::num::NonZero;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use rmcp::model::{
    CallToolRequest, CallToolRequestMethod, CallToolRequestParams, ClientNotification, JsonObject, JsonRpcMessage, JsonRpcRequest,
    JsonRpcVersion2_0, RequestId, RequestMetaObject,
};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, Stdin};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::early::Start;
use super::output::Output;

/// Bytes that are read at once; a longer call is the library's.
const CHUNK: usize = 16 * 1024;
/// How long the next call is looked for without sleeping, once all are answered.
/// To be woken takes about as long, and a client that calls in a row has asked by
/// then; one that does not costs this much of a processor, once. Not where there is
/// only one processor: the client needs it.
const AWAKE: Duration = Duration::from_micros(50);
/// Calls that are begun one after the other, however they come; then whatever else
/// this thread has to do has its turn.
const TURN: usize = 8;
/// For how long the answers of calls that came together are gathered, as one write
/// wakes the client once. A call that takes longer holds them up until it has had its
/// first turn, and they go out then.
const TOGETHER: Duration = Duration::from_micros(200);

type Message = RxJsonRpcMessage<RoleServer>;

/// The library's lines, and calls read beside them, in the order in which they came.
pub(super) struct Lines {
    library: AsyncRwTransport<RoleServer, Input, Output>,
    output: Output,
    calls: Arc<Mutex<Calls>>,
    begin: Begin,
    /// Since when an answer waits for others.
    held: Option<Instant>,
    /// A turn is over: this ends when all else has had its own. To be pending is not
    /// enough, as the library asks again as long as anything happens.
    rest: Option<JoinHandle<()>>,
}

/// The calls that were read.
#[derive(Default)]
struct Calls {
    /// Not yet begun.
    next: VecDeque<Call>,
    /// The library has them: not yet answered, nor taken back.
    open: HashSet<RequestId>,
    /// The last of them was just answered.
    are_answered: bool,
}

type Call = JsonRpcRequest<CallToolRequest>;
/// What begins each.
pub(super) type Begin = Box<dyn Fn(Call, &mut Context<'_>) -> Start + Send>;

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    /// Of this process; `ended` is told when there is no more input.
    pub(super) fn standard(begin: Begin, ended: watch::Sender<bool>) -> Self {
        let (source, output) = standard();
        Self::of(source, Output::new(output), begin, ended)
    }

    fn of(source: Source, output: Output, begin: Begin, ended: watch::Sender<bool>) -> Self {
        let calls = Arc::<Mutex<Calls>>::default();
        let input =
            Input { source, ended, chunk: Box::new([0; CHUNK]), at: 0, end: 0, is_within: false, awake: awake(), calls: calls.clone() };
        Self { library: AsyncRwTransport::new(input, output.clone()), output, calls, begin, held: None, rest: None }
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut begun = 0;
        loop {
            if let Some(rest) = &mut self.rest {
                drop(ready!(rest.poll_unpin(context)));
                self.rest = None;
            }
            // The input after a call is not read before that is begun: so the library
            // has nothing that came earlier.
            let is_turn_over = loop {
                if begun == TURN {
                    break true;
                }
                let Some(call) = self.next_call() else { break false };
                begun += 1;
                if let Some(message) = self.begin(call, context) {
                    return Poll::Ready(Some(message));
                }
            };
            self.let_out(context);
            if is_turn_over {
                begun = 0;
                self.rest = Some(tokio::spawn(async {}));
                continue;
            }
            match pin!(self.library.receive()).poll(context) {
                Poll::Pending if !lock(&self.calls).next.is_empty() => {}
                message => return message,
            }
        }
    }

    fn next_call(&self) -> Option<Call> {
        lock(&self.calls).next.pop_front()
    }

    /// Begins a call; what did not end at once is the library's.
    fn begin(&mut self, call: Call, context: &mut Context<'_>) -> Option<Message> {
        let id = call.id.clone();
        match (self.begin)(call, context) {
            Start::Over(answer) => {
                // What is no JSON cannot be sent; no answer is.
                drop(self.output.put(&answer));
                let mut calls = lock(&self.calls);
                calls.are_answered = calls.open.is_empty();
                drop(calls);
                if self.held.get_or_insert_with(Instant::now).elapsed() > TOGETHER {
                    self.let_out(context);
                }
                None
            }
            Start::Open(message) => {
                lock(&self.calls).open.insert(id);
                Some(message)
            }
        }
    }

    /// Lets out what waits. What the client does not take now, it is offered when it
    /// does; if it is gone, so is the input.
    fn let_out(&mut self, context: &mut Context<'_>) {
        self.held = None;
        drop(self.output.poll_out(context));
    }
}

impl Transport<RoleServer> for Lines {
    type Error = io::Error;

    fn send(&mut self, item: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        match &item {
            JsonRpcMessage::Response(response) => lock(&self.calls).close(&response.id),
            JsonRpcMessage::Error(error) => error.id.iter().for_each(|id| lock(&self.calls).close(id)),
            _ => {}
        }
        // Begun at once: most are written then, before whoever would go on with it
        // has its turn.
        let mut sending = Box::pin(self.library.send(item));
        let sent = sending.as_mut().now_or_never();
        async move {
            match sent {
                Some(sent) => sent,
                None => sending.await,
            }
        }
    }

    async fn receive(&mut self) -> Option<Message> {
        let message = poll_fn(|context| self.poll_receive(context)).await;
        if let Some(JsonRpcMessage::Notification(told)) = &message
            && let ClientNotification::CancelledNotification(cancelled) = &told.notification
            && let Some(id) = &cancelled.params.request_id
        {
            // It is not answered.
            lock(&self.calls).open.remove(id);
        }
        message
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.library.close()
    }
}

impl Calls {
    fn close(&mut self, id: &RequestId) {
        self.are_answered = self.open.remove(id) && self.open.is_empty();
    }
}

/// Where input comes from.
enum Source {
    /// A pipe, which is read when there is something.
    Pipe(pipe::Receiver),
    /// Anything else, which a thread waits for.
    Other(Stdin),
}

/// Pipes are opened anew, where the system can do that, so that whoever shares them
/// with this process finds them as they were.
fn standard() -> (Source, Box<dyn AsyncWrite + Send + Unpin>) {
    let options = pipe::OpenOptions::new();
    match (options.open_receiver("/proc/self/fd/0"), options.open_sender("/proc/self/fd/1")) {
        (Ok(input), Ok(output)) => (Source::Pipe(input), Box::new(output)),
        _ => (Source::Other(tokio::io::stdin()), Box::new(tokio::io::stdout())),
    }
}

/// The input as the library reads it: without the calls.
struct Input {
    source: Source,
    ended: watch::Sender<bool>,
    chunk: Box<[u8; CHUNK]>,
    /// From here on nobody has what was read.
    at: usize,
    end: usize,
    /// The library has the beginning of this line.
    is_within: bool,
    awake: Duration,
    calls: Arc<Mutex<Calls>>,
}

fn awake() -> Duration {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    if processors > 1 { AWAKE } else { Duration::ZERO }
}

impl Input {
    fn rest(&self) -> &[u8] {
        self.chunk.get(self.at..self.end).unwrap_or_default()
    }

    /// Takes the calls from the front of what was read. Says whether there are any.
    fn take_calls(&mut self) -> bool {
        let calls = self.calls.clone();
        let mut calls = lock(&calls);
        while !self.is_within
            && let Some(length) = self.rest().iter().position(|byte| *byte == b'\n')
            && let Some(call) = self.rest().get(..length).and_then(call)
        {
            calls.next.push_back(call);
            self.at += length + 1;
        }
        !calls.next.is_empty()
    }

    /// Gives the library what comes next, to the end of its line at most: calls may
    /// follow.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        let line = self.rest().iter().position(|byte| *byte == b'\n').map_or(self.rest().len(), |length| length + 1);
        let given = self.rest().get(..line.min(buffer.remaining())).unwrap_or_default();
        buffer.put_slice(given);
        let (count, is_within) = (given.len(), given.last().is_some_and(|byte| *byte != b'\n'));
        self.at += count;
        self.is_within = is_within;
    }

    /// Looks for more for a moment, where all calls were just answered.
    fn look(&mut self) -> bool {
        let Source::Pipe(pipe) = &self.source else { return false };
        if !std::mem::take(&mut lock(&self.calls).are_answered) {
            return false;
        }
        let begin = Instant::now();
        while begin.elapsed() < self.awake {
            match rustix::io::read(pipe, &mut *self.chunk) {
                Ok(0) => return false,
                Ok(read) => {
                    (self.at, self.end) = (0, read);
                    return true;
                }
                // Whoever is to ask may want this processor.
                Err(rustix::io::Errno::AGAIN) => std::thread::yield_now(),
                Err(_) => return false,
            }
        }
        false
    }

    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = ReadBuf::new(&mut *self.chunk);
        let read = ready!(match &mut self.source {
            Source::Pipe(pipe) => Pin::new(pipe).poll_read(context, &mut chunk),
            Source::Other(input) => Pin::new(input).poll_read(context, &mut chunk),
        });
        (self.at, self.end) = (0, chunk.filled().len());
        Poll::Ready(read)
    }
}

impl AsyncRead for Input {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.take_calls() {
                // Whoever polls this takes them now, and comes back for the rest.
                return Poll::Pending;
            }
            if self.at < self.end {
                self.give(buffer);
                return Poll::Ready(Ok(()));
            }
            if self.look() {
                continue;
            }
            let more = ready!(self.poll_more(context));
            if more.is_err() || self.end == 0 {
                self.ended.send_replace(true);
                return Poll::Ready(more);
            }
        }
    }
}

/// A message that is a call and nothing else. What is not named here is not passed
/// over, as it would be unseen: the library sees it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[expect(dead_code, reason = "it is there, or this is no message")]
    jsonrpc: JsonRpcVersion2_0,
    id: RequestId,
    #[expect(dead_code, reason = "it is this one, or this is no call")]
    method: CallToolRequestMethod,
    params: Object<Params>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(rename = "_meta", default)]
    meta: Option<RequestMetaObject>,
    name: String,
    #[serde(default)]
    arguments: Option<JsonObject>,
}

/// An object of JSON. A struct alone is read from a list of its fields, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// The same message as the library makes of this line, where it is a call.
fn call(line: &[u8]) -> Option<Call> {
    let Object(Read { id, params, .. }) = serde_json::from_slice(line).ok()?;
    let Object(Params { meta, name, arguments }) = params;
    let mut params = CallToolRequestParams::new(name);
    params.arguments = arguments;
    let mut request = CallToolRequest::new(params);
    if let Some(meta) = meta {
        request.extensions.insert(meta);
    }
    Some(JsonRpcRequest::new(id, request))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use rmcp::model::{CallToolResult, ServerResult};
    use serde_json::{Value, json};
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// Lines of a pipe, where no call is over early; who writes into it, and who reads
    /// what is answered.
    fn lines() -> (Lines, pipe::Sender, pipe::Receiver, watch::Receiver<bool>) {
        let (input, receiver) = pipe::pipe().unwrap();
        let (output, answers) = pipe::pipe().unwrap();
        let (ended, end) = watch::channel(false);
        let begin = Box::new(|call, _: &mut Context<'_>| Start::open(call));
        (Lines::of(Source::Pipe(receiver), Output::new(Box::new(output)), begin, ended), input, answers, end)
    }

    fn plain(id: &Value, params: &Value) -> String {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string()
    }

    fn message(call: Call) -> Message {
        let Start::Open(message) = Start::open(call) else { panic!("it is over") };
        message
    }

    fn shown(message: &Message) -> (Value, String) {
        (serde_json::to_value(message).unwrap(), format!("{message:?}"))
    }

    #[test]
    fn a_call_is_read_as_the_library_reads_it() {
        for params in [
            json!({ "name": "a" }),
            json!({ "name": "a", "arguments": {} }),
            json!({ "name": "a", "arguments": { "n": 18_446_744_073_709_551_615_u64, "m": -1, "x": 0.1, "s": "\u{1F600}\"\\", "l": [null, true, { "y": [] }] } }),
            json!({ "name": "a", "_meta": { "progressToken": 7, "io.modelcontextprotocol/protocolVersion": "2026-07-28" } }),
            json!({ "name": "a", "arguments": null, "_meta": null }),
        ] {
            for id in [json!(0), json!(i64::MAX), json!("x")] {
                for line in [plain(&id, &params), format!(" {}\r", plain(&id, &params))] {
                    let read = message(call(line.as_bytes()).unwrap());
                    let library: Message = serde_json::from_str(&line).unwrap();
                    assert_eq!(shown(&read), shown(&library), "{line}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_plain_call_is_the_librarys() {
        for line in [
            "",
            "{}",
            "null",
            "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\"}}",
            r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}]"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}} {}"#,
            r#"["2.0",1,"tools/call",{"name":"a"}]"#,
            r#"["2.0",1,"tools/call",[null,"a",null]]"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[null,"a",{}]}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"id":1,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","requestState":"s"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","nobody":1e999}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"a"}}"#,
        ] {
            assert!(call(line.as_bytes()).is_none(), "{line}");
        }
        assert!(call(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"\xff\"}}").is_none());
    }

    #[tokio::test]
    async fn the_end_is_told_and_what_has_no_end_is_no_message() {
        let (mut lines, mut input, _answers, end) = lines();
        let whole = plain(&json!(1), &json!({ "name": "a" }));
        input.write_all(format!("{whole}\n{whole}").as_bytes()).await.unwrap();
        drop(input);
        assert!(lines.receive().await.is_some());
        assert!(!*end.borrow());
        assert!(lines.receive().await.is_none());
        assert!(*end.borrow());
    }

    #[tokio::test]
    async fn the_rest_of_a_line_is_no_call() {
        let (mut lines, mut input, _answers, _end) = lines();
        let called = |id: i64| plain(&json!(id), &json!({ "name": "a" })) + "\n";
        for before in ["x", " {", "\u{feff}"] {
            input.write_all(before.as_bytes()).await.unwrap();
            // As far as it can come with that.
            assert!(lines.receive().now_or_never().is_none());
            tokio::task::yield_now().await;
            assert!(lines.receive().now_or_never().is_none());
            input.write_all(format!("{}{}", called(1), called(2)).as_bytes()).await.unwrap();
            let Some(JsonRpcMessage::Request(request)) = lines.receive().await else { panic!("{before}") };
            // With a byte order mark the library takes it for a message.
            let first = if before == "\u{feff}" { 1 } else { 2 };
            assert_eq!(request.id, RequestId::Number(first), "{before}");
        }
    }

    #[tokio::test]
    async fn calls_are_open_until_they_are_answered_or_taken_back() {
        let (mut lines, mut input, _answers, _end) = lines();
        let called: String = (1..=3).map(|id| plain(&json!(id), &json!({ "name": "a" })) + "\n").collect();
        let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 2 } });
        input.write_all(format!("{called}{cancelled}\n").as_bytes()).await.unwrap();
        for _ in 0..4 {
            assert!(lines.receive().await.is_some());
        }
        let answer = |id: i64| {
            TxJsonRpcMessage::<RoleServer>::response(ServerResult::CallToolResult(CallToolResult::success(vec![])), RequestId::Number(id))
        };
        let open = |lines: &Lines| {
            let calls = lock(&lines.calls);
            (calls.open.len(), calls.are_answered)
        };
        assert_eq!(open(&lines), (2, false));
        lines.send(answer(1)).await.unwrap();
        assert_eq!(open(&lines), (1, false));
        lines.send(answer(3)).await.unwrap();
        assert_eq!(open(&lines), (0, true));
        // Nobody asked for that by a call.
        lines.send(answer(9)).await.unwrap();
        assert_eq!(open(&lines), (0, false));
    }

    #[tokio::test]
    async fn what_comes_while_it_is_looked_for_is_read() {
        let (mut lines, mut input, _answers, _end) = lines();
        for id in 0..200 {
            lock(&lines.calls).are_answered = true;
            let line = plain(&json!(id), &json!({ "name": "a" })) + "\n";
            let (first, rest) = line.split_at(id % line.len());
            let (_, received) = tokio::join!(
                async {
                    input.write_all(first.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                    input.write_all(rest.as_bytes()).await.unwrap();
                },
                tokio::time::timeout(Duration::from_secs(5), lines.receive())
            );
            let Ok(Some(JsonRpcMessage::Request(request))) = received else { panic!("{id}") };
            assert_eq!(serde_json::to_value(request.id).unwrap(), json!(id));
        }
    }

    #[derive(Debug, Clone)]
    enum Said {
        Call(usize),
        Ping,
        Nothing,
        Garbage,
    }

    /// A change of a line: a place, how much goes there, and what comes instead.
    fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, String)>> {
        let pieces = [
            "",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            " ",
            "1",
            "1e999",
            "-",
            "null",
            "true",
            "\"id\":2,",
            "\"_meta\":{},",
            "\"_meta\":null,",
        ];
        let more = [
            "\"name\":\"b\",",
            "\"result\":{},",
            "\"x\":",
            "\"method\":\"ping\",",
            "\\u0000",
            "\u{1}",
            "\u{feff}",
            "\u{e9}",
            "99999999999999999999",
        ];
        let piece = prop::sample::select([pieces.as_slice(), more.as_slice()].concat());
        prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, piece.prop_map(str::to_owned)), 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// Whatever is read here, the library would have read as the same message.
        #[test]
        fn nothing_is_read_that_the_library_reads_otherwise(edits in edits(), is_modern in any::<bool>()) {
            let mut params = json!({ "name": "a", "arguments": { "n": [1, { "x": "\"" }] } });
            if is_modern {
                params["_meta"] = json!({ "progressToken": 1 });
            }
            let mut line = plain(&json!(1), &params).into_bytes();
            for (place, gone, piece) in edits {
                let place = place.index(line.len() + 1);
                let end = (place + gone).min(line.len());
                line.splice(place..end, piece.into_bytes());
            }
            if let Some(read) = call(&line) {
                let library = serde_json::from_slice::<Message>(&line);
                let library = library.map_err(|error| TestCaseError::fail(format!("{error}: {}", String::from_utf8_lossy(&line))))?;
                prop_assert_eq!(shown(&message(read)), shown(&library));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However it is cut: each message once, and in its order.
        #[test]
        fn messages_keep_their_order(
            said in prop::collection::vec(prop_oneof![
                4 => (0..40_usize).prop_map(Said::Call),
                1 => (CHUNK - 200..CHUNK * 2).prop_map(Said::Call),
                2 => Just(Said::Ping),
                1 => Just(Said::Nothing),
                1 => Just(Said::Garbage),
            ], 1..40),
            cuts in prop::collection::vec(1..5000_usize, 1..20),
        ) {
            let mut text = String::new();
            let mut expected = Vec::new();
            for (id, said) in said.iter().enumerate() {
                match said {
                    Said::Call(length) => text.push_str(&plain(&json!(id), &json!({ "name": "a", "arguments": { "x": "y".repeat(*length) } }))),
                    Said::Ping => text.push_str(&json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string()),
                    Said::Nothing => {}
                    Said::Garbage => text.push_str("{\"jsonrpc\": \"2.0\", \"id\""),
                }
                text.push('\n');
                if matches!(said, Said::Call(_) | Said::Ping) {
                    expected.push(json!(id));
                }
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let received = runtime.block_on(async {
                let (mut lines, input, _answers, _end) = lines();
                let writing = write_cut(input, text, cuts);
                let reading = async {
                    let mut received = Vec::new();
                    while let Some(message) = lines.receive().await {
                        let JsonRpcMessage::Request(request) = message else { panic!("{message:?}") };
                        received.push(serde_json::to_value(request.id).unwrap());
                    }
                    received
                };
                tokio::join!(writing, reading).1
            });
            prop_assert_eq!(received, expected);
        }
    }

    /// Writes a text in pieces, and ends the input.
    async fn write_cut(mut input: pipe::Sender, text: String, cuts: Vec<usize>) {
        let mut rest = text.as_bytes();
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            input.write_all(now).await.unwrap();
            tokio::task::yield_now().await;
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
    }

    /// An answer of so many bytes.
    fn answer(id: RequestId, length: usize) -> TxJsonRpcMessage<RoleServer> {
        let text = rmcp::model::ContentBlock::text("y".repeat(length));
        TxJsonRpcMessage::<RoleServer>::response(ServerResult::CallToolResult(CallToolResult::success(vec![text])), id)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whoever answers, however late it is read: each answer once, in one piece.
        #[test]
        fn each_is_answered_once_and_in_one_piece(
            said in prop::collection::vec((prop_oneof![Just("over"), Just("open")], prop_oneof![0..300_usize, 0..30_000_usize]), 1..60),
            cuts in prop::collection::vec(1..5000_usize, 1..20),
            reads in prop::collection::vec(1..20_000_usize, 1..20),
        ) {
            let mut text = String::new();
            for (id, (name, length)) in said.iter().enumerate() {
                text.push_str(&plain(&json!(id), &json!({ "name": name, "arguments": { "length": length } })));
                text.push('\n');
            }
            let length = |arguments: &Option<JsonObject>| usize::try_from(arguments.as_ref().unwrap()["length"].as_u64().unwrap()).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let answered = runtime.block_on(async {
                let (input, receiver) = pipe::pipe().unwrap();
                let (output, mut answers) = pipe::pipe().unwrap();
                let (ended, _end) = watch::channel(false);
                let begin = Box::new(move |call: Call, _: &mut Context<'_>| match call.request.params.name.as_ref() {
                    "over" => Start::Over(answer(call.id, length(&call.request.params.arguments))),
                    _ => Start::open(call),
                });
                let mut lines = Lines::of(Source::Pipe(receiver), Output::new(Box::new(output)), begin, ended);
                let writing = write_cut(input, text, cuts);
                let serving = async move {
                    let mut sending = tokio::task::JoinSet::new();
                    while let Some(message) = lines.receive().await {
                        let JsonRpcMessage::Request(JsonRpcRequest { id, request, .. }) = message else { panic!("{message:?}") };
                        let rmcp::model::ClientRequest::CallToolRequest(call) = request else { panic!("{request:?}") };
                        sending.spawn(lines.send(answer(id, length(&call.params.arguments))));
                    }
                    while let Some(sent) = sending.join_next().await {
                        sent.unwrap().unwrap();
                    }
                    // What is still held back goes out while somebody asks for more.
                    poll_fn(|context| lines.output.poll_out(context)).await.unwrap();
                };
                let reading = async {
                    let mut all = Vec::new();
                    for read in reads.iter().cycle() {
                        let mut some = vec![0; *read];
                        match tokio::io::AsyncReadExt::read(&mut answers, &mut some).await.unwrap() {
                            0 => break,
                            count => all.extend_from_slice(&some[..count]),
                        }
                        tokio::task::yield_now().await;
                    }
                    all
                };
                tokio::join!(writing, serving, reading).2
            });
            let mut lengths = HashMap::new();
            for line in std::str::from_utf8(&answered).unwrap().lines() {
                let message: Value = serde_json::from_str(line).unwrap();
                let length = message["result"]["content"][0]["text"].as_str().unwrap().len();
                prop_assert_eq!(lengths.insert(message["id"].as_u64().unwrap(), length), None);
            }
            let expected = said.iter().enumerate().map(|(id, (_, length))| (u64::try_from(id).unwrap(), *length)).collect();
            prop_assert_eq!(lengths, expected);
        }
    }
}
