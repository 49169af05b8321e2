//! HTTP/2 over TLS, frame by frame: what is sent is what the test wrote. TLS and reading are Python's.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Answer, Dev, End, Frame, HOST, Identity, Scripted};

/// Connections, held by one process.
pub struct Http2 {
    process: Mutex<Scripted>,
    address: String,
    ca: String,
}

/// What came on one stream.
#[derive(Debug, Clone)]
pub struct Stream {
    pub answer: Answer,
    pub trailers: Vec<(String, String)>,
    /// The code with which the stream was reset (RFC 9113 §7).
    pub reset: Option<u64>,
}

/// What came on a connection.
#[derive(Debug, Clone)]
pub struct Heard(pub Value);

impl Http2 {
    pub fn with(dev: &Dev) -> Self {
        let ca = dev.ca().to_str().expect("a plain path").to_owned();
        Self { process: Mutex::new(Scripted::start("http2.py")), address: dev.secure().to_owned(), ca }
    }

    fn ask(&self, question: &Value) -> Value {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).ask(question)
    }

    /// Opens a connection of this number.
    pub fn open(&self, conn: u32, identity: Option<&Identity>) {
        self.open_with(conn, identity, json!({}));
    }

    /// `more`: `window`, what the caller takes of each stream before it says that it takes more, which it never does then;
    /// `quiet`: it acknowledges nothing.
    pub fn open_with(&self, conn: u32, identity: Option<&Identity>, more: Value) {
        let mut asked = json!({"do": "open", "conn": conn, "address": self.address, "ca": self.ca, "host": HOST});
        if let Some(identity) = identity {
            asked["cert"] = json!(identity.cert);
            asked["key"] = json!(identity.key);
        }
        for (name, value) in more.as_object().expect("an object") {
            asked[name] = value.clone();
        }
        let opened = self.ask(&asked);
        assert!(opened["closed"].is_null(), "the handshake failed: {opened}");
    }

    pub fn close(&self, conn: u32) {
        self.ask(&json!({"do": "close", "conn": conn}));
    }

    /// Sends; false if the peer has closed.
    pub fn send(&self, conn: u32, frames: &[Frame]) -> bool {
        self.ask(&json!({"do": "send", "conn": conn, "send": hex(frames)}))["sent"] == true
    }

    /// Sends the frames so many times, their streams `step` further each time, until the peer has enough of it. Says whether it had.
    pub fn pour(&self, conn: u32, frames: &[Frame], times: u32, step: u32) -> Value {
        self.ask(&json!({"do": "pour", "conn": conn, "send": hex(frames), "times": times, "step": step}))
    }

    /// Reads until there is `end:STREAM`, `answer:STREAM`, `end-or-goaway:STREAM`, `goaway` or `closed`.
    pub fn read(&self, conn: u32, until: &str) -> Heard {
        Heard(self.ask(&json!({"do": "read", "conn": conn, "until": until, "within": 15})))
    }

    /// One whole request on a connection that is open, and what comes of it.
    pub fn exchange(&self, conn: u32, stream: u32, method: &str, target: &str, more: &[(&str, &str)]) -> Answer {
        let mut fields = head(method, target);
        fields.extend(more);
        self.send(conn, &[Frame::request(stream, &fields)]);
        self.read(conn, &format!("end:{stream}")).stream(stream).answer
    }
}

/// The fields that every request begins with.
pub fn head<'a>(method: &'a str, target: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![(":method", method), (":scheme", "https"), (":authority", HOST), (":path", target)]
}

impl Heard {
    /// What came on a stream; nothing came if its status is 0.
    pub fn stream(&self, number: u32) -> Stream {
        let entry = &self.0["streams"][number.to_string()];
        let pairs = |name: &str| {
            let pair = |pair: &Value| (text(&pair[0]), text(&pair[1]));
            entry[name].as_array().into_iter().flatten().map(pair).collect::<Vec<_>>()
        };
        let end = match (entry["ended"].as_bool(), entry["reset"].as_u64()) {
            (Some(true), _) => End::Whole,
            (_, Some(_)) => End::CutShort,
            _ if self.0["closed"].is_string() => End::Closed,
            _ => End::TimedOut,
        };
        let status = u16::try_from(entry["status"].as_u64().unwrap_or(0)).expect("a status");
        let headers = pairs("headers");
        let head = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let body = text(&entry["body"]).chars().map(|c| c as u8).collect();
        let interim = entry["interim"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        let interim = interim.map(|status| u16::try_from(status).expect("a status")).collect();
        Stream {
            answer: Answer { status, head, headers, body, interim, end },
            trailers: pairs("trailers"),
            reset: entry["reset"].as_u64(),
        }
    }

    pub fn goaway(&self) -> Option<u64> {
        self.0["goaway"].as_u64()
    }

    pub fn is_closed(&self) -> bool {
        self.0["closed"].is_string()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn hex(frames: &[Frame]) -> String {
    frames.iter().flat_map(Frame::bytes).map(|byte| format!("{byte:02x}")).collect()
}
