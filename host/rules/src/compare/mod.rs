//! What rules do to one message, to many, and what another version of them would do otherwise.

mod difference;
mod effect;
mod summary;

pub use difference::{Change, Count, Difference, Example};
pub(crate) use effect::place_text;
pub use effect::{Effect, HeaderChange, effect, effect_by_facts};
pub use summary::{Move, RuleCount, Summary};
