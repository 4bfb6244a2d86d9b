//! Both sides compared: what was accepted, what the outcomes say, what the ERP counted.

use std::collections::HashMap;

use contract::{Outcome, OutcomeStatus};

use super::{
    World,
    tenants::{Target, Tenant},
};

impl World {
    /// Waits for an outcome of every accepted event and checks that each is in the ERP as its outcome says: nothing is
    /// lost, nothing is double, nothing was made up. The outcomes by event id.
    pub async fn proven(&self, tenant: &Tenant, accepted: &[String]) -> HashMap<String, Outcome> {
        let outcomes = match self.outcomes.of(accepted).await {
            Ok(outcomes) => outcomes,
            Err(missing) => {
                let behind = self.topics.behind(&self.group()).await;
                panic!(
                    "{} of {} events have no outcome; uncommitted: {behind:?}; {missing:?}",
                    missing.len(),
                    accepted.len()
                )
            }
        };
        let totals = self.erp.totals(&tenant.id).await;
        assert_eq!(
            (totals.duplicates, totals.out_of_order, totals.pending),
            (0, 0, 0),
            "{tenant:?}: {totals:?}"
        );
        let mut effects: HashMap<String, u64> = HashMap::new();
        for row in self.erp.effects(&tenant.id).await {
            *effects.entry(row.event_id.unwrap()).or_default() += row.effects;
        }
        for id in effects.keys() {
            assert!(accepted.contains(id), "{tenant:?}: an effect of {id}, which was never accepted");
        }
        for id in accepted {
            let (outcome, effects) = (&outcomes[id], effects.get(id).copied().unwrap_or(0));
            assert_eq!(outcome.tenant, tenant.id());
            let fits = match outcome.status {
                OutcomeStatus::Committed => effects == 1 && outcome.target_document_id.is_some(),
                OutcomeStatus::Rejected | OutcomeStatus::Superseded => effects == 0,
                OutcomeStatus::InDoubt => effects <= 1 && tenant.target == Target::Neither,
            };
            assert!(fits, "{effects} effects of {outcome:?}");
        }
        outcomes.into_iter().filter(|(_, outcome)| outcome.tenant == tenant.id()).collect()
    }

    /// The same, where every event must have been applied.
    pub async fn all_committed(&self, tenant: &Tenant, accepted: &[String]) {
        for outcome in self.proven(tenant, accepted).await.values() {
            assert_eq!(outcome.status, OutcomeStatus::Committed, "{outcome:?}");
        }
        assert!(self.topics.dead_letters(Some(&tenant.id())).await.is_empty(), "{tenant:?}: dead letters");
    }
}
