//! `cargo xtask loopback`: the cost of a transport on the loopback interface, beside its peers.

use super::with_peers::{self, HAS_PEERS};
use crate::batch::median;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::loopback::{Measurement, Transport};
use crate::table::{Column, Table};

const TABLE: Table<5> = Table::new([
    Column::left("transport", 14),
    Column::right("Gbit/s", 7),
    Column::right("ratio", 6),
    Column::right("CPU-s/GB", 9),
    Column::right("ratio", 6),
]);

/// Transfer bulk data over real sockets on the loopback interface, each transport in turn.
///
/// Every round runs all transports, one after another, so that other load on the machine affects
/// them alike. Ratios hold on other machines; seconds do not.
#[derive(Debug, clap::Args)]
pub(super) struct Loopback {
    /// Transports; the first is the reference for the ratios.
    #[arg(
        long,
        alias = "carriers",
        value_enum,
        value_delimiter = ',',
        value_name = "NAMES",
        default_value = "lftp,quinn,quinn-default,s2n,limit"
    )]
    transports: Vec<Transport>,
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
        if !HAS_PEERS
            && self
                .transports
                .iter()
                .any(|transport| transport.needs_peers())
        {
            return with_peers::run_again("loopback");
        }
        let mut measurements: Vec<Vec<Measurement>> = vec![Vec::new(); self.transports.len()];
        for _ in 0..self.rounds {
            for (transport, own) in self.transports.iter().zip(&mut measurements) {
                let flows = usize::try_from(self.flows).unwrap_or(usize::MAX);
                let measured = transport.measure(self.mib << 20, flows);
                own.push(measured.map_err(|reason| {
                    CommandError::Usage(format!("{}: {reason}", transport.name()))
                })?);
            }
        }
        lftp_console::outln!(
            "{} MiB in each of {} flows, {} rounds; medians, and ratios to {} in the same round",
            self.mib,
            self.flows,
            self.rounds,
            self.transports.first().map_or("", |first| first.name()),
        )?;
        lftp_console::outln!("{}", TABLE.heading())?;
        for (transport, own) in self.transports.iter().zip(&measurements) {
            let first = measurements.first().map_or(&[][..], Vec::as_slice);
            let of = |figure: fn(&Measurement) -> f64| {
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
            let (speed, cost) = (
                of(Measurement::gbit_per_second),
                of(Measurement::cpu_seconds_per_gb),
            );
            let row = TABLE.row([
                transport.name().to_owned(),
                format!("{:.2}", speed.0),
                format!("{:.2}", speed.1),
                format!("{:.2}", cost.0),
                format!("{:.2}", cost.1),
            ]);
            lftp_console::outln!("{row}")?;
        }
        Ok(Exit::Ok)
    }
}
