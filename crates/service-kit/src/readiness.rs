//! Whether a service can do its work now, and if not, why.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;

/// Every check a service registered. It is ready when all of them pass and it is not draining.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    draining: bool,
    /// `None`: passes. `Some`: why not.
    checks: BTreeMap<&'static str, Option<String>>,
}

/// The handle with which a part of the service reports on itself.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// No checks: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check. It fails with "starting" until the handle says otherwise.
    pub fn check(&self, name: &'static str) -> Check {
        let check = Check { name, readiness: self.clone() };
        check.fail("starting");
        check
    }

    /// Not ready from now on: load balancers send no new work while the rest is finished.
    pub fn drain(&self) {
        self.0.write().draining = true;
    }

    /// Every check with why it fails (`None` where it passes), in order of name, `draining` among them while draining.
    pub fn report(&self) -> BTreeMap<&'static str, Option<String>> {
        let state = self.0.read();
        let mut report = state.checks.clone();
        if state.draining {
            report.insert("draining", Some("the service is shutting down".to_owned()));
        }
        report
    }

    /// Whether all checks pass and the service is not draining.
    pub fn is_ready(&self) -> bool {
        let state = self.0.read();
        !state.draining && state.checks.values().all(Option::is_none)
    }
}

impl Check {
    /// The check passes.
    pub fn pass(&self) {
        if self.set(None) {
            tracing::info!(check = self.name, "check passes");
        }
    }

    /// The check fails, and why.
    pub fn fail(&self, reason: impl Into<String>) {
        let reason = reason.into();
        if self.set(Some(reason.clone())) {
            tracing::info!(check = self.name, reason, "check fails");
        }
    }

    /// Stores the state; says whether it changed.
    fn set(&self, state: Option<String>) -> bool {
        let mut all = self.readiness.0.write();
        all.checks.insert(self.name, state.clone()) != Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_all_pass_and_not_draining() {
        let readiness = Readiness::new();
        let (kafka, registry) = (readiness.check("kafka"), readiness.check("registry"));
        kafka.pass();
        assert!(!readiness.is_ready());
        registry.pass();
        assert!(readiness.is_ready());
        kafka.fail("no broker answers");
        assert!(!readiness.is_ready());
        assert_eq!(readiness.report()["kafka"].as_deref(), Some("no broker answers"));
        assert_eq!(readiness.report()["registry"], None);
        kafka.pass();
        readiness.drain();
        assert!(!readiness.is_ready());
        assert!(readiness.report()["draining"].is_some());
    }
}
