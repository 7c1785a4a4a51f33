//! What a tool and the tool of the same name on a host say to each other.
//!
//! The command on the host is `codex-agent TOOL --serve`. Its first line of standard input is a [`Request`], with the
//! arguments; records follow if the request says so. Its first line of output is empty, in case that a greeting of the
//! host ended without a newline; the second one is a [`Hello`], and the output of the tool follows. The exit status is
//! that of the tool.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// The flag that makes a tool serve a request.
pub const SERVE: &str = "--serve";

/// The arguments of a tool on a host, and how its output is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// `host.request`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the protocol.
    pub protocol: u32,
    /// The name by which the user calls the host.
    pub host: String,
    /// The arguments of the tool.
    pub arguments: Vec<String>,
    /// The working directory; null for any.
    pub cwd: Option<String>,
    /// Whether records or references follow.
    pub input: bool,
    /// The columns of the terminal that shows the output; null if it is not shown on a terminal.
    pub columns: Option<usize>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `host.hello`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of the protocol.
    pub protocol: u32,
    /// The version of codex-agent.
    pub version: String,
}

/// The type of [`Request`].
const REQUEST: &str = "host.request";

/// The type of [`Hello`].
const HELLO: &str = "host.hello";

impl Request {
    /// A request with these arguments.
    pub fn new(host: &str, arguments: Vec<String>) -> Request {
        let (kind, host) = (REQUEST.to_owned(), host.to_owned());
        Request { kind, protocol: PROTOCOL, host, arguments, ..Request::default() }
    }

    /// Reads the line of a request.
    pub fn parse(line: &str) -> Result<Request> {
        let request: Request = serde_json::from_str(line).map_err(|_| {
            Error::usage(format!("{SERVE} expects a record of type {REQUEST} on standard input"))
        })?;
        match request.kind.as_str() {
            REQUEST if request.protocol == PROTOCOL => Ok(request),
            REQUEST => Err(Error::usage(format!(
                "cannot serve protocol {}: this version of codex-agent has protocol {PROTOCOL}",
                request.protocol
            ))),
            other => Err(Error::usage(format!("{SERVE} expects a record of type {REQUEST}, not '{other}'"))),
        }
    }
}

impl Hello {
    /// The answer of this process.
    pub fn own() -> Hello {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Hello { kind: HELLO.to_owned(), protocol: PROTOCOL, version }
    }

    /// Reads a line; `None` for any other line, such as one of a greeting.
    pub fn parse(line: &[u8]) -> Option<Hello> {
        let hello: Hello = serde_json::from_slice(line).ok()?;
        (hello.kind == HELLO).then_some(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_read_as_they_were_written() {
        let request = Request { columns: Some(80), ..Request::new("h1", vec!["-n".into(), "a\nb".into()]) };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(Request::parse(&line).unwrap(), request);
        assert!(!line.contains('\n'));
        // A later version may send more.
        let more = line.replacen('{', "{\"more\":1,", 1);
        assert_eq!(Request::parse(&more).unwrap(), request);
        for bad in
            ["", "ls", "{}", "{\"type\":\"session\"}", &line.replace("\"protocol\":1", "\"protocol\":2")]
        {
            assert!(Request::parse(bad).is_err(), "{bad}");
        }
        let hello = serde_json::to_vec(&Hello::own()).unwrap();
        assert_eq!(Hello::parse(&hello), Some(Hello::own()));
        assert_eq!(Hello::parse(b"Welcome to h1!"), None);
        assert_eq!(Hello::parse(b"{\"type\":\"session\",\"protocol\":1,\"version\":\"1\"}"), None);
    }
}
