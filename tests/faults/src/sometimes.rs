//! What must have happened at least once: a campaign in which a fault never really happened has proved nothing.

use std::collections::{BTreeSet, HashMap};

use contract::OutcomeStatus;
use sandbox::{Fate, Requests};

use crate::{
    admin,
    brokers::Breakage,
    check::collection,
    class::Class,
    evidence::Evidence,
    moments::Window,
    plan::{Fault, Folder, Trouble},
};

/// What a campaign had in mind, and whether it came to pass.
struct Wish<'a> {
    what: &'static str,
    /// Among the faults that were drawn, one that is to lead to it.
    by: &'a dyn Fn(Fault) -> bool,
    happened: bool,
}

/// What never happened although a fault was drawn that is to lead to it.
pub fn missing(evidence: &Evidence) -> Vec<&'static str> {
    let drawn = |by: &dyn Fn(Fault) -> bool| evidence.moments.windows.iter().any(|window| by(window.fault));
    let possible = |what: &str| !evidence.moments.impossible.contains(&what);
    let wishes = wishes(evidence);
    let unfulfilled = wishes.iter().filter(|w| !w.happened && possible(w.what) && drawn(w.by));
    let mut missing: Vec<&'static str> = unfulfilled.map(|wish| wish.what).collect();
    missing.extend(without_bite(evidence));
    missing
}

fn wishes(evidence: &Evidence) -> Vec<Wish<'_>> {
    let seen = |what: &'static str| evidence.moments.seen.contains(&what);
    let counted = |name: &str| admin::sum(&evidence.counted, name, "") > 0.0;
    let parked = |class: Class, code: &str| {
        evidence.issued.iter().filter(|(_, issued)| issued.class == class).any(|(id, _)| {
            evidence.outcome(id).is_some_and(|outcome| {
                outcome.status == OutcomeStatus::InDoubt && outcome.error_code.as_deref() == Some(code)
            })
        })
    };
    let ended = |status: OutcomeStatus| evidence.outcomes.values().flatten().any(|o| o.status == status);
    let fates: BTreeSet<(Class, &str)> =
        evidence.requests.iter().map(|(class, row)| (*class, fate(row.fate))).collect();
    let happened = |class: Class, what: Fate| fates.contains(&(class, fate(what)));
    let count = |of: fn(&Requests) -> u64| evidence.counts.values().map(of).sum::<u64>() > 0;
    let wish = |what, by: &'static dyn Fn(Fault) -> bool, happened| Wish { what, by, happened };
    vec![
        wish("crash after the effect and before its outcome", &is_kill, crash_after_effect(evidence)),
        wish("duplicate stopped by the ledger", &any, counted("counterfoil_sink_duplicates_total")),
        wish("duplicate stopped by the target's key", &loses_answers, happened(Class::Keyed, Fate::Replayed)),
        wish("look-up found the document", &loses_answers_of_u, happened(Class::Upsert, Fate::Found)),
        wish("look-up found nothing", &is_kill, happened(Class::Upsert, Fate::Absent)),
        wish("foreign Intent met", &is_kill, parked(Class::Neither, "SNK-0010")),
        wish("parked after a lost answer", &loses_answers_of_n, parked(Class::Neither, "SNK-0005")),
        wish("parked for a stored failure", &stores, parked(Class::Keyed, "SNK-0004")),
        wish("restored from empty", &wipes, evidence.restored_from_empty > 0),
        wish("damaged ledger noticed", &flips, noticed_damage(evidence)),
        wish("older ledger put back", &|f| is_folder(f, Folder::Older), seen("sink_killed_ledger_older")),
        wish(
            "sleeper's partitions taken over",
            &|f| matches!(f, Fault::StopSink { .. }),
            seen("sink_stopped"),
        ),
        wish("brokers_away", &|f| f == Fault::BrokersAway, seen("brokers_away")),
        wish("leadership moved: killed", &|f| is_brokers(f, Breakage::LeaderKilled), seen("leader_killed")),
        wish("leadership moved: stopped", &|f| is_brokers(f, Breakage::Stopped), seen("broker_stopped")),
        wish("leadership moved: rolled", &|f| is_brokers(f, Breakage::Rolled), seen("brokers_rolled")),
        wish("coordinator moved", &kills_coordinator, seen("coordinator_killed")),
        wish("commits failed", &kills_coordinator, seen("commits_failed")),
        wish("commits went on", &kills_coordinator, seen("commits_went_on")),
        wish(
            "turned away or late with too few replicas",
            &|f| is_brokers(f, Breakage::TwoKilled),
            held_up(evidence),
        ),
        wish("third sink posted", &|f| f == Fault::ThirdSink, seen("third_sink")),
        wish("drained", &|f| matches!(f, Fault::DrainSink { .. }), seen("sink_drained")),
        wish("gateway killed with a request under way", &|f| f == Fault::KillGateway, evidence.cut_off > 0),
        wish("throttled", &|f| has(f, Trouble::Throttles), count(|requests| requests.throttled)),
        wish("superseded", &any, ended(OutcomeStatus::Superseded)),
        wish("rejected", &any, ended(OutcomeStatus::Rejected)),
        wish("unreadable record", &any, evidence.letters.iter().any(|letter| letter.event_id.is_none())),
        wish("registry missed", &is_registry, missed_registry(evidence)),
    ]
}

