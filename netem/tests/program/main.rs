//! The program `netem`, and the proxy that it runs.

mod control;
mod exec;
mod outputs;
mod proxy;
mod reports;
mod shrink;
