//! Postings that share a request.

use super::rig::*;
use crate::{
    Action, Answer, Bulk, Class, ErrorClass, Input, Limit, NewPosting, Prior, Scope, Status, Ticket,
};

const ITEMS: u32 = 4;

fn bulk(event: u128, class: Class) -> NewPosting {
    let bulk = Bulk { kind: 1, max_items: ITEMS, max_bytes: 1_000, bytes: 100, counts_each: false };
    NewPosting { bulk: Some(bulk), ..new(event, event, 1, class) }
}

/// Postings that wait for a slot, from `first` on.
fn ready(rig: &mut Rig, postings: &[NewPosting]) -> Vec<Ticket> {
    let tickets: Vec<Ticket> =
        postings.iter().enumerate().map(|(at, new)| rig.admit(P0, at as i64, *new)).collect();
    for ticket in &tickets {
        rig.known(*ticket, Prior::None, None);
    }
    for ticket in &tickets {
        rig.core.handle(Input::IntentDurable(*ticket), rig.now);
    }
    tickets
}

fn sends(actions: Vec<Action>) -> Vec<Vec<Ticket>> {
    let sent = |action| match action {
        Action::Send { ticket, .. } => Some(vec![ticket]),
        Action::SendTogether { postings, timeout_ms } => {
            assert_eq!(timeout_ms, TIMEOUT);
            Some(postings.into_iter().map(|(ticket, _)| ticket).collect())
        }
        _ => None,
    };
    actions.into_iter().filter_map(sent).collect()
}

fn together(rig: &mut Rig, answers: &[(Ticket, Answer)]) -> Vec<Action> {
    rig.tell(Input::AnsweredTogether(answers.to_vec()))
}

fn unknown() -> Answer {
    Answer::Unknown(reason(ErrorClass::Transient))
}

#[test]
fn what_is_ready_at_once_shares_a_request_and_a_slot() {
    let mut rig = Rig::with_concurrency(1);
    let news: Vec<NewPosting> = (0..6).map(|event| bulk(event, KEYED)).collect();
    let tickets = ready(&mut rig, &news);
    let actions = rig.actions();
    let sent = sends([actions, rig.pass(0)].concat());
    assert_eq!(sent, [tickets[..4].to_vec()], "no more than fit, in one slot");
    assert_eq!(rig.core.gauges().in_flight, 1);
    let answers: Vec<_> = tickets[..4].iter().map(|t| (*t, applied())).collect();
    let actions = together(&mut rig, &answers);
    assert_eq!(actions.iter().filter(|a| matches!(a, Action::WriteOutcome(..))).count(), 4);
    assert_eq!(sends(actions), [tickets[4..].to_vec()], "who waited for the slot goes together");
}

#[test]
fn one_alone_waits_for_nobody_and_is_sent_as_ever() {
    let mut rig = Rig::with_concurrency(2);
    let tickets = ready(&mut rig, &[bulk(1, KEYED)]);
    assert!(sends(rig.actions()).is_empty());
    let sent = rig.pass(0);
    assert_eq!(sent, [Action::Send { ticket: tickets[0], attempt: 1, timeout_ms: TIMEOUT }]);
    // While one is under way, the next one waits for company, for a moment.
    let second = rig.admit(P0, 1, bulk(2, KEYED));
    rig.known(second, Prior::None, None);
    assert_eq!(sends(rig.intent_durable(second)).len(), 0);
    assert_eq!(sends(rig.pass(1)).len(), 0);
    assert_eq!(sends(rig.pass(1)), [vec![second]]);
}

#[test]
fn kinds_do_not_mix_and_neither_do_bytes_overflow() {
    let mut rig = Rig::with_concurrency(4);
    let other = |event| {
        let new = bulk(event, KEYED);
        NewPosting { bulk: new.bulk.map(|bulk| Bulk { kind: 2, bytes: 600, ..bulk }), ..new }
    };
    let single = new(9, 9, 1, KEYED);
    let tickets = ready(&mut rig, &[bulk(1, KEYED), other(2), bulk(3, KEYED), other(4), single]);
    let actions = rig.actions();
    let sent = sends([actions, rig.pass(5)].concat());
    let of = |at: usize| tickets[at];
    assert_eq!(sent, [vec![of(0), of(2)], vec![of(1)], vec![of(3)], vec![of(4)]]);
}

#[test]
fn each_has_its_own_end_and_the_connection_is_told_once() {
    let mut rig = Rig::with_concurrency(1);
    let news: Vec<NewPosting> = (0..4).map(|event| bulk(event, Class::Upsert)).collect();
    let t = ready(&mut rig, &news);
    rig.pass(0);
    let actions = together(
        &mut rig,
        &[(t[0], applied()), (t[1], refused()), (t[2], again(Scope::Lane, None)), (t[3], unknown())],
    );
    assert!(
        matches!(&actions[0], Action::WriteOutcome(ticket, o) if *ticket == t[0] && o.status == Status::Committed)
    );
    assert!(matches!(&actions[1], Action::DeadLetter(ticket, _) if *ticket == t[1]));
    assert_eq!(actions.len(), 2);
    // The unknown one is looked at, once its request is over; the other one is sent again.
    let later = rig.pass(TIMEOUT + SOON);
    assert!(later.iter().any(|a| matches!(a, Action::WriteIntent(ticket, _) if *ticket == t[2])));
    let mut looked = later;
    looked.extend(rig.pass(SOON));
    assert!(looked.contains(&read_back(t[3])), "{looked:?}");
}

