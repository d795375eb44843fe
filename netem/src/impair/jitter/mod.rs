//! Jitter: how much the delay varies, and how that is distributed.

mod model;
mod normal;
mod settings;

pub(crate) use self::model::JitterSampler;
pub use self::settings::{Jitter, JitterDistribution, JitterTable};
