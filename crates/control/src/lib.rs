//! The control topic of a region: what operators say (docs/adr/0018), and which tenants there are (docs/adr/0021).
//!
//! Every service reads it whole at its start and follows it from there. There is no other state: whoever has read it to its end knows all.

mod apply;
mod danger;
mod following;
mod order;
mod pauses;
mod plan;
mod read;
mod stamp;
mod state;
mod troubles;

pub use apply::{Applied, ApplyError, apply, read_whole};
pub use danger::Danger;
pub use following::{FollowError, Following, Origin};
pub use order::{Order, Refusal};
pub use pauses::Pauses;
pub use plan::{Desired, Kind, Plan, TenantPlan};
pub use read::{Record, follow, read};
pub use stamp::{REVISION_HEADER, revision_in, revision_stamp};
pub use state::{Said, State, Unreadable};
pub use troubles::Troubles;
