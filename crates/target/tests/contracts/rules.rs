//! Each error rule decides a case: one that never does may be wrong, or stand behind another one, and nobody would see it.

use delivery::{Answer, ErrorClass};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use target::{
    Meaning,
    definition::{Object, RuleOutcome},
};

use super::*;

/// An answer as it was recorded: what a file of `connectors/<system>/tests/errors` holds.
#[derive(Deserialize)]
struct Recorded {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// The answers that were recorded of a system that tests run against.
fn recorded(system: &str) -> Vec<Recorded> {
    let files = fs::read_dir(folder().join(system).join("tests/errors")).into_iter().flatten();
    let read = |path: PathBuf| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    files.map(|entry| read(entry.unwrap().path())).collect()
}

/// None of a look that went well.
fn answer(meaning: Meaning) -> Option<Answer> {
    match meaning {
        Meaning::Answer(answer) => Some(answer),
        Meaning::Found(_) | Meaning::Absent | Meaning::Several => None,
        Meaning::Job(_) | Meaning::Running | Meaning::Done | Meaning::Failed | Meaning::Unread => None,
    }
}

/// What a definition makes of every case of its system, of answers that are not ok.
fn answers(system: &str, connector: &Connector) -> Vec<Answer> {
    let alone = cases::<AnswerCase>(system).into_iter();
    let mut answers: Vec<Answer> =
        alone.filter_map(|case| answer(case.understood(connector).unwrap().1)).collect();
    for case in cases::<BulkCase>(system) {
        answers.extend(case.understood(connector).unwrap());
    }
    let is_written = |object: &Object| {
        let operation = &object.operation;
        operation.create.is_some() || operation.upsert.is_some() || operation.keyed.is_some()
    };
    let (some, _) = connector.objects.iter().find(|(_, object)| is_written(object)).unwrap();
    let write = cases::endpoint(connector, some, None, &BTreeMap::new()).unwrap();
    answers.extend(recorded(system).iter().filter_map(|one| {
        let mut headers = HeaderMap::new();
        for (name, value) in &one.headers {
            headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        let body = one.body.as_str().map_or_else(|| one.body.to_string(), str::to_owned);
        answer(write.understands("write", one.status, &headers, body.as_bytes())?)
    }));
    answers
}

/// Every rule gets a wait of its own: the waits that come back name the rules that decided.
#[test]
fn every_error_rule_decides_a_case() {
    let (mut idle, mut number) = (Vec::new(), 0);
    for (system, (mut connector, _)) in definitions() {
        if cases::<AnswerCase>(&system).is_empty() {
            continue; // our own system for tests
        }
        let of_answers = |rule: &target::definition::Rule| rule.when.transport.is_empty();
        for (at, rule) in connector.errors.rules.iter_mut().enumerate().filter(|(_, rule)| of_answers(rule)) {
            (rule.class, rule.outcome) = (ErrorClass::Throttled, RuleOutcome::NotApplied);
            rule.wait = Some(format!("{}ms", at + 1));
        }
        if let Some(key) = &mut connector.key {
            key.replayed.clear(); // what is answered for the second time has no wait
        }
        let decided: BTreeSet<u64> = answers(&system, &connector)
            .iter()
            .filter_map(|answer| match answer {
                Answer::Again { after_ms, .. } => *after_ms,
                _ => None,
            })
            .collect();
        for (at, rule) in connector.errors.rules.iter().enumerate().filter(|(_, rule)| of_answers(rule)) {
            number += 1;
            if !decided.contains(&(at as u64 + 1)) {
                idle.push(format!("{system}: {:?}", rule.when));
            }
        }
    }
    assert!(idle.is_empty(), "{} of {number} rules decide no case\n{}", idle.len(), idle.join("\n"));
    assert!(number > 200, "{number} rules");
}
