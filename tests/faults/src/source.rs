//! What the source systems send.

use anyhow::Context as _;
use event::ObjectKind;
use serde_json::{Value, json};

const CUSTOMER: &str = include_str!("../../../schemas/examples/customer.json");
const INVOICE: &str = include_str!("../../../schemas/examples/invoice.json");
const PAYMENT: &str = include_str!("../../../schemas/examples/payment.json");

/// A day before the books were closed.
const CLOSED_DAY: &str = "2019-12-31";

/// One change of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub object: ObjectKind,
    pub entity: String,
    pub version: u64,
    /// The target will not take it.
    pub refused: bool,
}

impl Change {
    pub fn of(object: ObjectKind, entity: impl Into<String>, version: u64) -> Self {
        Self { object, entity: entity.into(), version, refused: false }
    }

    /// An invoice of a year that is closed.
    pub fn refused(entity: impl Into<String>) -> Self {
        Self { object: ObjectKind::Invoice, entity: entity.into(), version: 1, refused: true }
    }

    /// The event, as the gateway takes it. Each version says something else: a document shows which one it is of.
    pub fn event(&self) -> anyhow::Result<Value> {
        let (example, first, later) = match self.object {
            ObjectKind::Customer => (CUSTOMER, "customer.created", "customer.updated"),
            ObjectKind::Payment => (PAYMENT, "payment.received", "payment.updated"),
            _ => (INVOICE, "invoice.posted", "invoice.posted"),
        };
        let mut event: Value = serde_json::from_str(example).context("an example of schemas/examples")?;
        event["type"] = json!(if self.version > 1 { later } else { first });
        event["source_version"] = json!(self.version);
        event["data"]["id"] = json!(self.entity);
        event["data"]["extensions"]["revision"] = json!(revision(&self.entity, self.version));
        if self.refused {
            event["data"]["issued_on"] = json!(CLOSED_DAY);
        }
        Ok(event)
    }
}

/// What the document of a change says in `extensions.revision`.
pub fn revision(entity: &str, version: u64) -> String {
    format!("{entity}@{version}")
}
