//! Peers written in Python: one JSON document a line in, one out.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use super::peer;
use super::process::{command, end};

/// A process that answers; ended when dropped. It ends by itself too when this process does, for its input ends then.
pub struct Scripted {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    child: Child,
}

impl Scripted {
    /// Starts `peers/NAME`.
    pub fn start(name: &str) -> Self {
        let python = peer("COUNTERSIGN_TEST_PYTHON", "a Python with PyJWT, cryptography and h2, as `./test` pins them");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name);
        let mut python = command(&python, &["-u", script.to_str().expect("a plain path")]);
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python starts");
        let (to, from) = (child.stdin.take().expect("piped"), BufReader::new(child.stdout.take().expect("piped")));
        Self { to, from, child }
    }

    #[track_caller]
    pub fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.to, "{question}").expect("the peer runs");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the peer answers");
        let answer: Value =
            serde_json::from_str(&line).expect("one document a line; its libraries have to be installed");
        assert!(answer["error"].is_null(), "{question}: {answer}");
        answer
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
