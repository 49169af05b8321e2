//! Estates that do not load: said with place, reason and mending, and what is in force stays in force.

mod applying;
mod checking;
mod described;
mod environments;
mod kept;
