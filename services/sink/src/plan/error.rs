//! Why a configuration cannot be carried out.

use event::TenantId;
use mapping::{Diagnostic, connectors::ConnectorErrors};
use target::{DefinitionError, EgressRefused, EndpointError};

/// Why the configuration cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A connector's definition does not fit.
    #[error(transparent)]
    Connector(#[from] DefinitionError),
    /// A route cannot be delivered.
    #[error("tenant `{tenant}`, route `{route}`: it cannot be delivered")]
    Route {
        /// Whose.
        tenant: TenantId,
        /// The route.
        route: String,
        /// Why not.
        #[source]
        source: EndpointError,
    },
    /// A connector's mappings cannot be used.
    #[error(transparent)]
    Mappings(#[from] ConnectorErrors),
    /// What a route sends cannot be made of its events.
    #[error("tenant `{tenant}`, route `{route}`: {}", told(problems))]
    Mapping {
        /// Whose.
        tenant: TenantId,
        /// The route.
        route: String,
        /// Why not.
        problems: Vec<Diagnostic>,
    },
    /// What a route sends is made by no program, and the event's data is not what the object takes.
    #[error(
        "tenant `{tenant}`, route `{route}`: neither a base mapping nor an overlay makes what `{object}` of connector `{connector}` takes, and the event's own data is not that: {}",
        few(lacks)
    )]
    NotMade {
        /// Whose.
        tenant: TenantId,
        /// The route.
        route: String,
        /// The connector.
        connector: String,
        /// Its object or operation.
        object: String,
        /// Why the event's data is not what it takes.
        lacks: Vec<String>,
    },
    /// A route leads to a connection that is no target.
    #[error(
        "tenant `{tenant}`, route `{route}`: connection `{connection}` has no base_url, so nothing can be sent to it"
    )]
    NoTarget {
        /// Whose.
        tenant: TenantId,
        /// The route.
        route: String,
        /// The connection.
        connection: String,
    },
    /// A connection does not give what signing in needs.
    #[error("tenant `{tenant}`, connection `{connection}`: nobody can sign in on it")]
    Access {
        /// Whose.
        tenant: TenantId,
        /// The connection.
        connection: String,
        /// Why not.
        #[source]
        source: Box<EndpointError>,
    },
    /// A connection leads to where it may not.
    #[error("tenant `{tenant}`, connection `{connection}`: it leads to where it may not")]
    Egress {
        /// Whose.
        tenant: TenantId,
        /// The connection.
        connection: String,
        /// Where it leads.
        #[source]
        source: EgressRefused,
    },
}

/// The first of several reasons.
fn few(reasons: &[String]) -> String {
    const MOST: usize = 3;
    let first = reasons.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join("; ");
    match reasons.len().saturating_sub(MOST) {
        0 => first,
        more => format!("{first}; and {more} more"),
    }
}

fn told(problems: &[Diagnostic]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
