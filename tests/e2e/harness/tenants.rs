//! Tenants of a scenario.

use std::{fs, path::Path};

use event::TenantId;
use sandbox::{Change, Idempotency};

pub const STRIPE_SECRET: &str = "whsec_of_the_end_to_end_test";

/// What a tenant's ERP offers against double effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Keyed,
    Upsert,
    Neither,
}

impl Target {
    pub const ALL: [Self; 3] = [Self::Keyed, Self::Upsert, Self::Neither];

    fn class(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Upsert => "upsert",
            Self::Neither => "neither",
        }
    }

    /// How the account behaves at first.
    pub fn account(self) -> Change {
        let idempotency = match self {
            Self::Keyed => Idempotency::Key,
            Self::Upsert => Idempotency::Upsert,
            Self::Neither => Idempotency::Neither,
        };
        Change { idempotency: Some(idempotency), ..Change::default() }
    }
}

#[derive(Clone, Debug)]
pub struct Tenant {
    pub id: String,
    pub target: Target,
    pub key: String,
}

impl Tenant {
    pub fn new(id: &str, target: Target) -> Self {
        Self { id: id.to_owned(), target, key: format!("{id}-key-0123456789") }
    }

    /// One tenant of each kind: `keyed`, `upsert`, `neither`.
    pub fn of_each_kind() -> [Self; 3] {
        Target::ALL.map(|target| Self::new(target.class(), target))
    }

    pub fn id(&self) -> TenantId {
        self.id.parse().unwrap()
    }

    /// What the services find in their environment.
    pub fn secrets(&self) -> [(String, String); 2] {
        let name = self.id.to_uppercase();
        [(format!("{name}_KEY"), self.key.clone()), (format!("{name}_STRIPE"), STRIPE_SECRET.to_owned())]
    }

    pub fn write(&self, dir: &Path, region: &str, erp: &str) {
        let (id, name, class) = (&self.id, self.id.to_uppercase(), self.target.class());
        let file = |path: &str, text: String| {
            let path = dir.join(id).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let tenant = format!(
            "tenant: {id}\nname: {id}\nregion: {region}\napi_keys: [{{id: one, secret: \"env:{name}_KEY\"}}]\n\
             quota: {{events_per_second: 10000, burst: 10000}}\n"
        );
        file("tenant.yaml", tenant);
        // The timeout is long, so that on a busy machine no answer is given up: what is unknown is unknown by our doing.
        let erp = format!(
            "connection: erp\nconnector: sandbox\nbase_url: \"{erp}/{id}\"\nclass: {class}\n\
             egress: {{allow_private: true}}\nlimits: {{concurrency: 8}}\ntimeout: 4s\n"
        );
        file("connections/erp.yaml", erp);
        let stripe = format!(
            "connection: stripe\nconnector: stripe\n\
             webhook: {{scheme: stripe, source: stripe, secrets: [\"env:{name}_STRIPE\"]}}\n"
        );
        file("connections/stripe.yaml", stripe);
        for object in ["customer", "invoice", "payment"] {
            let on = match (self.target, object) {
                // Without any protection a second write would be a second document.
                (Target::Neither, "customer") => "customer.created",
                (Target::Neither, "invoice") => "invoice.posted",
                (Target::Neither, _) => "payment.received",
                _ => &format!("{object}.*"),
            };
            file(&format!("routes/{object}s.yaml"), format!("route: {object}s\non: [\"{on}\"]\nto: erp\n"));
        }
    }
}
