//! The ledger under attack: killed at any moment, tampered with, replayed after the policies changed.

mod checkpoint;
mod frames;
mod kills;
mod replay;
mod tampering;
