//! Records that every test of this crate needs.

mod chain;
mod checkpoint;
mod frame;
mod line;
mod samples;
