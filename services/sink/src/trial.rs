//! One event tried on a route, without brokers and ledger: what would be sent, and what a look at the target says.

use std::{io, path::Path, sync::Arc, time::Duration};

use event::{EventType, PostingKey};
use mapping::Mapping;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use target::{Client, ClientOptions, Egress, Endpoint, FileStore, Posting, Preview, TokenStore};
use tenancy::Route;

use crate::{
    Sight,
    connectors::Connectors,
    plan::{self, PlanError},
};

/// A route for one of its event types.
pub struct Trial {
    mapping: Option<Mapping>,
    endpoint: Endpoint,
    egress: Egress,
    timeout: Duration,
    /// What must not be shown, whoever says it.
    secrets: Vec<SecretString>,
}

impl Trial {
    /// Connectors come from `dir`, or from the binary. With `signin`, the folder where refresh tokens are kept, its requests are signed:
    /// without it they are only looked at.
    ///
    /// # Errors
    /// What keeps the route from being delivered.
    pub fn new(
        route: &Route,
        event_type: EventType,
        dir: Option<&Path>,
        signin: Option<&Path>,
    ) -> Result<Self, PlanError> {
        let mut connectors = Connectors::new(dir);
        let connection = &route.connection;
        let egress = plan::egress(connection);
        plan::check_egress(&egress, connection).map_err(|source| PlanError::Egress {
            tenant: route.tenant.clone(),
            connection: connection.name.clone(),
            source,
        })?;
        let connector = connectors.get(&connection.connector)?;
        let auth = match signin {
            None => None,
            Some(folder) => {
                let store: Arc<dyn TokenStore> = Arc::new(FileStore::new(folder));
                let made = plan::access(route.tenant.as_str(), connection, &connector, &store);
                Some(made.map(Arc::new).map_err(|source| PlanError::Access {
                    tenant: route.tenant.clone(),
                    connection: connection.name.clone(),
                    source: Box::new(source),
                })?)
            }
        };
        let endpoint = plan::endpoint(route, event_type, &connector, auth.as_ref())?;
        let mapping = connectors.mapping(route, event_type)?;
        connectors.is_made(route, event_type, &endpoint)?;
        Ok(Self {
            mapping,
            endpoint,
            egress,
            timeout: connection.timeout,
            secrets: connection.secrets.values().flatten().cloned().collect(),
        })
    }

    /// The posting of an event: what its data becomes. `event` is what a mapping sees as `%event`.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn posting(&self, key: PostingKey, data: &Value, event: &Value) -> Result<Posting, String> {
        let payload = match &self.mapping {
            None => data.clone(),
            Some(mapping) => mapping.apply(data, event).map_err(|refusal| {
                let field = refusal.field.map(|field| format!("{field}: ")).unwrap_or_default();
                format!("{}: {field}{}", refusal.code, refusal.message)
            })?,
        };
        let reference = event["entity_id"].as_str().unwrap_or_default();
        let version = event["source_version"].as_i64().unwrap_or_default();
        let made = self.endpoint.posting(key, reference, version, payload.to_string().into());
        made.map_err(|what| format!("SNK-0014: {what}"))
    }

    /// Every request that a delivery could make, in order; nothing is sent.
    ///
    /// # Errors
    /// A request cannot be made: what is missing.
    pub fn requests(&self, posting: &Posting) -> Result<Vec<Preview>, String> {
        self.endpoint.preview(posting, "<id>", "<version>")
    }

    /// Looks the document up at the target. Reads only. What the target says is told without the connection's secrets.
    ///
    /// # Errors
    /// The certificates that this machine trusts cannot be read.
    pub async fn look(&self, posting: &Posting) -> io::Result<Sight> {
        let client = Client::new(ClientOptions::default())?.under(&self.egress);
        let seen = client.read_back(&self.endpoint, posting, self.timeout).await.0;
        Ok(Sight::of(seen).without(self.secrets.iter().map(ExposeSecret::expose_secret)))
    }
}
