//! Where services take the tenants from.

use serde::{Deserialize, Serialize};

/// Where a service takes the tenants' configuration from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantsFrom {
    /// A folder that is read once, at the start. Secrets behind its references are read again as time passes.
    #[default]
    Folder,
    /// The control topic: what `counterfoil tenants apply` wrote is in force in a moment, without a restart.
    Control,
}
