//! The example tenants, compiled in so that the demo runs from any folder.

use std::collections::BTreeMap;

use crate::files::Folder;

macro_rules! tenant {
    ($tenant:literal: $($file:literal),* $(,)?) => {
        ($tenant.to_owned(), Folder::from([
            $(($file.to_owned(), include_str!(concat!("../../../tenants/", $tenant, "/", $file)).to_owned())),*
        ]))
    };
}

/// The folders of `tenants/`. A test holds them against the files.
pub(crate) fn folders() -> BTreeMap<String, Folder> {
    BTreeMap::from([
        tenant!("acme":
            "tenant.yaml", "connections/erp.yaml", "connections/stripe.yaml", "routes/customers.yaml",
            "routes/invoices.yaml", "routes/orders.yaml", "routes/payments.yaml"),
        tenant!("globex":
            "tenant.yaml", "connections/erp.yaml", "connections/shopify.yaml", "routes/customers.yaml",
            "routes/invoices.yaml", "routes/orders.yaml", "routes/payments.yaml"),
        tenant!("initech":
            "tenant.yaml", "connections/erp.yaml", "routes/customers.yaml", "routes/invoices.yaml",
            "routes/orders.yaml", "routes/payments.yaml"),
    ])
}
