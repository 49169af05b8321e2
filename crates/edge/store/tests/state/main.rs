//! What the state promises, shown on both engines by one suite, and what each does when it is damaged, killed or away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod node;
mod place;
mod postgres;
mod silent;
mod sqlite;
mod suite;
mod writer;
