//! The service's settings.

use std::{collections::BTreeMap, io, net::SocketAddr};

use sandbox::Change;
use serde::{Deserialize, Serialize};
use telemetry::Format;

/// Settings: defaults, then file, then environment (`COUNTERFOIL_LISTEN`), then flags.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Where the ERP listens.
    pub listen: SocketAddr,
    /// Where the sandbox's admin API and page listen, if not beside the ERP on `listen`.
    pub control_listen: Option<SocketAddr>,
    /// Where `/health/live`, `/health/ready` and `/metrics` listen.
    pub admin_listen: SocketAddr,
    /// How log lines look.
    pub log_format: Format,
    /// Accounts to begin with, each as in `PUT /admin/accounts/{account}`.
    pub accounts: BTreeMap<String, Change>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8085)),
            control_listen: None,
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9085)),
            log_format: Format::Text,
            accounts: BTreeMap::new(),
        }
    }
}

/// Why the service could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A configured account is refused.
    #[error("account `{account}` cannot be set up")]
    Account {
        /// Its name.
        account: String,
        /// What is wrong with it.
        #[source]
        source: sandbox::SettingsError,
    },
    /// A metric cannot be registered.
    #[error("metrics cannot be set up")]
    Metrics(#[from] telemetry::MetricsError),
}
