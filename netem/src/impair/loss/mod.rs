//! Loss on the wire: `settings` lists the models, one file each, `written` is how a scenario spells
//! them, `model` loses packets.

mod burst_length;
mod by_index;
mod correlated;
mod four_state;
mod gilbert_elliott;
mod model;
mod settings;
mod written;

pub(crate) use self::model::Loss;
pub use self::{
    by_index::{LossList, LossPattern, NthLoss},
    correlated::{CorrelatedLoss, NetemCorrelatedLoss},
    four_state::FourState,
    gilbert_elliott::GilbertElliott,
    settings::LossModel,
};
