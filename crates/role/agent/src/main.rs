//! The `countersign-agent` binary.

fn main() {}
