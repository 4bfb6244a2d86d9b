//! What an operator asks for, and whether it may be done.

use std::collections::BTreeSet;

use event::TenantId;
use tenancy::{Revision, revision::UnreadableRevision};

use crate::plan::{Kind, Plan, TenantPlan};

/// What an operator wants to be carried out.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The hash of the plan that was read.
    pub plan: String,
    /// The tenants that are to be removed, by name.
    pub remove: BTreeSet<TenantId>,
    /// The tenants whose placement may change: the operator vouches that nothing of them is under way or comes again.
    pub shards: BTreeSet<TenantId>,
    /// Who.
    pub operator: String,
    /// Why.
    pub reason: Option<String>,
    /// When, milliseconds since 1970-01-01 UTC.
    pub at: i64,
}

/// Why an order is not carried out. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What is applied, or the folder, has changed since the plan was read.
    #[error(
        "the plan is stale: {given} was given, it is now {now}; read it again with `counterfoil tenants plan`"
    )]
    Stale {
        /// The hash that was given.
        given: String,
        /// The hash of the plan now.
        now: String,
    },
    /// The folder lacks tenants of which nobody said that they are to go.
    #[error("the folder has no {}: if it is to be removed, say so with --remove; if not, the checkout is incomplete", listed(.0))]
    RemovalNotNamed(Vec<TenantId>),
    /// A removal was named that the plan does not have.
    #[error("--remove names {}, which the plan does not remove: it is in the folder, or not applied", listed(.0))]
    NoRemoval(Vec<TenantId>),
    /// The number of a tenant's partitions changes.
    #[error(
        "`shards` of {} changes: its events would meet ledgers that do not know them. Once nothing of it is under way, \
         and its sources repeat nothing, --allow-shards carries it out",
        listed(.0)
    )]
    Shards(Vec<TenantId>),
    /// A tenant's folder does not fit into a record.
    #[error("the folder of tenant `{tenant}` is too large")]
    TooLarge {
        /// Whose.
        tenant: TenantId,
        /// How large it is.
        #[source]
        source: UnreadableRevision,
    },
}

impl Order {
    /// The revisions that carry the plan out, each with its record's value, in the order of the tenants.
    ///
    /// # Errors
    /// Where it must not be done.
    pub fn records(&self, plan: &Plan) -> Result<Vec<(Revision, Vec<u8>)>, Refusal> {
        self.check(plan)?;
        plan.pending().map(|tenant| self.record(tenant)).collect()
    }

    /// Whether the plan is the one that was read, and all that it does is meant.
    ///
    /// # Errors
    /// Where it must not be done.
    pub fn check(&self, plan: &Plan) -> Result<(), Refusal> {
        let now = plan.hash();
        if self.plan != now {
            return Err(Refusal::Stale { given: self.plan.clone(), now });
        }
        let removed = plan.pending().filter(|tenant| tenant.kind == Kind::Removed);
        let removed: BTreeSet<TenantId> = removed.map(|tenant| tenant.tenant.clone()).collect();
        none(removed.difference(&self.remove)).map_err(Refusal::RemovalNotNamed)?;
        none(self.remove.difference(&removed)).map_err(Refusal::NoRemoval)?;
        let moved = plan.pending().filter(|tenant| tenant.shards().is_some()).map(|tenant| &tenant.tenant);
        none(moved.filter(|tenant| !self.shards.contains(*tenant))).map_err(Refusal::Shards)
    }

    fn record(&self, plan: &TenantPlan) -> Result<(Revision, Vec<u8>), Refusal> {
        let (operator, before) = (self.operator.clone(), plan.before.as_deref());
        let mut revision = match (&plan.after, before) {
            (None, Some(before)) => before.removal(operator, self.at),
            (after, _) => {
                let files = after.clone().unwrap_or_default();
                let next = Revision::after(before, plan.tenant.clone(), files, operator, self.at);
                next.bound_to(plan.connectors.clone())
            }
        };
        revision.reason.clone_from(&self.reason);
        match revision.value() {
            Ok(value) => Ok((revision, value)),
            Err(source) => Err(Refusal::TooLarge { tenant: revision.tenant, source }),
        }
    }
}

impl Refusal {
    /// The stable code, docs/errors/`<code>`.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stale { .. } => "CFG-0130",
            Self::RemovalNotNamed(_) | Self::NoRemoval(_) => "CFG-0131",
            Self::TooLarge { .. } => "CFG-0133",
            Self::Shards(_) => "CFG-0136",
        }
    }
}

fn none<'a>(tenants: impl Iterator<Item = &'a TenantId>) -> Result<(), Vec<TenantId>> {
    let tenants: Vec<TenantId> = tenants.cloned().collect();
    if tenants.is_empty() { Ok(()) } else { Err(tenants) }
}

fn listed(tenants: &[TenantId]) -> String {
    let names: Vec<String> = tenants.iter().map(|tenant| format!("`{tenant}`")).collect();
    format!("tenant {}", names.join(", "))
}
