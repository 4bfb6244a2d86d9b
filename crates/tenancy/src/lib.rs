//! Tenants: who they are, which systems they connect, which events go where, and how much each may send.
//!
//! The configuration is a folder. It is read as a whole: either all of it is valid, or every problem is reported with
//! its place, its code and, where there is one, the probable intention.
//!
//! ```text
//! tenants/<tenant>/tenant.yaml              identity, API keys, quota, placement
//! tenants/<tenant>/connections/<name>.yaml  one account in one external system
//! tenants/<tenant>/routes/<name>.yaml       event types → a connection, under a policy
//! ```
//!
//! Secrets are references (`env:NAME`, `file:/path`), resolved while loading through a [`SecretSource`].

mod access;
mod api_key;
mod changes;
mod classes;
mod connection;
mod duration;
mod egress;
mod error;
mod example;
mod fields;
mod files;
mod limits;
mod live;
mod load;
mod node;
mod offline;
mod policy;
mod poll;
mod problem;
mod quota;
pub mod revision;
mod route;
mod secret;
mod set;
mod source;
mod tenant;
mod value;
mod watch;

pub use changes::{Change, What, changes};
pub use classes::Classes;
pub use connection::{Connection, Webhook};
pub use egress::Egress;
pub use error::ConfigErrors;
pub use limits::{CostBucket, DEFAULT_CONCURRENCY, Limits, PerTime, RequestQuota, Shares};
pub use live::{Fits, InForce, Live};
pub use offline::Offline;
pub use policy::{OnUnknown, Posts, Require, TargetClass};
pub use poll::Poll;
pub use problem::{Position, Problem};
pub use quota::{QuotaError, Quotas};
pub use revision::Revision;
pub use route::{Overlay, PayloadRule, Route, RouteMapping, RoutePlaces};
pub use secret::{Environment, Given, SecretSource};
pub use set::TenantSet;
pub use source::TenantsFrom;
pub use tenant::{Quota, Tenant};
pub use watch::Watch;
