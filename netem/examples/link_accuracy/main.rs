//! Measures every model of the link against its formula.
//!
//! `cargo run --release -p lftp-netem --example link_accuracy -- [PACKETS] [SEED]` sends ten
//! million packets, or as many as given, through every model and prints the profile, the
//! expected value, the measured one, and the interval in which the latter is with a probability of
//! 99.9 %. It fails if anything is outside; by chance one seed in twenty has something outside.

mod accuracy;

use std::{error::Error, process::ExitCode};

const PACKETS: u64 = 10_000_000;
const SEED: u64 = 1;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (packets, seed) = (number(PACKETS)?, number(SEED)?);
    println!("{packets} packets a model, seed {seed}, intervals of 99.9 %\n");
    println!("{}", accuracy::Row::HEADER);
    let mut outside = 0;
    accuracy::rows(packets, seed, |row| {
        println!("{row}");
        outside += u32::from(!row.is_inside());
    });
    println!("\n{outside} outside");
    Ok(if outside == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
