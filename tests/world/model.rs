//! A stand-in for the model service behind the Codex CLI, so that tests can run the real
//! Codex without a network, an account or a cost.
//!
//! The newest user message steers the answer. A steering word counts only as a word of its
//! own (`EXECUTE` is not `CUT`), several may be combined, and without any of them the model
//! answers `echo: ` and the message.
//!
//! | word          | what the model does                                                     |
//! |---------------|-------------------------------------------------------------------------|
//! | `SLEEPn`      | waits n seconds before every answer, unless the client goes away        |
//! | `SHELL{cmd}`  | first asks Codex to run `cmd` (braces inside it must pair), then echoes  |
//! | `SPAWN`       | first asks Codex for a subagent, if it offers them, then echoes          |
//! | `CUT`         | sends the answer, but ends the stream before it is complete              |
//! | `FAIL400`     | 400; likewise `FAIL401`, `FAIL403`, `FAIL500`                            |
//! | `OVERLOADED`  | 503 `server_is_overloaded`                                               |
//! | `CONTEXT`     | 400 `context_length_exceeded`                                            |
//! | `NOMODEL`     | 404 `model_not_found`                                                    |
//! | `RATELIMIT`   | 429 without any hint of a usage limit                                    |
//! | `LIMITn`      | 429 `usage_limit_reached`, over n seconds after the first such answer;   |
//! |               | its headers have the windows of the limit, which reset in that second    |
//! | `LIMITX`      | 429 `usage_limit_reached` that does not say when it is over, for ever    |
//!
//! Codex may end before its subagent has asked anything: the request need not come.

// The tests need not use every part.
#![allow(dead_code)]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::{Value, json};

/// A running model service on 127.0.0.1, with one thread per connection.
///
/// Dropping it closes all connections, running answers included, and waits for the threads.
pub struct Model {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// One model request, as it came in. Codex makes one for each answer it wants, so a turn
/// with a tool call has two.
#[derive(Clone, Debug)]
pub struct Request {
    /// The newest real user message, context blocks left out; empty if there is none.
    pub last_user_text: String,
    /// All real user messages in the input, oldest first, context blocks left out.
    pub user_texts: Vec<String>,
    /// When the whole request had been read, before any wait for `SLEEPn`.
    pub at: Instant,
    /// The id of the session that asks, the same as in `thread.started`; a subagent has an id
    /// of its own.
    pub session: String,
    /// The whole JSON body: an object with `model`, `input` (an array), `tools` and so on.
    pub body: Value,
}

/// The state that all threads of a model share.
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Vec<Request>>,
    /// When the usage limit ends, really and as the answers say (Unix seconds). None before
    /// the first `LIMITn`.
    limit: Mutex<Option<(Instant, u64)>>,
    /// Starts at the wall clock's nanoseconds: a session may outlive the model it began
    /// with, and the ids in its history must not come up again from the next one.
    next_id: AtomicU64,
    /// Asked before the steering words are.
    script: Option<Script>,
}

