//! A running app-server of the real Codex.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::world::real::Real;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct App {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// Messages that were not waited for yet.
    kept: VecDeque<Value>,
    requests: u32,
}

impl App {
    pub fn start(codex: &Real) -> App {
        let mut command = codex.command("alpha");
        command.arg("app-server").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                // The receiver is gone when the test has failed.
                let Ok(()) = sender.send(serde_json::from_str(&line).unwrap()) else { break };
            }
        });
        let stdin = child.stdin.take();
        let mut app = App { child, stdin, lines, kept: VecDeque::new(), requests: 0 };
        let client = json!({"name": "test", "title": "test", "version": "0"});
        app.call("initialize", &json!({"clientInfo": client, "capabilities": {"experimentalApi": true}}));
        app.send(&json!({"method": "initialized"}));
        app
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    /// Sends a request and gives its result.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({"id": id, "method": method, "params": params}));
        let answer = self.until(method, |message| message["id"] == id && message["method"].is_null());
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Waits for a message of the server, and takes it. The others can be waited for later.
    pub fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&is_it) {
            return self.kept.remove(at).unwrap();
        }
        loop {
            let message = self.lines.recv_timeout(PATIENCE);
            let message = message.unwrap_or_else(|error| panic!("{error} in {what}: {:?}", self.kept));
            if is_it(&message) {
                return message;
            }
            self.kept.push_back(message);
        }
    }

    /// Waits for the end of a turn of a session.
    pub fn end_of_turn(&mut self, session: &str) -> Value {
        let is_end = |message: &Value| {
            message["method"] == "turn/completed" && message["params"]["threadId"] == session
        };
        self.until("the end of a turn", is_end)["params"]["turn"].clone()
    }

    /// Answers the next request of the server.
    pub fn answer(&mut self, method: &str, result: &Value) {
        let request = self.until(method, |message| message["method"] == method);
        self.send(&json!({"id": request["id"], "result": result}));
    }
}

impl Drop for App {
    /// The server ends with its input.
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}
