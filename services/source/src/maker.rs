//! From a tenant's configuration to the polls of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::{ExposeSecret as _, SecretString};
use target::{
    Access, Account, Authenticator, Client, Connector, Egress, Endpoint, FileStore, Secrets, TokenStore,
};
use tenancy::{Connection, Tenant};

use crate::{
    Options, SourceError,
    cursor::Cursor,
    gateway::Gateway,
    poll::{Counters, Poll},
    programs,
};

/// Makes polls of connections.
pub(crate) struct Maker {
    options: Options,
    client: Client,
    gateway: Gateway,
    counters: Counters,
    store: Arc<dyn TokenStore>,
}

/// A poll that nothing but its place is missing of.
pub(crate) struct Prepared {
    /// Of the secrets that it uses: another value means that one was rotated.
    pub(crate) secrets: u64,
    poll: Unplaced,
    state: PathBuf,
}

/// A poll as of a place that is not known yet.
type Unplaced = Box<dyn FnOnce(Cursor) -> Poll + Send>;

impl Prepared {
    /// Reads how far its system was read.
    ///
    /// # Errors
    /// [`SourceError::Cursor`].
    pub(crate) fn open(self) -> Result<Poll, SourceError> {
        Ok((self.poll)(Cursor::open(self.state)?))
    }
}

impl Maker {
    /// # Errors
    /// When no client can be made for the gateway.
    pub(crate) fn new(options: Options, client: Client, counters: Counters) -> Result<Self, SourceError> {
        let gateway = Gateway::new(&options.gateway)?;
        let store = Arc::new(FileStore::new(&options.signin));
        Ok(Self { options, client, gateway, counters, store })
    }

    /// Whether it is one of ours.
    pub(crate) fn serves(&self, tenant: &Tenant) -> bool {
        tenant.region == self.options.region
    }

    /// All polls of a tenant, by their names.
    ///
    /// # Errors
    /// Everything that keeps one of them from beginning, but for its place.
    pub(crate) fn polls(&self, tenant: &Tenant) -> Result<Vec<(String, Prepared)>, SourceError> {
        let mut polls = Vec::new();
        for connection in tenant.connections.values() {
            self.connection(tenant, connection, &mut polls)?;
        }
        Ok(polls)
    }

    fn connection(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        polls: &mut Vec<(String, Prepared)>,
    ) -> Result<(), SourceError> {
        let Some(wanted) = &connection.poll else { return Ok(()) };
        let dir = self.options.connectors.as_deref();
        let connector = connector(dir, &connection.connector)?;
        let egress =
            Egress { private: connection.egress.allow_private, networks: connection.egress.allow.clone() };
        let client = self.client.under(&egress);
        let auth = self.authenticator(tenant, connection, &connector)?;
        let api_key = Arc::new(wanted.api_key.clone());
        let secrets = fingerprint(connection, &api_key);
        let mut seen = BTreeSet::new();
        for object in &wanted.objects {
            let name = format!("{}/{}/{object}", tenant.id, connection.name);
            let setup = |what: &str| SourceError::Setup { poll: name.clone(), what: what.to_owned() };
            if !seen.insert(object) {
                return Err(setup("the object stands twice under `poll`"));
            }
            let endpoint = endpoint(&connector, connection, &auth, object)?;
            let overlap_us = endpoint
                .overlap_us()
                .ok_or_else(|| setup("the connector's definition says no `changes` of this object"))?;
            let state = self.options.state.join(tenant.id.as_str()).join(&connection.name);
            let program = match endpoint.webhook() {
                Some(_) => programs::webhook(dir, &connection.connector)?,
                None => programs::load(dir, &connection.connector, object)?,
            };
            let (source, api_key) = (wanted.source.clone(), Arc::clone(&api_key));
            let (every, timeout) = (wanted.every, connection.timeout);
            let (client, gateway, counters) = (client.clone(), self.gateway.clone(), self.counters.clone());
            let of = name.clone();
            let poll = move |cursor| Poll {
                name: of,
                source,
                api_key,
                every,
                timeout,
                client,
                endpoint,
                overlap_us,
                program,
                gateway,
                cursor,
                recent: BTreeMap::new(),
                counters,
            };
            let state = state.join(format!("{object}.json"));
            polls.push((name, Prepared { secrets, poll: Box::new(poll), state }));
        }
        Ok(())
    }

    fn authenticator(
        &self,
        tenant: &Tenant,
        connection: &Connection,
        connector: &Connector,
    ) -> Result<Arc<Authenticator>, SourceError> {
        let secrets = connection.secrets.iter();
        let secrets = secrets.fold(Secrets::default(), |all, (name, values)| all.with(name, values));
        let access = Access {
            of: (tenant.id.as_str(), &connection.name),
            base_url: connection.base_url.as_deref(),
            values: &connection.values,
            secrets: &secrets,
            store: Some(&self.store),
        };
        Ok(Arc::new(Authenticator::new(connector, &access)?))
    }
}

fn connector(dir: Option<&Path>, name: &str) -> Result<Connector, SourceError> {
    Connector::load(dir, name).map_err(|error| SourceError::Endpoint(error.into()))
}

fn endpoint(
    connector: &Connector,
    connection: &Connection,
    auth: &Arc<Authenticator>,
    object: &str,
) -> Result<Endpoint, SourceError> {
    let account = Account {
        base_url: connection.base_url.as_deref(),
        class: None,
        on_unknown: delivery::OnUnknown::Park,
        auth: Some(auth),
        values: &connection.values,
    };
    Ok(Endpoint::new(connector, object, &account)?)
}

fn fingerprint(connection: &Connection, api_key: &SecretString) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, values) in &connection.secrets {
        name.hash(&mut hasher);
        values.iter().for_each(|value| value.expose_secret().hash(&mut hasher));
    }
    api_key.expose_secret().hash(&mut hasher);
    hasher.finish()
}