/// A script: the items of an answer, or the HTTP status and the code of a failure; `None` for the answer that the
/// steering words ask for. It gets the body of each request and the newest user message.
pub type Script = Box<dyn Fn(&Value, &str) -> Option<Result<Vec<Value>, (u16, &'static str)>> + Send + Sync>;

impl Model {
    /// Starts a model on a free port. It takes requests as soon as this returns.
    pub fn start() -> Model {
        Model::with(None)
    }

    /// Starts a model that does what a script says. It gives the items their ids.
    pub fn scripted(script: Script) -> Model {
        Model::with(Some(script))
    }

    fn with(script: Option<Script>) -> Model {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("no free port");
        let port = listener.local_addr().expect("no local address").port();
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            seen: Mutex::default(),
            limit: Mutex::default(),
            next_id: AtomicU64::new(unix_time().as_nanos() as u64),
            script,
        });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = Some(thread::spawn(move || accept(&listener, &for_acceptor)));
        Model { port, shared, acceptor }
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The text of a `config.toml` that makes a Codex home use this model.
    ///
    /// The text ends inside a table, so keys of the top level have to be put before it and further
    /// tables after it. Codex is told not to retry: the first failure is the turn's failure.
    pub fn config_toml(&self) -> String {
        format!(
            r#"model = "gpt-5"
model_provider = "mock"

[model_providers.mock]
name = "mock"
base_url = "http://127.0.0.1:{}/v1"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"#,
            self.port
        )
    }

    /// Every model request seen so far, in order of arrival, unanswered ones included.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Nothing else wakes a thread that waits for a connection.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// Serves connections until the model is dropped; all of them have ended when this returns.
fn accept(listener: &TcpListener, shared: &Shared) {
    thread::scope(|scope| {
        // Weak, because a connection has to close when its own thread is done with it.
        let mut open: Vec<Weak<TcpStream>> = Vec::new();
        for stream in listener.incoming() {
            if shared.stop.load(Ordering::SeqCst) {
                break;
            }
            let Ok(stream) = stream.map(Arc::new) else {
                continue;
            };
            open.retain(|other| other.strong_count() > 0);
            open.push(Arc::downgrade(&stream));
            // An error means that the client has gone, which it may do at any time.
            scope.spawn(move || serve(&stream, shared).ok());
        }
        for stream in open.iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}

/// A request of any kind, read to its end.
#[derive(Default)]
struct Http {
    /// Method, path and version.
    line: String,
    /// Names in lower case.
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

/// Answers the requests of one connection, one after the other, until the client closes it.
fn serve(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    while let Some(http) = read_request(&mut input)? {
        let (status, body) = answer(&http, stream, shared)?;
        let events = body.starts_with("event:");
        let kind = if events { "text/event-stream" } else { "application/json" };
        let length = body.len();
        let windows = if status == 429 { limit_headers(&body) } else { String::new() };
        let head = format!("content-type: {kind}\r\ncontent-length: {length}\r\n{windows}");
        let text = format!("HTTP/1.1 {status} -\r\n{head}\r\n{body}");
        stream.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// Reads one request; None if the client closed the connection before its end. A body must
/// have a length, which all that Codex sends have.
fn read_request(input: &mut impl BufRead) -> io::Result<Option<Http>> {
    let mut http = Http::default();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        } else if http.line.is_empty() {
            http.line = line.to_owned();
        } else if let Some((name, value)) = line.split_once(':') {
            let value = value.trim().to_owned();
            http.headers.insert(name.to_ascii_lowercase(), value);
        }
    }
    let length = http.headers.get("content-length");
    let length = length.and_then(|l| l.parse().ok()).unwrap_or(0);
    // The memory grows with what really arrives, not with what was announced.
    let got = input.by_ref().take(length).read_to_end(&mut http.body)?;
    Ok((got as u64 == length).then_some(http))
}

/// Waits; an error if the client goes away meanwhile.
fn wait(stream: &TcpStream, time: Duration) -> io::Result<()> {
    let until = Instant::now() + time;
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    while Instant::now() < until {
        // A client that waits for its answer sends nothing: there is the end to read, or
        // nothing until the time-out, which is an error.
        if matches!(stream.peek(&mut [0]), Ok(0)) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
    }
    stream.set_read_timeout(None)
}

/// An HTTP status, and a body: an event stream or JSON.
type Reply = (u16, String);

/// The answer to any request: the model's for `POST …/responses`, an empty list for a GET
/// (how Codex asks for the models, if at all), a refusal for all else.
fn answer(http: &Http, stream: &TcpStream, shared: &Shared) -> io::Result<Reply> {
    if http.headers.contains_key("upgrade") {
        // The status 426 makes Codex fall back from websockets to plain HTTP.
        return Ok(failure(426, "upgrade_required"));
    }
    if http.line.starts_with("GET ") {
        return Ok((200, json!({"models": [], "data": []}).to_string()));
    }
    if !http.line.starts_with("POST /v1/responses ") {
        return Ok(failure(404, "not_found"));
    }
    let Ok(body) = serde_json::from_slice::<Value>(&http.body) else {
        return Ok(failure(400, "invalid_json"));
    };
    let (user_texts, worked) = read_input(&body["input"]);
    let text = user_texts.last().cloned().unwrap_or_default();
    let header = |name| http.headers.get(name).cloned();
    // The first is the newer name.
    let session = header("thread-id").or_else(|| header("session_id"));
    let mut seen = shared.seen.lock().unwrap();
    seen.push(Request {
        last_user_text: text.clone(),
        user_texts,
        // Taken under the lock, so that the times never go back in the list.
        at: Instant::now(),
        session: session.unwrap_or_default(),
        body: body.clone(),
    });
    drop(seen);

    if let Some(scripted) = shared.script.as_ref().and_then(|script| script(&body, &text)) {
        return Ok(match scripted {
            Ok(items) => (200, events_of(shared, items, true)),
            Err((status, code)) => failure(status, code),
        });
    }
    let (rest, command) = split_shell(&text);
    let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
    let words: Vec<&str> = words.collect();
    let has = |word| words.contains(&word);
    let number = |word: &str| {
        let mut words = words.iter();
        words.find_map(|w| w.strip_prefix(word)?.parse::<u32>().ok())
    };

    if let Some(seconds) = number("SLEEP") {
        wait(stream, Duration::from_secs(seconds.into()))?;
    }
    if has("LIMITX") {
        return Ok(usage_limit(None));
    }
    if let Some(resets_at) = number("LIMIT").and_then(|seconds| shared.limited(seconds)) {
        return Ok(usage_limit(Some(resets_at)));
    }
    if let Some((_, status, code)) = FAILURES.iter().find(|(word, ..)| has(word)) {
        return Ok(failure(*status, code));
    }

    // Codex comes back with a tool's output and the same user message: ask only once.
    let ask = !worked && (command.is_some() || has("SPAWN"));
    let call = ask.then(|| shared.tool_call(&body["tools"], command.as_deref()));
    let item = call.flatten().unwrap_or_else(|| {
        let content = json!([{"type": "output_text", "text": format!("echo: {text}")}]);
        json!({"type": "message", "role": "assistant", "content": content})
    });
    Ok((200, events_of(shared, vec![item], !has("CUT"))))
}

/// The events of an answer with these items.
fn events_of(shared: &Shared, items: Vec<Value>, is_complete: bool) -> String {
    let id = shared.id("resp");
    let mut events = event(&json!({"type": "response.created", "response": {"id": id}}));
    for mut item in items {
        let kind = item["type"].as_str().unwrap_or_default().to_owned();
        let prefix = match &*kind {
            "message" => "msg",
            "function_call" => "fc",
            "custom_tool_call" => "ctc",
            "reasoning" => "rs",
            _ => "ws",
        };
        item["id"] = shared.id(prefix).into();
        if kind.ends_with("tool_call") || kind == "function_call" {
            item["call_id"] = shared.id("call").into();
        }
        events += &event(&json!({"type": "response.output_item.done", "item": item}));
    }
    if is_complete {
        // Always the same numbers, so that sums over turns can be foretold.
        let usage = json!({
            "input_tokens": 100, "input_tokens_details": {"cached_tokens": 10},
            "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 107,
        });
        let response = json!({"id": id, "usage": usage});
        events += &event(&json!({"type": "response.completed", "response": response}));
    }
    events
}

/// Steering word, HTTP status, the error's code.
const FAILURES: [(&str, u16, &str); 8] = [
    ("FAIL400", 400, "invalid_request_error"),
    ("FAIL401", 401, "invalid_api_key"),
    ("FAIL403", 403, "forbidden"),
    ("FAIL500", 500, "server_error"),
    ("OVERLOADED", 503, "server_is_overloaded"),
    ("CONTEXT", 400, "context_length_exceeded"),
    ("NOMODEL", 404, "model_not_found"),
    ("RATELIMIT", 429, "rate_limit_exceeded"),
];

fn failure(status: u16, code: &str) -> Reply {
    // Codex looks at the type in some places and at the code in others.
    let error = json!({"type": code, "code": code, "message": format!("refused: {code}")});
    (status, json!({"error": error}).to_string())
}

fn usage_limit(resets_at: Option<u64>) -> Reply {
    let mut error = json!({"type": "usage_limit_reached", "message": "the limit is reached"});
    if let Some(resets_at) = resets_at {
        // Codex words a limit by the plan, if it knows the plan: one kind has it and the
        // other has not, so that tests meet both wordings.
        error["plan_type"] = "plus".into();
        error["resets_at"] = resets_at.into();
    }
    (429, json!({"error": error}).to_string())
}

/// The headers of an answer to a used-up limit, as the service sends them: the windows and the second in which each
/// resets. Empty unless the answer says when the limit resets.
fn limit_headers(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let Some(resets_at) = body["error"]["resets_at"].as_u64() else { return String::new() };
    let windows = [("primary", 100, 300, resets_at), ("secondary", 40, 10_080, resets_at + 86_400)];
    let header = |(name, used, minutes, at)| {
        format!(
            "x-codex-{name}-used-percent: {used}\r\nx-codex-{name}-window-minutes: {minutes}\r\n\
             x-codex-{name}-reset-at: {at}\r\n"
        )
    };
    windows.map(header).concat()
}

fn event(data: &Value) -> String {
    let kind = data["type"].as_str().unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n")
}

impl Shared {
    /// An id that no other model has given out either.
    fn id(&self, kind: &str) -> String {
        let n = self.next_id.fetch_add(1, Ordering::Relaxed);
        format!("{kind}_{n:016x}")
    }

    /// When the usage limit is over, in Unix seconds; None if it is over already. The first
    /// call sets it, `seconds` from now.
    fn limited(&self, seconds: u32) -> Option<u64> {
        let mut limit = self.limit.lock().unwrap();
        let (end, resets_at) = *limit.get_or_insert_with(|| {
            let length = Duration::from_secs(seconds.into());
            let end = unix_time() + length;
            // Rounded up, since a request at the reported time must not be refused again.
            (Instant::now() + length, end.as_secs() + 1)
        });
        (Instant::now() < end).then_some(resets_at)
    }

    /// A call of the first of the offered tools that can run the command or, without a
    /// command, start a subagent. A tool in a namespace is called by both names.
    fn tool_call(&self, tools: &Value, command: Option<&str>) -> Option<Value> {
        for entry in tools.as_array()? {
            let namespace = entry["tools"].as_array();
            for tool in namespace.map_or(slice::from_ref(entry), Vec::as_slice) {
                if let Some(arguments) = tool_arguments(tool, command) {
                    let mut call = json!({
                        "type": "function_call", "name": tool["name"], "arguments": arguments.to_string(),
                    });
                    if namespace.is_some() {
                        call["namespace"] = entry["name"].clone();
                    }
                    return Some(call);
                }
            }
        }
        None
    }
}

/// The time since 1970.
fn unix_time() -> Duration {
    UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// The real user messages of a request's `input`, and whether a tool has worked since the
/// last of them.
fn read_input(input: &Value) -> (Vec<String>, bool) {
    let mut texts = Vec::new();
    let mut worked = false;
    for item in input.as_array().into_iter().flatten() {
        let kind = item["type"].as_str().unwrap_or("message");
        worked |= kind.ends_with("call_output");
        if kind != "message" || item["role"] != "user" {
            continue;
        }
        let parts = item["content"].as_array().into_iter().flatten();
        let own: Vec<&str> = parts
            .filter_map(|part| part["text"].as_str())
            .filter(|text| !CONTEXT.iter().any(|start| text.starts_with(start)))
            .collect();
        if !own.is_empty() {
            texts.push(own.join("\n"));
            worked = false;
        }
    }
    (texts, worked)
}

/// How the texts begin that Codex puts into the user's mouth.
const CONTEXT: [&str; 7] = [
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md instructions for ",
    "<turn_aborted>",
    "<subagent_notification>",
    // Tags around an image; the first one has attributes.
    "<image",
    "</image>",
];

/// Takes the first `SHELL{command}` out of a text: the rest, and the command. A command
/// without its closing brace is no command.
fn split_shell(text: &str) -> (String, Option<String>) {
    const START: &str = "SHELL{";
    if let Some(start) = text.find(START) {
        let (before, inner) = (&text[..start], &text[start + START.len()..]);
        let mut depth = 1;
        for (at, c) in inner.char_indices() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 {
                let rest = before.to_owned() + " " + &inner[at + 1..];
                return (rest, Some(inner[..at].to_owned()));
            }
        }
    }
    (text.to_owned(), None)
}

/// The arguments of a call of a tool; None if the model never calls it. The shell tool's name and
/// arguments differ with the version and settings of Codex.
fn tool_arguments(tool: &Value, command: Option<&str>) -> Option<Value> {
    let mut arguments = match (tool["name"].as_str()?, command) {
        ("exec_command", Some(command)) => json!({"cmd": command}),
        ("shell_command", Some(command)) => json!({"command": command}),
        ("shell", Some(command)) => json!({"command": ["bash", "-lc", command]}),
        // No steering words, so the subagent just echoes.
        ("spawn_agent", None) => json!({"message": "subtask: look around"}),
        _ => return None,
    };
    if !tool["parameters"]["properties"]["task_name"].is_null() {
        arguments["task_name"] = "look_around".into();
    }
    Some(arguments)
}
