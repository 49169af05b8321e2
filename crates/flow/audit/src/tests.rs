mod chain;
mod checkpoint;
mod frame;
mod line;
mod samples;
