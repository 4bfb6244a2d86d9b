//! The three tenants: one for each class of target.

use std::{fmt, fs, path::Path};

use anyhow::Context as _;
use event::{ObjectKind, TenantId};
use sandbox::{Change, Idempotency};

/// Books are closed before this day: a document of an earlier one is refused.
const BOOKS_CLOSED_BEFORE: &str = "2020-01-01";
/// How long a request may take: longer than anything a busy machine makes of it, shorter than the lease.
pub const TIMEOUT_MS: u64 = 1_500;
/// A late application comes before the deadline of its request, as class U assumes.
pub const LATE_MS: u64 = 600;

/// What a tenant's target offers against double effects; the tenant has the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// K: it honours an idempotency key.
    Keyed,
    /// U: it can be written and read by our reference.
    Upsert,
    /// N: nothing, so that what is unknown is parked.
    Neither,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Class {
    pub const ALL: [Self; 3] = [Self::Keyed, Self::Upsert, Self::Neither];
    /// Events a second that no campaign comes near.
    pub const NO_QUOTA: u32 = 10_000;
    /// The objects that are sent.
    pub const OBJECTS: [ObjectKind; 3] = [ObjectKind::Customer, ObjectKind::Invoice, ObjectKind::Payment];

    /// The tenant, its account at the target, and the class as tenants/ writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Upsert => "upsert",
            Self::Neither => "neither",
        }
    }

    pub fn tenant(self) -> anyhow::Result<TenantId> {
        self.name().parse().with_context(|| format!("{self} is no tenant's name"))
    }

    /// The key that its source systems present at the gateway.
    pub fn api_key(self) -> String {
        format!("{self}-key-0123456789")
    }

    /// What the services find in their environment.
    pub fn secret(self) -> (String, String) {
        (self.variable(), self.api_key())
    }

    fn variable(self) -> String {
        format!("{}_KEY", self.name().to_uppercase())
    }

    /// A target without faults. It takes 15 to 40 ms for a request: there is always one under way.
    pub fn healthy(self) -> Change {
        let idempotency = match self {
            Self::Keyed => Idempotency::Key,
            Self::Upsert => Idempotency::Upsert,
            Self::Neither => Idempotency::Neither,
        };
        Change {
            idempotency: Some(idempotency),
            latency_ms: Some(15),
            jitter_ms: Some(25),
            throttle_per_second: Some(0),
            fail_rate: Some(0.0),
            fail_status: Some(503),
            store_failures: Some(false),
            drop_answer_rate: Some(0.0),
            apply_late_ms: Some(0),
            books_closed_before: Some(BOOKS_CLOSED_BEFORE.to_owned()),
            log_requests: Some(true),
            ..Change::default()
        }
    }

    /// Writes the tenant's configuration, its target at `base_url`; it may send `quota` events a second, and waits
    /// `timeout_ms` for an answer.
    pub fn write(
        self,
        folder: &Path,
        region: &str,
        base_url: &str,
        quota: u32,
        timeout_ms: u64,
    ) -> anyhow::Result<()> {
        let variable = self.variable();
        let file = |path: &str, text: String| -> anyhow::Result<()> {
            let path = folder.join(self.name()).join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        let tenant = format!(
            "tenant: {self}\nname: {self}\nregion: {region}\napi_keys: [{{id: one, secret: \"env:{variable}\"}}]\n\
             quota: {{events_per_second: {quota}, burst: {quota}}}\n"
        );
        file("tenant.yaml", tenant)?;
        let erp = format!(
            "connection: erp\nconnector: sandbox\nbase_url: \"{base_url}/{self}\"\nclass: {self}\n\
             egress: {{allow_private: true}}\nlimits: {{concurrency: 8}}\ntimeout: {timeout_ms}ms\n"
        );
        file("connections/erp.yaml", erp)?;
        for (object, first) in
            [("customer", "customer.created"), ("invoice", "invoice.posted"), ("payment", "payment.received")]
        {
            // Without any protection a second write would be a second document.
            let on = if self == Self::Neither { first.to_owned() } else { format!("{object}.*") };
            file(&format!("routes/{object}s.yaml"), format!("route: {object}s\non: [\"{on}\"]\nto: erp\n"))?;
        }
        Ok(())
    }
}
