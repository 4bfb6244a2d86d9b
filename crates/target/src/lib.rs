//! Target systems over HTTP: connector definitions, requests, and what their answers mean.
//!
//! A connector is data (connectors/*.yaml). It says how a document is written and looked up, and which answers mean
//! applied, not applied, or unknown. Nothing in this crate knows a particular system.

mod access;
mod answers;
mod auth;
mod bulk;
mod call;
pub mod cases;
mod classify;
mod client;
mod compile;
pub mod definition;
mod each;
mod egress;
mod endpoint;
mod feed;
mod finder;
mod job;
mod lint;
mod multipart;
mod needs;
mod operation;
mod path;
mod posting;
mod preview;
mod probe;
mod references;
mod repeat;
mod resolve;
mod signals;
mod template;
mod together;

pub use crate::{
    access::Misfit,
    auth::{Access, Authenticator, FileStore, Held, Kept, Secrets, Stored, TokenStore},
    client::{Client, ClientOptions},
    definition::{Connector, DefinitionError},
    egress::{Egress, EgressRefused, Kind},
    endpoint::{Account, ClassChoice, Endpoint, EndpointError},
    feed::{Change, Page, Place, RecordId, Walk, WalkError},
    lint::{Finding, Severity, gaps, lint, meant},
    posting::{Posting, Standing},
    preview::{Meaning, Preview},
    signals::{News, Told},
};

#[cfg(test)]
mod tests;
