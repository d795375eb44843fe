//! Whole transfers in virtual time: server, client and network on one thread and one clock.

mod capture;
mod early;
mod fixture;
mod flood;
mod networks;
mod places;
mod restarts;
mod stall;
