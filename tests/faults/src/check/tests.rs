//! Each check notices what it is for.

use std::collections::BTreeSet;

use bytes::Bytes;
use contract::Outcome;
use event::{EventId, EventType};
use kafka::Position;
use sandbox::{EffectRow, EntityRow, Fate};

use super::*;
use crate::{
    books::{Issued, Poison},
    changelog::{Intents, Own, Range},
    moments::Window,
    plan::Folder,
    source::Change,
};

const TOPIC: &str = "cf.t.crm.customer.v1";

/// Two versions of a customer at each target, all committed, one refused invoice and one unreadable record: all is well.
fn good() -> Evidence {
    let mut evidence = Evidence { intents: Some(Intents::default()), ..Evidence::default() };
    for class in Class::ALL {
        for version in [1, 2] {
            // Class N gets new documents only.
            let entity = if class == Class::Neither { format!("C-{version}") } else { "C-1".to_owned() };
            let version = if class == Class::Neither { 1 } else { version };
            let change = Change::of(ObjectKind::Customer, entity, version);
            let id = add(&mut evidence, class, &change, OutcomeStatus::Committed);
            evidence.canaries.insert(id);
        }
        let refused = Change::refused("CLOSED-1");
        let id = add(&mut evidence, class, &refused, OutcomeStatus::Rejected);
        let origin = (TOPIC.to_owned(), 0, evidence.originals.len() as i64);
        let value = Bytes::from(id.clone());
        evidence.originals.insert(origin.clone(), value.clone());
        evidence.letters.push(Letter { origin, code: "SNK-0001".to_owned(), event_id: Some(id), value });
    }
    let origin = (TOPIC.to_owned(), 1, 7);
    let value = Bytes::from_static(b"poison");
    evidence.poison.push(Poison {
        topic: TOPIC.to_owned(),
        at: Position { partition: 1, offset: 7 },
        value: value.to_vec(),
    });
    evidence.letters.push(Letter { origin, code: "CON-0201".to_owned(), event_id: None, value });
    evidence
}

/// An event with its outcome and, if it is committed, its effect. Its id.
fn add(evidence: &mut Evidence, class: Class, change: &Change, status: OutcomeStatus) -> String {
    let event_id = EventId(uuid::Uuid::from_u128(evidence.issued.len() as u128 + 1));
    let id = event_id.to_string();
    evidence.issued.insert(id.clone(), Issued { class, change: change.clone() });
    evidence.outcomes.insert(id.clone(), vec![outcome(event_id, class, change, status)]);
    if status == OutcomeStatus::Committed {
        apply(evidence, class, change, &id);
    }
    id
}

fn outcome(event_id: EventId, class: Class, change: &Change, status: OutcomeStatus) -> Outcome {
    let failed = status != OutcomeStatus::Committed;
    Outcome {
        event_id,
        tenant: class.tenant().unwrap(),
        event_type: "customer.updated".parse::<EventType>().unwrap(),
        entity: change.entity.clone(),
        route: "customers".to_owned(),
        connection: "erp".to_owned(),
        generation: 0,
        status,
        target_document_id: None,
        error_code: failed.then(|| "SNK-0005".to_owned()),
        detail: None,
        attempts: 1,
        source_version: 1,
        occurred_at: 1,
        accepted_at: 1_000,
        first_attempt_at: Some(2_000),
        settled_at: 3_000,
    }
}

