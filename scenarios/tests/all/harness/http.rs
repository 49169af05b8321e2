//! HTTP/1.1 as bytes: what is sent is what the test wrote, and the reader says how an answer ended.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::HOST;
use super::tls::Secured;

/// How long an answer may take.
const BOUND: Duration = Duration::from_secs(8);
/// Most bytes of an answer that are kept.
const MOST: usize = 64 << 20;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Whole,
    /// The connection closed before an answer came.
    Closed,
    TimedOut,
    Garbage,
    /// The body broke off.
    CutShort,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 0 if none came.
    pub status: u16,
    /// Status line and headers, exactly.
    pub head: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub interim: Vec<u16>,
    pub end: End,
}

impl Answer {
    fn none(end: End, interim: Vec<u16>) -> Self {
        Self { status: 0, head: String::new(), headers: Vec::new(), body: Vec::new(), interim, end }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Values of every header of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Id of the record.
    #[track_caller]
    pub fn record(&self) -> &str {
        self.header("countersign-record").unwrap_or_else(|| panic!("no record: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The problem's code; empty if the answer is none.
    pub fn code(&self) -> String {
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// It has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}", self.head, self.text());
        self
    }
}

/// One connection.
pub struct Conn {
    stream: Transport,
    buffer: Vec<u8>,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<Secured>),
}

impl Conn {
    pub fn open(address: &str) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub fn try_open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Transport::Plain(stream), buffer: Vec::new() })
    }

    /// Over TLS, once hands are shaken.
    pub fn over(secured: Secured) -> Self {
        Self { stream: Transport::Tls(Box::new(secured)), buffer: Vec::new() }
    }

    /// Sends; false if the peer has closed.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says that nothing more is sent.
    pub fn finish(&self) {
        // the peer may have closed already
        let _ = self.stream.tcp().shutdown(Shutdown::Write);
    }

    pub fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    /// Reads one answer to a request with this method.
    pub fn answer_to(&mut self, method: &str) -> Answer {
        let deadline = Instant::now() + BOUND;
        let mut interim = Vec::new();
        loop {
            let head = match self.head(deadline) {
                Ok(head) => head,
                Err(end) => return Answer::none(end, interim),
            };
            let Some(mut answer) = parse(&head) else { return Answer::none(End::Garbage, interim) };
            if (100..200).contains(&answer.status) && answer.status != 101 {
                interim.push(answer.status);
                continue;
            }
            answer.interim = interim;
            answer.end = self.body(method, &mut answer, deadline);
            return answer;
        }
    }

    fn head(&mut self, deadline: Instant) -> Result<String, End> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            match self.more(deadline) {
                Some(End::Closed) if !self.buffer.is_empty() => return Err(End::Garbage),
                Some(end) => return Err(end),
                None => {}
            }
        }
    }

    fn body(&mut self, method: &str, answer: &mut Answer, deadline: Instant) -> End {
        if method == "HEAD" || matches!(answer.status, 101 | 204 | 304) {
            return End::Whole;
        }
        if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return self.chunks(&mut answer.body, deadline);
        }
        let length = answer.header("content-length").map(|value| value.parse().expect("a length"));
        let Some(length) = length else {
            while self.more(deadline).is_none() {}
            answer.body.append(&mut self.buffer);
            return End::Whole;
        };
        self.exactly(length, &mut answer.body, deadline)
    }

    fn exactly(&mut self, length: usize, into: &mut Vec<u8>, deadline: Instant) -> End {
        while self.buffer.len() < length {
            if self.more(deadline).is_some() {
                into.append(&mut self.buffer);
                return End::CutShort;
            }
        }
        into.extend(self.buffer.drain(..length));
        End::Whole
    }

    fn chunks(&mut self, into: &mut Vec<u8>, deadline: Instant) -> End {
        loop {
            let Some(line) = self.line(deadline) else { return End::CutShort };
            let Ok(size) = usize::from_str_radix(line.trim(), 16) else { return End::Garbage };
            if size == 0 {
                while let Some(line) = self.line(deadline) {
                    if line.is_empty() {
                        return End::Whole;
                    }
                }
                return End::CutShort;
            }
            if self.exactly(size, into, deadline) != End::Whole || self.line(deadline).is_none() {
                return End::CutShort;
            }
        }
    }

    fn line(&mut self, deadline: Instant) -> Option<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.more(deadline).is_some() {
                return None;
            }
        }
    }

    /// Reads once; says why nothing came.
    fn more(&mut self, deadline: Instant) -> Option<End> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || self.buffer.len() > MOST {
            return Some(End::TimedOut);
        }
        self.stream.tcp().set_read_timeout(Some(left)).expect("a bound");
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => Some(End::Closed),
            Ok(read) => {
                self.buffer.extend_from_slice(&bytes[..read]);
                None
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Some(End::TimedOut),
            Err(_) => Some(End::Closed),
        }
    }
}

impl Transport {
    const fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(secured) => &secured.sock,
        }
    }
}

impl Read for Transport {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(bytes),
            Self::Tls(secured) => secured.read(bytes),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(secured) => secured.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(secured) => secured.flush(),
        }
    }
}

fn parse(head: &str) -> Option<Answer> {
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    let headers = lines.map(header).collect::<Option<_>>()?;
    Some(Answer { status, head: head.to_owned(), headers, body: Vec::new(), interim: Vec::new(), end: End::Whole })
}

pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A request as most callers write it.
pub fn request(method: &str, target: &str, token: Option<&str>, lines: &[&str]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n");
    if let Some(token) = token {
        text.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// One request on a connection of its own.
pub fn call(address: &str, method: &str, target: &str, token: Option<&str>, lines: &[&str]) -> Answer {
    let mut conn = Conn::open(address);
    conn.send(&request(method, target, token, lines));
    conn.answer_to(method)
}
