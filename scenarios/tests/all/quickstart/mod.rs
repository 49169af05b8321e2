//! The first ten minutes: the promised answers, what `dev` leaves for programs, the edit loop, exit codes.

mod callers;
mod life;
mod verbs;