#[test]
fn a_lost_answer_is_one_silence_and_its_postings_go_apart() {
    let mut rig = Rig::with_concurrency(8);
    let news: Vec<NewPosting> = (0..4).map(|event| bulk(event, KEYED)).collect();
    let t = ready(&mut rig, &news);
    rig.pass(0);
    for round in 1..=3 {
        // Were each of the four a silence, the target would seem away, and one at a time would be sent.
        let lost: Vec<_> = t.iter().map(|ticket| (*ticket, unknown())).collect();
        if round == 1 {
            together(&mut rig, &lost);
        }
        let intents = rig.pass(SOON).len();
        assert!(round > 1 || intents == 4, "{intents}");
    }
    for ticket in &t {
        rig.core.handle(Input::IntentDurable(*ticket), rig.now);
    }
    let actions = rig.actions();
    let sent = sends([actions, rig.pass(5)].concat());
    assert_eq!(sent, t.iter().map(|ticket| vec![*ticket]).collect::<Vec<_>>());
}

#[test]
fn what_was_refused_as_a_whole_goes_one_by_one_at_once() {
    let mut rig = Rig::with_concurrency(8);
    let news: Vec<NewPosting> = (0..3).map(|event| bulk(event, PARK)).collect();
    let t = ready(&mut rig, &news);
    assert_eq!(sends(rig.pass(0)), std::slice::from_ref(&t));
    let apart: Vec<_> = t.iter().map(|ticket| (*ticket, again(Scope::Apart, Some(0)))).collect();
    assert_eq!(together(&mut rig, &apart).len(), 3, "an Intent each");
    for ticket in &t {
        rig.core.handle(Input::IntentDurable(*ticket), rig.now);
    }
    assert_eq!(sends(rig.actions()), t.iter().map(|ticket| vec![*ticket]).collect::<Vec<_>>());
}

#[test]
fn a_throttled_request_holds_the_connection_once_and_its_postings_go_together_again() {
    let mut rig = Rig::with_concurrency(1);
    let news: Vec<NewPosting> = (0..3).map(|event| bulk(event, KEYED)).collect();
    let t = ready(&mut rig, &news);
    assert_eq!(sends(rig.pass(0)), std::slice::from_ref(&t));
    let throttled: Vec<_> = t.iter().map(|ticket| (*ticket, again(Scope::Connection, None))).collect();
    together(&mut rig, &throttled);
    // A first refusal's backoff, not a third one's; then one probes.
    for _ in 0..3 {
        rig.pass(50);
        for ticket in &t {
            rig.core.handle(Input::IntentDurable(*ticket), rig.now);
        }
    }
    let probe = sends(rig.pass(5));
    assert!(probe.len() <= 1 && probe.iter().all(|sent| sent.len() == 1), "{probe:?}");
}

#[test]
fn a_rate_counts_requests_or_items_as_the_target_does() {
    for (counts_each, expected) in [(false, vec![4, 2]), (true, vec![3])] {
        let mut rig = Rig::with_concurrency(2);
        rig.core.limit(TARGET, &[Limit::Rate { max: 3, per_ms: 10_000 }]);
        let counted = |event| {
            let new = bulk(event, KEYED);
            NewPosting { bulk: new.bulk.map(|bulk| Bulk { counts_each, ..bulk }), ..new }
        };
        let news: Vec<NewPosting> = (0..6).map(counted).collect();
        ready(&mut rig, &news);
        let actions = rig.actions();
        let sent = sends([actions, rig.pass(5), rig.pass(5)].concat());
        assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_revoked_posting_keeps_its_share_of_the_slot_until_the_answer() {
    let mut rig = Rig::with_concurrency(1);
    let one = rig.admit(P0, 0, bulk(1, KEYED));
    let two = rig.admit(P1, 0, bulk(2, KEYED));
    for ticket in [one, two] {
        rig.known(ticket, Prior::None, None);
    }
    for ticket in [one, two] {
        rig.core.handle(Input::IntentDurable(ticket), rig.now);
    }
    rig.actions();
    assert_eq!(sends(rig.pass(0)), [vec![one, two]]);
    rig.core.revoke(P1, rig.now);
    assert_eq!(rig.core.gauges().in_flight, 1);
    let actions = together(&mut rig, &[(one, applied()), (two, applied())]);
    assert_eq!(settles_as(&actions), Status::Committed);
    assert_eq!(rig.core.gauges().in_flight, 0);
}