fn apply(evidence: &mut Evidence, class: Class, change: &Change, id: &str) {
    let collection = collection(change.object);
    let external_id = change.entity.clone();
    evidence.effects.push((
        class,
        EffectRow {
            position: 1,
            event_id: Some(id.to_owned()),
            collection,
            external_id: external_id.clone(),
            effects: 1,
            document_ids: Vec::new(),
            source_versions: vec![change.version],
        },
    ));
    let same = |row: &&mut (Class, EntityRow)| row.0 == class && row.1.external_id == external_id;
    match evidence.entities.iter_mut().find(same) {
        Some((_, row)) => row.source_versions.push(change.version),
        None => evidence.entities.push((
            class,
            EntityRow {
                position: 1,
                collection,
                external_id: external_id.clone(),
                created: 1,
                updated: 0,
                out_of_order: 0,
                source_versions: vec![change.version],
                idempotency_keys: Vec::new(),
            },
        )),
    }
    let body = serde_json::json!({
        "id": external_id,
        "extensions": {"revision": revision(&change.entity, change.version)},
    });
    let request = RequestRow {
        position: 1,
        at: 2_000,
        ended_at: Some(2_500),
        fate: Fate::Applied,
        collection,
        external_id,
        event_id: Some(id.to_owned()),
        source_version: Some(change.version),
        key: None,
        data: Some(serde_json::value::to_raw_value(&body).unwrap()),
    };
    intend(evidence, class, id, &request);
    evidence.requests.push((class, request));
}

/// K and U share the Intent of a range, N has one of its own.
fn intend(evidence: &mut Evidence, class: Class, id: &str, request: &RequestRow) {
    let Some(intents) = &mut evidence.intents else { return };
    if class == Class::Neither {
        let own = Own { hash: intents::request_hash(class, request).unwrap(), at: request.at - 1_000 };
        intents.own.insert(id.to_owned(), vec![own]);
        return;
    }
    let partition = Class::ALL.iter().position(|one| *one == class).unwrap() as i32;
    let offset = evidence.positions.len() as i64;
    evidence.positions.insert(id.to_owned(), (TOPIC.to_owned(), partition, offset));
    let range = Range { until: 100, at: request.at - 1_000 };
    intents.ranges.insert((TOPIC.to_owned(), partition), vec![range]);
}

fn ids(evidence: &Evidence) -> BTreeSet<&'static str> {
    violations(evidence).into_iter().map(|violation| violation.id).collect()
}

/// The events of a class, oldest first.
fn events(evidence: &Evidence, class: Class) -> Vec<String> {
    let mut ids: Vec<_> =
        evidence.issued.iter().filter(|(_, i)| i.class == class).map(|(id, _)| id).collect();
    ids.sort();
    ids.into_iter().cloned().collect()
}

fn effect<'a>(evidence: &'a mut Evidence, id: &str) -> &'a mut EffectRow {
    let found = evidence.effects.iter_mut().find(|(_, row)| row.event_id.as_deref() == Some(id));
    &mut found.unwrap().1
}

fn say(evidence: &mut Evidence, id: &str, statuses: &[OutcomeStatus]) {
    let outcomes = evidence.outcomes.get_mut(id).unwrap();
    let first = outcomes[0].clone();
    let code = |status| (status != OutcomeStatus::Committed).then(|| "SNK-0010".to_owned());
    let with =
        |status: &OutcomeStatus| Outcome { status: *status, error_code: code(*status), ..first.clone() };
    *outcomes = statuses.iter().map(with).collect();
}

fn during(evidence: &mut Evidence, fault: Fault) {
    evidence.moments.windows.push(Window { round: 4, fault, from: 2_000, to: 2_600 });
}

#[test]
fn nothing_is_wrong_where_all_is_well() {
    assert_eq!(violations(&good()), []);
}

