//! The collections of documents an account has.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of document, by the name it has in the URL.
///
/// These names are written out here and not derived from the `event` crate: the sandbox judges what the platform
/// did, so it shares no code with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are the field's own
pub enum Collection {
    Customers,
    Contacts,
    Suppliers,
    Products,
    Prices,
    Opportunities,
    Orders,
    Subscriptions,
    Contracts,
    Invoices,
    Payments,
    PurchaseOrders,
    ItemReceipts,
    InventoryLevels,
}

impl Collection {
    /// Every collection, in the order of this enumeration.
    pub const ALL: [Self; 14] = [
        Self::Customers,
        Self::Contacts,
        Self::Suppliers,
        Self::Products,
        Self::Prices,
        Self::Opportunities,
        Self::Orders,
        Self::Subscriptions,
        Self::Contracts,
        Self::Invoices,
        Self::Payments,
        Self::PurchaseOrders,
        Self::ItemReceipts,
        Self::InventoryLevels,
    ];

    /// The name in the URL and in JSON: `purchase_orders`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Contacts => "contacts",
            Self::Suppliers => "suppliers",
            Self::Products => "products",
            Self::Prices => "prices",
            Self::Opportunities => "opportunities",
            Self::Orders => "orders",
            Self::Subscriptions => "subscriptions",
            Self::Contracts => "contracts",
            Self::Invoices => "invoices",
            Self::Payments => "payments",
            Self::PurchaseOrders => "purchase_orders",
            Self::ItemReceipts => "item_receipts",
            Self::InventoryLevels => "inventory_levels",
        }
    }

    /// What the document numbers of this collection begin with: `INV` in `INV-2026-00042`.
    pub const fn number_prefix(self) -> &'static str {
        match self {
            Self::Customers => "CUS",
            Self::Contacts => "CON",
            Self::Suppliers => "SUP",
            Self::Products => "PRD",
            Self::Prices => "PRI",
            Self::Opportunities => "OPP",
            Self::Orders => "SO",
            Self::Subscriptions => "SUB",
            Self::Contracts => "CTR",
            Self::Invoices => "INV",
            Self::Payments => "PAY",
            Self::PurchaseOrders => "PO",
            Self::ItemReceipts => "GRN",
            Self::InventoryLevels => "STK",
        }
    }

    /// Whether `strict_references` checks the `customer_id` of this collection's documents.
    pub(crate) const fn refers_to_customer(self) -> bool {
        matches!(self, Self::Orders | Self::Invoices)
    }
}

impl FromStr for Collection {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|collection| collection.name() == name).ok_or(())
    }
}
