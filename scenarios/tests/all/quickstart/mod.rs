//! The first ten minutes: the promised answers, what `dev` leaves for programs, the edit loop, exit codes.

pub mod callers;
mod life;
mod verbs;
