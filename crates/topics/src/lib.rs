//! Topic specifications, topic names, tenant placement and the plan that brings a cluster to what is specified.
//!
//! Architecture invariant: this crate does no I/O except [`Specs::load`]. It knows no Kafka client; crate `kafka` carries
//! a [`Plan`] out.

mod error;
pub mod names;
pub mod partitioner;
mod plan;
mod spec;
mod specs;

pub use error::TopicsError;
pub use partitioner::Placement;
pub use plan::{ActualTopic, Alteration, Plan, Refusal, ReplicationDrift, plan};
pub use spec::{Cleanup, MAX_MESSAGE_BYTES, PlacementKind, Retention, Spec};
pub use specs::{Specs, TopicPlan};
