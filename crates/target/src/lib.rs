//! Target systems over HTTP: connector definitions, requests, and what their answers mean.
//!
//! A connector is data (connectors/*.yaml). It says how a document is written and looked up, and which answers mean
//! applied, not applied, or unknown. Nothing in this crate knows a particular system.

mod classify;
mod client;
mod definition;
mod egress;
mod endpoint;
mod path;

pub use crate::{
    client::{Client, ClientOptions},
    definition::{Connector, DefinitionError},
    egress::{Egress, EgressRefused, Kind},
    endpoint::{ClassChoice, Endpoint, EndpointError, Posting},
};

#[cfg(test)]
mod tests;
