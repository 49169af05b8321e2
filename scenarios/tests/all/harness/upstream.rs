//! An upstream in the test's own process. It keeps every byte that reaches it, and misbehaves as the query asks.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http::find;
use super::until;

/// One request that reached the upstream.
#[derive(Debug, Clone)]
pub struct Reached {
    /// Request line and headers, exactly.
    pub head: String,
    /// What followed the head, as it was framed.
    pub body: Vec<u8>,
}

impl Reached {
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Everything that arrived, and whether to go on.
#[derive(Default)]
struct Shared {
    bytes: Mutex<Vec<u8>>,
    reached: Mutex<Vec<Reached>>,
    stop: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
}

/// Listens on loopback until dropped.
pub struct Upstream {
    pub url: String,
    shared: Arc<Shared>,
}

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let inner = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if inner.stop.load(Ordering::Acquire) {
                    return;
                }
                let shared = Arc::clone(&inner);
                thread::spawn(move || {
                    let handle = stream.try_clone().expect("a second handle");
                    serve(stream, &shared);
                    // it is open as long as any handle of it
                    let _ = handle.shutdown(Shutdown::Both);
                });
            }
        });
        Self { url: format!("http://{address}"), shared }
    }

    /// Every byte so far, of all connections.
    pub fn bytes(&self) -> Vec<u8> {
        self.shared.bytes.lock().expect("not poisoned").clone()
    }

    pub fn reached(&self) -> Vec<Reached> {
        self.shared.reached.lock().expect("not poisoned").clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }

    /// Closes every connection.
    pub fn hang_up(&self) {
        for stream in self.shared.open.lock().expect("not poisoned").drain(..) {
            // it may be closed already
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The only request whose target contains `mark`.
    #[track_caller]
    pub fn only(&self, mark: &str) -> Reached {
        let found = || self.reached().into_iter().filter(|reached| reached.target().contains(mark)).collect::<Vec<_>>();
        let mut found = until(mark, || Some(found()).filter(|found| !found.is_empty()));
        assert_eq!(found.len(), 1, "{mark}: {found:?}");
        found.remove(0)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // wakes the listener, so that it sees the end
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut buffer = Vec::new();
    // an upstream that is not asked any more goes
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    let _ = stream.set_nodelay(true);
    shared.accepted.fetch_add(1, Ordering::AcqRel);
    shared.open.lock().expect("not poisoned").push(stream.try_clone().expect("a second handle"));
    loop {
        let Some(end) = fill(&mut stream, &mut buffer, shared, |b| find(b, b"\r\n\r\n").map(|at| at + 4)) else {
            return;
        };
        let head = String::from_utf8_lossy(&buffer.drain(..end).collect::<Vec<_>>()).into_owned();
        let entry = Reached { head, body: Vec::new() };
        let at = {
            // the head counts as reached before its body is read
            let mut reached = shared.reached.lock().expect("not poisoned");
            reached.push(entry.clone());
            reached.len() - 1
        };
        let Some(end) = fill(&mut stream, &mut buffer, shared, |bytes| framed(&entry, bytes)) else { return };
        let body: Vec<u8> = buffer.drain(..end).collect();
        shared.reached.lock().expect("not poisoned")[at].body = body;
        if shared.stop.load(Ordering::Acquire) || !reply(&mut stream, &entry) {
            return;
        }
    }
}

/// Reads until `enough` says where it ends.
fn fill(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    shared: &Shared,
    enough: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    loop {
        if let Some(end) = enough(buffer) {
            return Some(end);
        }
        let mut bytes = [0; 16 * 1024];
        let read = stream.read(&mut bytes).ok().filter(|read| *read > 0)?;
        shared.bytes.lock().expect("not poisoned").extend_from_slice(&bytes[..read]);
        buffer.extend_from_slice(&bytes[..read]);
    }
}

/// Where the body ends, if it has.
fn framed(entry: &Reached, bytes: &[u8]) -> Option<usize> {
    if entry.header("transfer-encoding").is_some() {
        return chunks(bytes);
    }
    let length = entry.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    (bytes.len() >= length).then_some(length)
}

/// Where the last chunk ends, and the trailers behind it.
fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("text").split(';').next().expect("one part");
        let size = usize::from_str_radix(size, 16).expect("a size");
        at += line + 2;
        if size == 0 {
            // no trailers, or some
            return match bytes.get(at..at + 2) {
                Some(b"\r\n") => Some(at + 2),
                _ => find(&bytes[at..], b"\r\n\r\n").map(|end| at + end + 4),
            };
        }
        at += size + 2;
        if at > bytes.len() {
            return None;
        }
    }
}

/// Answers as the query asks; false if the connection is to close.
fn reply(stream: &mut TcpStream, entry: &Reached) -> bool {
    let query = entry.target().split_once('?').map_or("", |(_, query)| query).to_owned();
    let (name, value) = query.split_once('=').unwrap_or((&query, ""));
    let number: usize = value.parse().unwrap_or(0);
    let plain = |lines: &str| {
        let body = if entry.line().starts_with("HEAD ") { "" } else { "{\"invoice\":\"1\"}" };
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{lines}content-length: 15\r\n\r\n{body}")
    };
    let answer = match name {
        "slow" => {
            thread::sleep(Duration::from_millis(number as u64));
            plain("")
        }
        "short" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes.".to_owned(),
        "chunked" => {
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".to_owned()
        }
        "trailers" => {
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ncountersign-record: forged\r\nx-sum: 7\r\n\r\n"
                .to_owned()
        }
        "status" => format!("HTTP/1.1 {number} as asked\r\netag: \"7\"\r\n\r\n"),
        "forged" => plain("countersign-record: 00000000000000000000000000000000\r\nCountersign-Code: forbidden\r\n"),
        "hop" => plain("connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nx-kept: yes\r\n"),
        "early" => format!("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{}", plain("")),
        "switch" => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_owned(),
        "garbage" => "this is not HTTP\r\n\r\n".to_owned(),
        "big" => return big(stream, number),
        "endless" => return endless(stream),
        _ => plain(""),
    };
    let sent = stream.write_all(answer.as_bytes()).is_ok();
    sent && !matches!(name, "short" | "switch" | "garbage")
}

/// Streams that many bytes, until the reader leaves.
fn big(stream: &mut TcpStream, bytes: usize) -> bool {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
    let block = [b'x'; 64 * 1024];
    let mut left = bytes;
    let mut sent = stream.write_all(head.as_bytes()).is_ok();
    while sent && left > 0 {
        let part = left.min(block.len());
        sent = stream.write_all(&block[..part]).is_ok();
        left -= part;
    }
    sent
}

/// Streams until the reader leaves.
fn endless(stream: &mut TcpStream) -> bool {
    let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_ok();
    while sent {
        thread::sleep(Duration::from_millis(20));
        sent = stream.write_all(b"5\r\nhello\r\n").is_ok();
    }
    false
}
