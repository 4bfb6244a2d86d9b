//! The canonical business objects.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A canonical business object. Each has one Avro schema and one pooled topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are the field's own
pub enum ObjectKind {
    Customer,
    Contact,
    Supplier,
    Product,
    Price,
    Opportunity,
    Order,
    Subscription,
    Contract,
    Invoice,
    Payment,
    PurchaseOrder,
    ItemReceipt,
    InventoryLevel,
}

/// No canonical object has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a canonical object")]
pub struct UnknownObject(pub String);

impl ObjectKind {
    /// Every canonical object, in the order of this enumeration.
    pub const ALL: [Self; 14] = [
        Self::Customer,
        Self::Contact,
        Self::Supplier,
        Self::Product,
        Self::Price,
        Self::Opportunity,
        Self::Order,
        Self::Subscription,
        Self::Contract,
        Self::Invoice,
        Self::Payment,
        Self::PurchaseOrder,
        Self::ItemReceipt,
        Self::InventoryLevel,
    ];

    /// The name as it stands in event types, record keys and file names: `purchase_order`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Contact => "contact",
            Self::Supplier => "supplier",
            Self::Product => "product",
            Self::Price => "price",
            Self::Opportunity => "opportunity",
            Self::Order => "order",
            Self::Subscription => "subscription",
            Self::Contract => "contract",
            Self::Invoice => "invoice",
            Self::Payment => "payment",
            Self::PurchaseOrder => "purchase_order",
            Self::ItemReceipt => "item_receipt",
            Self::InventoryLevel => "inventory_level",
        }
    }

    /// The business domain that owns the object; the middle part of its topic's name.
    pub const fn domain(self) -> &'static str {
        match self {
            Self::Customer | Self::Contact | Self::Supplier => "party",
            Self::Product | Self::Price => "catalog",
            Self::Opportunity | Self::Order | Self::Subscription | Self::Contract => "sales",
            Self::Invoice | Self::Payment => "finance",
            Self::PurchaseOrder | Self::ItemReceipt => "procurement",
            Self::InventoryLevel => "inventory",
        }
    }

    /// What can happen to the object: the second part of its event types, in the past tense.
    pub const fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Customer | Self::Contact | Self::Supplier | Self::Product => {
                &["created", "updated", "deactivated"]
            }
            Self::Price => &["set", "withdrawn"],
            Self::Opportunity => &["created", "updated", "won", "lost"],
            Self::Order => &["created", "updated", "confirmed", "fulfilled", "cancelled"],
            Self::Subscription | Self::Contract => &["created", "updated", "renewed", "ended"],
            Self::Invoice => &["posted", "updated", "paid", "voided"],
            Self::Payment => &["received", "updated", "failed", "refunded"],
            Self::PurchaseOrder => &["created", "updated", "approved", "cancelled"],
            Self::ItemReceipt => &["received", "reversed"],
            Self::InventoryLevel => &["counted", "adjusted"],
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ObjectKind {
    type Err = UnknownObject;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|o| o.name() == text).ok_or_else(|| UnknownObject(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for object in ObjectKind::ALL {
            assert_eq!(object.name().parse(), Ok(object));
            assert!(!object.verbs().is_empty());
        }
    }
}
