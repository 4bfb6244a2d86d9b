//! The example tenants: what the demo relies on, and that the compiled-in copy is the folder's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeSet, fs, path::Path};

use event::{EventType, ObjectKind};
use tenancy::{Given, OnUnknown, TargetClass, TenantSet};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tenants");
const SECRETS: [&str; 5] = [
    "COUNTERFOIL_ACME_KEY",
    "COUNTERFOIL_GLOBEX_KEY",
    "COUNTERFOIL_INITECH_KEY",
    "COUNTERFOIL_ACME_STRIPE_SECRET",
    "COUNTERFOIL_GLOBEX_SHOPIFY_SECRET",
];

const ROUTED: [ObjectKind; 4] =
    [ObjectKind::Customer, ObjectKind::Order, ObjectKind::Invoice, ObjectKind::Payment];
const CREATING: [&str; 4] = ["customer.created", "order.created", "invoice.posted", "payment.received"];

fn secrets() -> Given {
    Given::new(SECRETS.map(|name| (name, format!("value-of-{name}"))))
}

#[test]
fn the_compiled_in_copy_is_the_folder() {
    let (folder, compiled) =
        (TenantSet::load(Path::new(FOLDER), &secrets()).unwrap(), TenantSet::example(&secrets()).unwrap());
    let ids = |set: &TenantSet| set.iter().map(|t| t.id.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&folder), ids(&compiled));
    for (a, b) in folder.iter().zip(compiled.iter()) {
        assert_eq!(
            format!("{:?} {:?} {:?}", a.connections, a.routes, a.quota),
            format!("{:?} {:?} {:?}", b.connections, b.routes, b.quota)
        );
    }
    // A file that is not compiled in would be missed above only if it were ignored; count them too.
    let count = |kind: &str| -> usize {
        let tenants =
            fs::read_dir(FOLDER).unwrap().map(|e| e.unwrap().path().join(kind)).filter(|p| p.is_dir());
        tenants.map(|p| fs::read_dir(p).unwrap().count()).sum()
    };
    assert_eq!(count("routes"), compiled.iter().map(|t| t.routes.len()).sum::<usize>());
    assert_eq!(count("connections"), compiled.iter().map(|t| t.connections.len()).sum::<usize>());
}

#[test]
fn each_example_tenant_has_a_target_of_another_class() {
    let source = Given::new([("COUNTERFOIL_SANDBOX_URL", "http://127.0.0.1:4000")]).or(secrets());
    let set = TenantSet::example(&source).unwrap();
    let classes =
        [("acme", TargetClass::Keyed), ("globex", TargetClass::Upsert), ("initech", TargetClass::Neither)];
    for (name, class) in classes {
        let tenant = set.tenant(&name.parse().unwrap()).unwrap();
        let erp = &tenant.connections["erp"];
        assert_eq!((erp.class.all, erp.connector.as_str()), (Some(class), "sandbox"));
        assert_eq!(erp.base_url, Some(format!("http://127.0.0.1:4000/{name}")));
        for event_type in EventType::all().filter(|t| ROUTED.contains(&t.object())) {
            let routes = tenant.routes_for(event_type);
            // A target that offers nothing is given new documents only: a second write would be a second document.
            let wanted = class != TargetClass::Neither || CREATING.contains(&event_type.to_string().as_str());
            assert_eq!(routes.len(), usize::from(wanted), "{name}: {event_type}");
            assert!(routes.iter().all(|r| r.connection.name == "erp" && r.on_unknown == OnUnknown::Park));
        }
    }
    assert!(set.tenant(&"acme".parse().unwrap()).unwrap().connections["stripe"].webhook.is_some());
    assert!(set.tenant(&"globex".parse().unwrap()).unwrap().connections["shopify"].webhook.is_some());
}

#[test]
fn a_missing_secret_is_named() {
    let text = TenantSet::example(&Given::default()).unwrap_err().to_string();
    for name in SECRETS {
        assert!(text.contains(&format!("CFG-0110: variable `{name}` is not set")), "{text}");
    }
}
