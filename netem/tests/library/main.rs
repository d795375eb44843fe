//! The library seen from outside: profiles, recordings, captures, the virtual world, and the
//! documents that say what it can do.

mod accuracy;
mod features;
mod parameters;
mod pcapng;
mod profile;
mod seeds;
mod tc;
mod world_network;
mod world_tasks;
