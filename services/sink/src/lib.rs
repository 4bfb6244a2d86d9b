//! The sink: consume → decide → deliver → settle.
//!
//! One loop (`engine`) owns the decision core and all bookkeeping. Around it, each on its own: the consumer's thread,
//! the ledger's thread, the producer's thread, and one task for each request to a target. Everything reaches the loop
//! through one channel, so that facts keep their order.

mod admission;
mod arguments;
mod bound;
mod clock;
mod connectors;
mod crash;
mod decision;
mod doubts;
mod engine;
mod evidence;
mod fields;
mod guarantee;
mod inputs;
mod mappings;
mod message;
mod metrics;
mod mutant;
mod options;
mod outbox;
mod partition;
mod plan;
mod planner;
mod reread;
mod restore;
mod service;
mod settlement;
mod shares;
mod sight;
mod standby;
mod start_error;
mod trial;
mod watchdog;

pub use arguments::Arguments;
pub use fields::payload_fields;
pub use guarantee::{Examined, Guarantee, Span, examine};
pub use mappings::RouteMappings;
pub use options::{IntentsOption, LogOptions, Options, RegistryOptions};
pub use plan::{Allowed, PlanError};
pub use service::Service;
pub use sight::{Failure, Sight};
pub use start_error::StartError;
pub use trial::Trial;
