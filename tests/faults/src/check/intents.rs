//! INT-1: every request that a target saw had its Intent.

use std::collections::HashMap;

use sandbox::RequestRow;
use sha2::{Digest as _, Sha256};

use super::Check;
use crate::{changelog::Intents, class::Class, evidence::Evidence, plan::Fault};

impl Check<'_> {
    /// N, and U where each attempt has an Intent of its own: as many of them in the changelog before the request as requests of the event,
    /// of the same bytes. U otherwise, and K: a range that covers the event, in the changelog before the request; or an Intent of its
    /// own, of the same bytes. K's is durable in the sink's store first, which nobody but the sink sees: the changelog may have it
    /// later, and a process that ended in between may have left it out. And all requests of an event say the same.
    pub(super) fn intents(&mut self) {
        let evidence = self.evidence;
        let Some(intents) = &evidence.intents else { return };
        let mut sent: HashMap<&str, (usize, u64)> = HashMap::new();
        for (class, row) in &evidence.requests {
            let (Some(id), Some(hash)) = (row.event_id.as_deref(), request_hash(*class, row)) else {
                continue;
            };
            let (requests, first) = sent.entry(id).or_insert((0, hash));
            *requests += 1;
            if *first != hash {
                self.report("INT-1", Some(id), format!("a repeat says something else: {row:?}"));
            }
            if !is_intended(evidence, intents, *class, (id, row, hash), *requests) {
                self.report("INT-1", Some(id), format!("{class}: request {requests} had no Intent: {row:?}"));
            }
        }
    }
}

fn is_intended(
    evidence: &Evidence,
    intents: &Intents,
    class: Class,
    (id, row, hash): (&str, &RequestRow, u64),
    requests: usize,
) -> bool {
    let own = intents.own.get(id).map_or(&[][..], Vec::as_slice).iter().filter(|own| own.hash == hash);
    let before = own.clone().filter(|own| own.at <= row.at).count();
    if class == Class::Neither || class == Class::Upsert && evidence.each_intent {
        return before >= requests;
    }
    let covered = evidence.positions.get(id).is_some_and(|(topic, partition, offset)| {
        let ranges = intents.ranges.get(&(topic.clone(), *partition));
        ranges.into_iter().flatten().any(|range| *offset < range.until && range.at <= row.at)
    });
    if class == Class::Upsert {
        return covered || before > 0;
    }
    covered || own.count() > 0 || (evidence.each_intent && was_cut_off(evidence, id, row))
}

/// Whether a sink ended between the request and the event's outcome. In the changelog the outcome stands behind the Intent,
/// so only then can the Intent be missing.
fn was_cut_off(evidence: &Evidence, id: &str, row: &RequestRow) -> bool {
    let settled = evidence.outcome(id).map_or(i64::MAX, |outcome| outcome.settled_at);
    let ends = |fault: Fault| matches!(fault, Fault::DrainSink { .. } | Fault::ThirdSink);
    let mut drains = evidence.moments.windows.iter().filter(|window| ends(window.fault));
    evidence.moments.kills.iter().any(|kill| (row.at..=settled).contains(kill))
        || drains.any(|window| window.meets(row.at, settled))
}

/// The hash that the Intent of a write has: of its method, its path and its body. None of a look-up.
pub(super) fn request_hash(class: Class, row: &RequestRow) -> Option<u64> {
    let body = row.data.as_ref()?.get();
    let collection = format!("/{class}/api/v1/{}", row.collection.name());
    let (method, path) = match class {
        Class::Neither => ("POST", collection),
        Class::Keyed | Class::Upsert => ("PUT", format!("{collection}/by-external-id/{}", row.external_id)),
    };
    let mut hash = Sha256::new();
    hash.update(method);
    hash.update(path);
    hash.update([0]);
    hash.update(body);
    let digest = hash.finalize();
    Some(digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte)))
}
