//! Whole transfers in virtual time.

mod ahead;
mod capture;
mod flood;
mod house;
mod killed;
mod networks;
mod stall;
