//! Records that nobody can read are dead letters with their original bytes, and their partition goes on.

use event::{ObjectKind, RecordKey};
use kafka::ReadRecord;

use crate::harness::{
    World,
    events::customer,
    tenants::{Target, Tenant},
    until,
};

fn header(record: &ReadRecord, name: &str) -> String {
    let found = record.headers.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_dead_letters_with_their_bytes_and_the_partition_goes_on() {
    let acme = Tenant::new("acme", Target::Keyed);
    let world = World::start(std::slice::from_ref(&acme)).await;
    let gateway = world.gateway().await;
    let mut accepted = gateway.door.accepts(&acme, &[customer("C-1", 1)]).await;
    let good = world.topics.records(&world.topics.of(ObjectKind::Customer)).await.remove(0);
    let (key, value) = (good.key.unwrap(), good.value.unwrap());
    assert_eq!(key, RecordKey::new(acme.id(), ObjectKind::Customer, "C-1").unwrap().to_bytes());

    let mut unknown_schema = value.to_vec();
    unknown_schema[1..5].copy_from_slice(&987_654_u32.to_be_bytes());
    let poison: [(&str, &str, Vec<u8>); 5] = [
        ("CON-0201", "acme/customer/C-1", b"not avro at all".to_vec()),
        ("CON-0202", "acme/customer/C-1", value[..value.len() - 3].to_vec()),
        ("REG-0001", "acme/customer/C-1", unknown_schema),
        // Under another entity's key, and under that of a tenant that does not exist.
        ("SNK-0011", "acme/customer/C-2", value.to_vec()),
        ("SNK-0011", "nobody/customer/C-1", value.to_vec()),
    ];
    let mut positions = Vec::new();
    for (_, key, value) in &poison {
        let placed = world.topics.publish(&acme.id(), ObjectKind::Customer, key.as_bytes(), value).await;
        positions.push(placed);
    }
    accepted.extend(gateway.door.accepts(&acme, &[customer("C-1", 2), customer("C-2", 1)]).await);
    let sink = world.sink("ledger");

    world.proven(&acme, &accepted).await;
    assert_eq!(world.erp.totals(&acme.id).await.documents, 2);
    let ours = acme.id();
    until("all dead letters", async || {
        world.topics.dead_letters(Some(&ours)).await.len() >= 4
            && !world.topics.dead_letters(None).await.is_empty()
    })
    .await;
    let mut letters = world.topics.dead_letters(Some(&ours)).await;
    letters.extend(world.topics.dead_letters(None).await);
    assert_eq!(letters.len(), poison.len(), "{letters:?}");
    for ((code, key, value), at) in poison.iter().zip(&positions) {
        let place = at.offset.to_string();
        let of_place = |l: &&ReadRecord| {
            header(l, "cf-origin-offset") == place
                && header(l, "cf-origin-partition") == at.partition.to_string()
        };
        let letter = letters.iter().find(of_place).unwrap_or_else(|| panic!("{code}: {letters:?}"));
        assert_eq!(letter.value.as_deref(), Some(&value[..]), "{code}: the original bytes");
        assert_eq!(header(letter, "cf-original-key"), *key, "{code}");
        assert_eq!(header(letter, "cf-code"), *code, "{letter:?}");
        assert_eq!(header(letter, "cf-origin-topic"), world.topics.of(ObjectKind::Customer));
    }
    world.topics.committed_to_the_end(&world.group(), ObjectKind::Customer).await;
    sink.drains().await;
}