/// Breaks what is well, event by event, and says which invariant must notice.
type Breakage = (&'static str, fn(&mut Evidence, &str));

#[test]
fn every_loss_every_double_and_every_invention_is_noticed() {
    let breakages: [Breakage; 9] = [
        ("CON-1", |evidence, id| drop(evidence.outcomes.remove(id))),
        ("CON-1", |evidence, id| evidence.outcomes.get_mut(id).unwrap()[0].entity = "another".to_owned()),
        ("LED-1", |evidence, id| say(evidence, id, &[OutcomeStatus::Rejected, OutcomeStatus::Committed])),
        ("CON-2", |evidence, id| drop(evidence.issued.remove(id))),
        ("CON-2", |evidence, id| effect(evidence, id).source_versions = vec![9]),
        ("CON-2", |evidence, id| effect(evidence, id).external_id = "another".to_owned()),
        ("EFF", |evidence, id| effect(evidence, id).effects = 2),
        ("EFF", |evidence, id| effect(evidence, id).effects = 0),
        ("EFF", |evidence, id| say(evidence, id, &[OutcomeStatus::Superseded])),
    ];
    for (number, (name, breakage)) in breakages.into_iter().enumerate() {
        for class in Class::ALL {
            let mut evidence = good();
            let id = events(&evidence, class).remove(0);
            breakage(&mut evidence, &id);
            let found = ids(&evidence);
            assert!(found.iter().any(|id| id.starts_with(name)), "{number} {class}: {name} not in {found:?}");
        }
    }
}

#[test]
fn an_acknowledgement_that_cannot_have_its_replicas_is_noticed() {
    let mut evidence = good();
    evidence.moments.unreplicated.push((1_000, 2_000));
    // Begun before, or ended after: it may have had them.
    evidence.acknowledged = vec![(900, 1_100), (1_900, 2_100)];
    assert_eq!(ids(&evidence), BTreeSet::new());
    evidence.acknowledged.push((1_100, 1_900));
    assert_eq!(ids(&evidence), BTreeSet::from(["CON-1"]));
}

#[test]
fn a_payload_of_another_version_is_noticed() {
    let mut evidence = good();
    let body = serde_json::json!({"id": "C-1", "extensions": {"revision": "C-1@1"}});
    evidence.requests[1].1.data = Some(serde_json::value::to_raw_value(&body).unwrap());
    assert_eq!(ids(&evidence), BTreeSet::from(["CON-2"]), "a range says nothing of bytes");
}

#[test]
fn a_version_on_top_of_a_newer_one_is_noticed() {
    let mut evidence = good();
    evidence.entities[0].1.source_versions = vec![2, 1];
    assert_eq!(ids(&evidence), BTreeSet::from(["ORD-1"]));
    evidence.entities[0].1.source_versions = vec![1];
    assert_eq!(ids(&evidence), BTreeSet::from(["ORD-1"]), "the newest one is missing");
}

#[test]
fn dead_letters_must_be_there_and_be_the_original() {
    let breakages: [fn(&mut Evidence); 6] = [
        |evidence| drop(evidence.letters.remove(0)),
        |evidence| drop(evidence.letters.pop()),
        |evidence| evidence.letters[0].value = Bytes::from_static(b"something else"),
        |evidence| evidence.letters[0].code.clear(),
        |evidence| evidence.letters[3].value = Bytes::from_static(b"something else"),
        |evidence| evidence.poison.clear(),
    ];
    for (number, breakage) in breakages.into_iter().enumerate() {
        let mut evidence = good();
        breakage(&mut evidence);
        assert_eq!(ids(&evidence), BTreeSet::from(["DLQ-1"]), "{number}");
    }
    let mut evidence = good();
    let committed = events(&evidence, Class::Upsert).remove(0);
    evidence.letters[0].event_id = Some(committed);
    assert!(ids(&evidence).contains("DLQ-1"), "a letter of a committed event, and none of the rejected one");
}

#[test]
fn a_doubt_needs_a_fault_that_explains_it() {
    let stores = Fault::Target { class: Class::Keyed, trouble: Trouble::StoresFailures };
    let drops = Fault::Target { class: Class::Neither, trouble: Trouble::DropsAnswers };
    let killed = Fault::KillSink { sink: 0, folder: Folder::Kept };
    for (class, fault, explained) in [
        (Class::Keyed, killed, false),
        (Class::Keyed, stores, true),
        (Class::Upsert, killed, false),
        (Class::Upsert, stores, false),
        (Class::Neither, killed, true),
        (Class::Neither, drops, true),
        (Class::Neither, stores, false),
        (Class::Neither, Fault::KillGateway, false),
    ] {
        let mut evidence = Evidence::default();
        let change = Change::of(ObjectKind::Payment, "P-1", 1);
        add(&mut evidence, class, &change, OutcomeStatus::InDoubt);
        assert_eq!(ids(&evidence), BTreeSet::from(["DBT-1"]), "{class} without any fault");
        during(&mut evidence, fault);
        assert_eq!(ids(&evidence).is_empty(), explained, "{class} {fault}");
        evidence.moments.windows[0].from = 1_000_000_000;
        assert_eq!(ids(&evidence), BTreeSet::from(["DBT-1"]), "{class}: the fault came later");
    }
}

#[test]
fn a_lost_answer_of_class_n_must_be_parked() {
    let mut evidence = good();
    let n = evidence.requests.iter_mut().find(|(class, _)| *class == Class::Neither).unwrap();
    n.1.fate = Fate::AppliedUnanswered;
    assert_eq!(ids(&evidence), BTreeSet::from(["DBT-1"]));
}

#[test]
fn an_event_has_one_outcome_whichever_came_first() {
    for statuses in [
        [OutcomeStatus::InDoubt, OutcomeStatus::Committed],
        [OutcomeStatus::Committed, OutcomeStatus::InDoubt],
    ] {
        let mut evidence = good();
        let id = events(&evidence, Class::Neither).remove(0);
        say(&mut evidence, &id, &statuses);
        assert!(ids(&evidence).contains("LED-1"));
    }
}

#[test]
fn no_rest_no_canary_and_a_counted_violation_are_noticed() {
    let breakages: [Breakage; 4] = [
        ("OFF-2", |evidence, _| evidence.behind.push((TOPIC.to_owned(), 3, 4, 5))),
        ("LIV-1", |evidence, _| evidence.canaries.extend(["never seen".to_owned()])),
        ("LIV-1", |evidence, _| evidence.unexpected.push("sink-0: exit status 1".to_owned())),
        ("IN-CODE", |evidence, _| {
            let series = "counterfoil_sink_invariant_violations_count{id=\"ORD-1\"}".to_owned();
            evidence.counted.extend([(series, 1.0)]);
        }),
    ];
    for (name, breakage) in breakages {
        let mut evidence = good();
        breakage(&mut evidence, "");
        assert_eq!(ids(&evidence), BTreeSet::from([name]));
    }
}

/// The first request of a class, and the event that it is of.
fn request(evidence: &Evidence, class: Class) -> (String, RequestRow) {
    let (_, row) = evidence.requests.iter().find(|(of, _)| *of == class).unwrap();
    (row.event_id.clone().unwrap(), row.clone())
}

/// The Intent of a class's first request as `change` leaves it.
fn with_intents(class: Class, change: impl FnOnce(&mut Intents, &str)) -> Evidence {
    let mut evidence = good();
    let (id, _) = request(&evidence, class);
    change(evidence.intents.as_mut().unwrap(), &id);
    evidence
}

#[test]
fn a_request_without_its_intent_is_noticed() {
    let n = |change: fn(&mut Vec<Own>)| {
        with_intents(Class::Neither, |intents, id| change(intents.own.get_mut(id).unwrap()))
    };
    let ranges = |change: fn(&mut Range)| {
        with_intents(Class::Upsert, |intents, _| intents.ranges.values_mut().flatten().for_each(change))
    };
    for (what, evidence) in [
        ("none", n(Vec::clear)),
        ("later than its request", n(|own| own[0].at = 2_001)),
        ("of other bytes", n(|own| own[0].hash ^= 1)),
        ("no range", with_intents(Class::Keyed, |intents, _| intents.ranges.clear())),
        ("a range that ends before it", ranges(|range| range.until = 0)),
        ("a range later than its request", ranges(|range| range.at = 2_001)),
    ] {
        assert_eq!(ids(&evidence), BTreeSet::from(["INT-1"]), "{what}");
    }
}

#[test]
fn a_repeat_needs_an_intent_more_at_n_and_says_the_same_everywhere() {
    let mut evidence = good();
    let (id, row) = request(&evidence, Class::Neither);
    evidence.requests.push((Class::Neither, row));
    assert_eq!(ids(&evidence), BTreeSet::from(["INT-1"]));
    let own = evidence.intents.as_mut().unwrap().own.get_mut(&id).unwrap();
    own.push(own[0]);
    assert_eq!(ids(&evidence), BTreeSet::new());

    let mut evidence = good();
    let (_, row) = request(&evidence, Class::Keyed);
    let other = serde_json::value::to_raw_value("something else").unwrap();
    let repeat = RequestRow { data: Some(other), fate: Fate::Replayed, ..row };
    evidence.requests.push((Class::Keyed, repeat));
    assert_eq!(ids(&evidence), BTreeSet::from(["INT-1"]));
}

/// Each attempt has its own Intent and no range is there. At K the changelog has it late, at U in time.
fn with_an_intent_each() -> Evidence {
    let mut evidence = with_intents(Class::Keyed, |intents, _| intents.ranges.clear());
    evidence.each_intent = true;
    for (class, row) in evidence.requests.iter().filter(|(of, _)| *of != Class::Neither) {
        let at = if *class == Class::Keyed { row.at + 5_000 } else { row.at };
        let own = Own { hash: intents::request_hash(*class, row).unwrap(), at };
        evidence.intents.as_mut().unwrap().own.insert(row.event_id.clone().unwrap(), vec![own]);
    }
    evidence
}

/// The sink's own store had it, and the process ended before the changelog did.
#[test]
fn an_intent_of_k_may_be_missing_only_where_a_sink_ended_in_between() {
    let mut evidence = with_an_intent_each();
    assert_eq!(ids(&evidence), BTreeSet::new());
    let (id, _) = request(&evidence, Class::Keyed);
    evidence.intents.as_mut().unwrap().own.remove(&id);
    assert_eq!(ids(&evidence), BTreeSet::from(["INT-1"]));
    evidence.moments.kills = vec![1_999, 3_001];
    assert_eq!(ids(&evidence), BTreeSet::from(["INT-1"]), "before it, and after its outcome");
    evidence.moments.kills = vec![2_200];
    assert_eq!(ids(&evidence), BTreeSet::new());
    evidence.each_intent = false;
    assert_eq!(ids(&evidence), BTreeSet::from(["INT-1"]), "the sinks share Intents");
}

/// Whoever takes over reads no other disk, so there is no excuse for a changelog that has it late.
#[test]
fn an_intent_of_u_is_in_the_changelog_first_and_one_for_each_attempt() {
    let mut evidence = with_an_intent_each();
    let (id, row) = request(&evidence, Class::Upsert);
    evidence.moments.kills = vec![2_200];
    let own = |evidence: &mut Evidence, at: Vec<i64>| {
        let own = evidence.intents.as_mut().unwrap().own.get_mut(&id).unwrap();
        *own = at.into_iter().map(|at| Own { hash: own[0].hash, at }).collect();
    };
    own(&mut evidence, vec![row.at + 1]);
    assert_eq!(ids(&evidence), BTreeSet::from(["INT-1"]), "late");
    own(&mut evidence, vec![row.at]);
    assert_eq!(ids(&evidence), BTreeSet::new());
    evidence.requests.push((Class::Upsert, RequestRow { fate: Fate::Replayed, ..row.clone() }));
    assert_eq!(ids(&evidence), BTreeSet::from(["INT-1"]), "a repeat without one of its own");
    own(&mut evidence, vec![row.at, row.at]);
    assert_eq!(ids(&evidence), BTreeSet::new());
}
