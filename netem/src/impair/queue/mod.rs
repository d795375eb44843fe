//! The queue before the bottleneck and its disciplines, one folder each.

mod codel;
mod dualpi2;
mod fifo;
mod fq_codel;
mod limit;
mod model;
mod pie;
mod red;
mod settings;

pub(crate) use self::model::Queue;
pub use self::{
    codel::CoDelSettings,
    dualpi2::DualPi2Settings,
    fq_codel::FqCoDelSettings,
    limit::{QueueLimit, QueueSize},
    pie::PieSettings,
    red::{Red, RedSettings},
    settings::{Discipline, QueueDiscipline, QueueSettings},
};
