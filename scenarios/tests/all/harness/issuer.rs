//! An issuer's key server in the test's own process: it counts who asks, and answers as the story needs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// How long a document claims to be that never ends, in bytes.
const MUCH: usize = 200 << 20;

/// What the issuer answers.
#[derive(Clone)]
pub enum Says {
    /// These keys.
    Keys(Vec<Value>),
    /// These bytes.
    Bytes(String),
    /// Megabytes of nothing, for as long as they are read.
    Endless,
    /// A byte now and then.
    Drip,
    /// Nothing: it hangs up.
    Down,
}

/// Listens on loopback until dropped.
pub struct Issuer {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    says: Mutex<Says>,
    asked: AtomicUsize,
    stop: AtomicBool,
}

impl Issuer {
    pub fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/jwks", listener.local_addr().expect("an address"));
        let shared =
            Arc::new(Shared { says: Mutex::new(says), asked: AtomicUsize::new(0), stop: AtomicBool::new(false) });
        let inner = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if inner.stop.load(Ordering::Acquire) {
                    return;
                }
                let inner = Arc::clone(&inner);
                thread::spawn(move || inner.answer(stream));
            }
        });
        Self { url, shared }
    }

    pub fn says(&self, says: Says) {
        *self.shared.says.lock().expect("no holder panics") = says;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Acquire)
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) {
        self.asked.fetch_add(1, Ordering::AcqRel);
        let says = self.says.lock().expect("no holder panics").clone();
        if !matches!(says, Says::Down) {
            // what it asks for makes no difference
            let _ = stream.read(&mut [0; 4096]);
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
        let (text, part, pause) = match says {
            Says::Keys(keys) => {
                let body = json!({ "keys": keys }).to_string();
                (format!("{head}content-length: {}\r\n\r\n{body}", body.len()), Vec::new(), Duration::ZERO)
            }
            Says::Bytes(bytes) => (bytes, Vec::new(), Duration::ZERO),
            Says::Endless => (format!("{head}content-length: {MUCH}\r\n\r\n"), vec![b' '; 1 << 20], Duration::ZERO),
            Says::Drip => (format!("{head}content-length: {MUCH}\r\n\r\n"), vec![b' '], Duration::from_millis(100)),
            Says::Down => return,
        };
        // whoever hung up wanted no more
        let mut sent = stream.write_all(text.as_bytes());
        while sent.is_ok() && !part.is_empty() && !self.stop.load(Ordering::Acquire) {
            thread::sleep(pause);
            sent = stream.write_all(&part);
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // wakes the listener, so that it sees
        let _ = TcpStream::connect(self.url.trim_start_matches("http://").trim_end_matches("/jwks"));
    }
}
