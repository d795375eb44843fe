//! `cargo xtask loopback`: what a transport costs on the loopback interface, beside its peers.

use super::CommandError;
use crate::batch::median;
use crate::exit::Exit;
use crate::loopback::{Carrier, Lap};

/// Carry bulk data over real sockets on the loopback interface, each carrier in turn.
///
/// Every round runs all carriers, one after another, so that whatever else the machine does
/// meets them alike. Ratios carry over to other machines; seconds do not.
#[derive(Debug, clap::Args)]
pub(super) struct Loopback {
    /// Who carries; the first is what the others are compared with.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "NAMES",
        default_value = "lftp,quinn,quinn-default,s2n,limit"
    )]
    carriers: Vec<Carrier>,
    /// MiB in each flow.
    #[arg(long, value_name = "MIB", default_value_t = 1024,
          value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    mib: u64,
    /// Flows at once, each with sockets and threads of its own.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    flows: u32,
    /// Rounds.
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

impl Loopback {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let mut laps: Vec<Vec<Lap>> = vec![Vec::new(); self.carriers.len()];
        for _ in 0..self.rounds {
            for (carrier, laps) in self.carriers.iter().zip(&mut laps) {
                let flows = usize::try_from(self.flows).unwrap_or(usize::MAX);
                let lap = carrier.carry(self.mib << 20, flows);
                laps.push(lap.map_err(|reason| {
                    CommandError::Usage(format!("{}: {reason}", carrier.name()))
                })?);
            }
        }
        println!(
            "{} MiB in each of {} flows, {} rounds; medians, and ratios to {} in the same round",
            self.mib,
            self.flows,
            self.rounds,
            self.carriers.first().map_or("", |first| first.name()),
        );
        println!(
            "{:<14}  {:>7}  {:>6}  {:>9}  {:>6}",
            "carrier", "Gbit/s", "ratio", "CPU-s/GB", "ratio"
        );
        for (carrier, own) in self.carriers.iter().zip(&laps) {
            let first = laps.first().map_or(&[][..], Vec::as_slice);
            let of = |figure: fn(&Lap) -> f64| {
                let figures: Vec<f64> = own.iter().map(figure).collect();
                let ratios = own
                    .iter()
                    .zip(first)
                    .map(|(own, first)| figure(own) / figure(first));
                let ratios: Vec<f64> = ratios.collect();
                (
                    median(&figures).unwrap_or_default(),
                    median(&ratios).unwrap_or_default(),
                )
            };
            let (speed, cost) = (of(Lap::gbit_per_second), of(Lap::cpu_seconds_per_gb));
            println!(
                "{:<14}  {:>7.2}  {:>6.2}  {:>9.2}  {:>6.2}",
                carrier.name(),
                speed.0,
                speed.1,
                cost.0,
                cost.1,
            );
        }
        Ok(Exit::Ok)
    }
}
