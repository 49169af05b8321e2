//! The ledger under attack: killed at any moment, flooded by strangers, tampered with, replayed after the policies changed.

mod checkpoint;
mod flood;
mod frames;
mod kills;
mod replay;
mod tampering;