fn any(_: Fault) -> bool {
    true
}

fn is_kill(fault: Fault) -> bool {
    matches!(fault, Fault::KillSink { .. })
}

fn is_folder(fault: Fault, wanted: Folder) -> bool {
    matches!(fault, Fault::KillSink { folder, .. } if folder == wanted)
}

fn wipes(fault: Fault) -> bool {
    is_folder(fault, Folder::Wiped)
}

fn flips(fault: Fault) -> bool {
    is_folder(fault, Folder::Flipped)
}

fn is_registry(fault: Fault) -> bool {
    matches!(fault, Fault::RegistryAway { .. })
}

fn is_brokers(fault: Fault, wanted: Breakage) -> bool {
    fault == Fault::Brokers(wanted)
}

fn kills_coordinator(fault: Fault) -> bool {
    is_brokers(fault, Breakage::CoordinatorKilled)
}

/// Each time that no record could have enough replicas, the gateway turned a request away, or kept it until the end.
fn held_up(evidence: &Evidence) -> bool {
    evidence.moments.unreplicated.iter().all(|(from, to)| {
        let turned_away = evidence.turned_away.iter().any(|(_, ended)| ended >= from && ended <= to);
        let late = evidence.acknowledged.iter().any(|(began, ended)| began <= to && ended > to);
        turned_away || late
    })
}

fn has(fault: Fault, wanted: Trouble) -> bool {
    matches!(fault, Fault::Target { trouble, .. } if trouble == wanted)
}

fn stores(fault: Fault) -> bool {
    has(fault, Trouble::StoresFailures)
}

fn drops(fault: Fault, of: Class) -> bool {
    let troubles = [Trouble::DropsAnswers, Trouble::AppliesLate];
    matches!(fault, Fault::Target { class, trouble } if class == of && troubles.contains(&trouble))
}

fn loses_answers(fault: Fault) -> bool {
    drops(fault, Class::Keyed)
}

fn loses_answers_of_u(fault: Fault) -> bool {
    drops(fault, Class::Upsert)
}

fn loses_answers_of_n(fault: Fault) -> bool {
    drops(fault, Class::Neither)
}

fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Replayed => "replayed",
        Fate::Found => "found",
        Fate::Absent => "absent",
        _ => "other",
    }
}

fn noticed_damage(evidence: &Evidence) -> bool {
    evidence.distrusted > 0 || evidence.log.contains("damaged")
}

fn missed_registry(evidence: &Evidence) -> bool {
    ["registry does not answer", "registry is not available"].iter().any(|text| evidence.log.contains(text))
}

/// A sink was killed when the target had applied a request, and nobody had written that down.
fn crash_after_effect(evidence: &Evidence) -> bool {
    evidence.requests.iter().filter(|(_, row)| row.fate.is_effect()).any(|(_, row)| {
        let outcome = row.event_id.as_deref().and_then(|id| evidence.outcome(id));
        let (Some(applied), Some(outcome)) = (row.ended_at, outcome) else { return false };
        evidence.moments.kills.iter().any(|kill| applied <= *kill && outcome.settled_at >= *kill)
    })
}

/// Faults of targets in whose time nothing at the target went other than usual.
fn without_bite(evidence: &Evidence) -> BTreeSet<&'static str> {
    let mut bites: HashMap<&'static str, bool> = HashMap::new();
    for window in &evidence.moments.windows {
        if let Fault::Target { class, .. } = window.fault {
            *bites.entry(window.fault.name()).or_default() |= bit(evidence, class, window);
        }
    }
    bites.into_iter().filter(|(_, bit)| !bit).map(|(name, _)| name).collect()
}

/// Whether a posting under way in that time took more than one attempt, a look-up, long, or ended in doubt.
fn bit(evidence: &Evidence, class: Class, window: &Window) -> bool {
    const LONG: i64 = 500_000;
    let looked: BTreeSet<_> = evidence
        .requests
        .iter()
        .filter(|(of, row)| *of == class && matches!(row.fate, Fate::Found | Fate::Absent))
        .map(|(_, row)| (row.collection, row.external_id.as_str()))
        .collect();
    evidence.issued.iter().filter(|(_, issued)| issued.class == class).any(|(id, issued)| {
        let Some(outcome) = evidence.outcome(id) else { return false };
        let began = outcome.first_attempt_at.unwrap_or(outcome.accepted_at);
        let unusual = outcome.attempts > 1
            || outcome.status == OutcomeStatus::InDoubt
            || outcome.settled_at - began > LONG
            || looked.contains(&(collection(issued.change.object), issued.change.entity.as_str()));
        unusual && window.meets(began, outcome.settled_at)
    })
}
