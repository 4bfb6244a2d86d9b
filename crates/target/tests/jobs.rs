//! Writes that a system takes as jobs: whatever becomes of the questions about one, it is not submitted for the second time before it
//! can be known that it has not written.

#![allow(clippy::unwrap_used)]

#[path = "jobs/rig.rs"]
mod rig;
#[path = "jobs/server.rs"]
mod server;
#[path = "jobs/unfit.rs"]
mod unfit;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use delivery::{Answer, Class, ErrorClass, ReadBack, Scope};
use secrecy::SecretString;
use serde_json::{Value, json};
use target::{Access, Authenticator, ClassChoice, Client, Connector, Meaning, Secrets};
use tokio::task::JoinSet;

use crate::{
    rig::{CONNECTOR, Rig, SHORT, TIMEOUT, applied, client, endpoint, error, posting, signed, unknown},
    server::{Trouble, World},
};

#[tokio::test]
async fn a_job_is_followed_to_its_result_and_asked_for_without_the_key() {
    let rig = Rig::new(ClassChoice::Keyed).await;
    rig.told(|world| world.ends_after = Some(3));
    let answer = rig.send(1, TIMEOUT).await;
    assert!(applied(&answer), "{answer:?}");
    assert_eq!(rig.requests(), ["submit with key", "state", "state", "state", "task", "result"]);
    let other = Rig::new(ClassChoice::Upsert).await;
    other.told(|world| world.troubles("submit", Trouble::AtOnce));
    assert!(applied(&other.send(1, TIMEOUT).await), "a system that writes at once needs no job");
    assert_eq!(other.requests(), ["submit"]);
}

/// Where a question fails the job is asked for again, and never submitted again: in class keyed and without a key alike.
#[tokio::test]
async fn whatever_becomes_of_a_question_the_job_is_asked_for_again() {
    let troubles = [
        Trouble::Cut,
        Trouble::Silent,
        Trouble::Says(503, error("busy")),
        Trouble::Says(500, json!("oops")),
        Trouble::Says(429, error("slowly")),
        Trouble::Says(404, error("no_job_yet")),
        Trouble::Says(403, error("not_you")),
        Trouble::Says(200, json!("no JSON")),
    ];
    let (client, mut all) = (client(), JoinSet::new());
    for class in [ClassChoice::Keyed, ClassChoice::Upsert, ClassChoice::Neither] {
        for question in ["state", "task", "result"] {
            for trouble in &troubles {
                // A result of another form is one.
                if question != "result" || !matches!(trouble, Trouble::Says(200, _)) {
                    all.spawn(asked_again(client.clone(), class, question, trouble.clone()));
                }
            }
        }
    }
    assert_eq!(all.join_all().await.len(), 3 * (3 * troubles.len() - 1));
}

async fn asked_again(client: Client, class: ClassChoice, question: &'static str, trouble: Trouble) {
    let rig = Rig::with(&client, CONNECTOR, "invoice", class).await;
    rig.told(|world| world.troubles(question, trouble.clone()));
    let answer = rig.send(1, TIMEOUT).await;
    let what = format!("{class:?} {question} {trouble:?}: {answer:?}");
    assert!(applied(&answer), "{what}");
    assert_eq!((rig.submits(), rig.writes()), (1, 1), "{what}");
    let asked = rig.requests().iter().filter(|one| *one == question).count();
    assert!(asked >= 2, "{what}: it was asked {asked} times");
}

#[tokio::test]
async fn a_question_that_fails_until_the_deadline_leaves_nobody_knowing() {
    for (question, trouble) in [
        ("state", Trouble::Says(503, error("busy"))),
        ("result", Trouble::Says(404, error("gone"))),
        ("task", Trouble::Cut),
    ] {
        let rig = Rig::new(ClassChoice::Upsert).await;
        rig.told(|world| (0..40).for_each(|_| world.troubles(question, trouble.clone())));
        let reason = unknown(rig.send(1, SHORT).await);
        assert_eq!((&*reason.code, reason.status), ("SNK-0065", None));
        assert!(reason.message.contains("job 0 could not be read"), "{reason:?}");
        assert_eq!(rig.submits(), 1);
    }
}

#[tokio::test]
async fn what_becomes_of_the_submission_itself_is_known_as_of_any_write() {
    let rig = Rig::new(ClassChoice::Keyed).await;
    rig.told(|world| {
        world.troubles("submit", Trouble::Says(503, error("busy")));
        world.troubles("submit", Trouble::Says(422, error("total")));
        world.troubles("submit", Trouble::Nameless);
    });
    assert!(matches!(rig.send(1, TIMEOUT).await, Answer::Again { scope: Scope::Lane, .. }));
    assert!(matches!(rig.send(1, TIMEOUT).await, Answer::Refused(r) if r.class == ErrorClass::Validation));
    let reason = unknown(rig.send(1, TIMEOUT).await);
    assert!(reason.message.contains("does not say which"), "{reason:?}");
    assert_eq!(rig.requests(), ["submit with key"; 3]);
}

/// The answer is lost, or the time is over: class keyed sends again and finds the same job.
#[tokio::test]
async fn a_repeat_under_the_key_goes_on_with_the_earlier_job() {
    let lost = Rig::new(ClassChoice::Keyed).await;
    lost.told(|world| world.troubles("submit", Trouble::DoneAndCut));
    unknown(lost.send(1, TIMEOUT).await);
    assert!(applied(&lost.send(2, TIMEOUT).await));
    assert_eq!(lost.writes(), 1);

    let slow = Rig::new(ClassChoice::Keyed).await;
    slow.told(|world| world.ends_after = None);
    let reason = unknown(slow.send(1, SHORT).await);
    assert_eq!((&*reason.code, reason.class), ("SNK-0065", ErrorClass::InFlight));
    assert!(reason.message.contains("job 0 was still running"), "{reason:?}");
    unknown(slow.send(2, SHORT).await);
    assert_eq!(slow.writes(), 0);
    slow.told(World::end_all).requests();
    assert!(applied(&slow.send(3, TIMEOUT).await));
    assert_eq!(slow.requests(), ["submit with key", "state", "task", "result"]);
    assert_eq!(slow.writes(), 1);
}

/// At class upsert nothing but a look may follow, and not before the job can have ended.
#[tokio::test]
async fn a_look_waits_for_the_longest_life_of_a_job() {
    let rig = Rig::new(ClassChoice::Upsert).await;
    assert_eq!((rig.endpoint.class(), rig.endpoint.lag_ms()), (Class::Upsert, 300_000));
    let eventual = CONNECTOR
        .replace("compare: {$.total: $.total}}\n    keyed", "consistency: eventual, lag: 7s}\n    keyed");
    let lag = |object, class| endpoint(&eventual, &rig.url, object, class).unwrap().lag_ms();
    assert_eq!(lag("invoice", ClassChoice::Upsert), 307_000, "on top of what a look lags behind");
    assert_eq!(lag("invoice", ClassChoice::Keyed), 307_000, "a key that is too old is followed by a look");
    assert_eq!(lag("changed", ClassChoice::Upsert), 300_000, "a change can become a job as well");
    rig.told(|world| world.ends_after = None);
    unknown(rig.send(1, SHORT).await);
    assert_eq!(rig.look().await, ReadBack::Absent, "too early: this is why the core waits");
    rig.told(World::end_all);
    assert_eq!(rig.look().await, ReadBack::Matches { document: Some("D-INV-1".into()) });
    assert_eq!(rig.submits(), 1);
}

#[tokio::test]
async fn only_a_failed_job_whose_result_a_rule_lists_is_not_applied() {
    type IsRight = fn(&Answer) -> bool;
    let cases: [(u16, Value, IsRight); 5] = [
        (422, error("total"), |a| matches!(a, Answer::Refused(r) if r.class == ErrorClass::Validation)),
        (
            200,
            error("locked"),
            |a| matches!(a, Answer::Again { reason, .. } if reason.class == ErrorClass::LockContention),
        ),
        (
            400,
            error("whatever"),
            |a| matches!(a, Answer::Unknown(r) if r.message.contains("the job has failed")),
        ),
        (200, json!({"id": "D-INV-1"}), |a| matches!(a, Answer::Unknown(_))),
        (200, json!({}), |a| matches!(a, Answer::Unknown(_))),
    ];
    for (status, body, is_right) in cases {
        let rig = Rig::new(ClassChoice::Upsert).await;
        rig.told(|world| world.fails = Some((status, body.clone())));
        let answer = rig.send(1, TIMEOUT).await;
        assert!(is_right(&answer), "{status} {body}: {answer:?}");
        assert_eq!(rig.requests(), ["submit", "state", "task", "result"]);
    }
    // A job that is done wrote: a result that says otherwise is believed as little as the job.
    let rig = Rig::new(ClassChoice::Upsert).await;
    rig.told(|world| world.tells = Some((422, error("total"))));
    assert!(unknown(rig.send(1, TIMEOUT).await).message.contains("the job has ended"));
}

/// Without a word for failed jobs the result alone tells, by its own status where the definition says where that stands.
#[tokio::test]
async fn a_result_alone_tells_where_jobs_only_end() {
    let definition = CONNECTOR
        .replace("done: {path: $.state, is: done}", "done: {path: $.state, is: [done, failed]}")
        .replace("        failed: {path: $.state, is: failed}\n", "        status: $.error.status\n");
    let rig = Rig::of(&definition, "invoice", ClassChoice::Upsert).await;
    assert!(applied(&rig.send(1, TIMEOUT).await));
    let rig = Rig::of(&definition, "invoice", ClassChoice::Upsert).await;
    rig.told(|world| {
        world.fails = Some((200, json!({"error": {"status": 422, "code": "x", "message": "no"}})))
    });
    assert!(matches!(rig.send(1, TIMEOUT).await, Answer::Refused(r) if r.class == ErrorClass::Validation));
    // The last answer about the job is its result where there is no question for one.
    let (start, end) =
        (definition.find("        task:").unwrap(), definition.find("        within:").unwrap());
    let asked_once = definition.replace(&definition[start..end], "");
    let rig = Rig::of(&asked_once, "invoice", ClassChoice::Upsert).await;
    assert!(matches!(rig.send(1, TIMEOUT).await, Answer::Applied { .. }));
    assert_eq!(rig.requests(), ["submit", "state"]);
}

/// The key stands for the job that failed: another try would be told the same for ever, so it is resolved by a look.
#[tokio::test]
async fn a_failure_that_the_key_stands_for_is_a_stored_one() {
    let rig = Rig::new(ClassChoice::Keyed).await;
    rig.told(|world| world.fails = Some((200, error("locked"))));
    assert!(
        matches!(rig.send(1, TIMEOUT).await, Answer::Again { .. }),
        "the first time it may be worth a try"
    );
    assert!(
        matches!(rig.send(2, TIMEOUT).await, Answer::Replayed(r) if r.class == ErrorClass::LockContention)
    );
    let rig = Rig::new(ClassChoice::Keyed).await;
    rig.told(|world| world.fails = Some((400, error("odd"))));
    unknown(rig.send(1, TIMEOUT).await);
    assert!(matches!(rig.send(2, TIMEOUT).await, Answer::Replayed(r) if &*r.code == "SNK-0065"));
    let rig = Rig::new(ClassChoice::Keyed).await;
    rig.told(|world| {
        (world.fails = Some((422, error("total"))), world.troubles("submit", Trouble::DoneAndCut)).0
    });
    unknown(rig.send(1, TIMEOUT).await);
    assert!(matches!(rig.send(2, TIMEOUT).await, Answer::Refused(_)), "a refusal stays one");
}

/// Turned away in the middle, the questions go on with another token; what was submitted is not submitted again.
#[tokio::test]
async fn a_proof_that_ends_while_a_job_runs_leads_to_no_resend() {
    let definition = CONNECTOR.replace(
        "revision: 1\n",
        "revision: 1\nauth: {kind: static_token, header: Authorization, prefix: 'Bearer '}\n",
    );
    for (then, ends) in [("Bearer older", true), ("Bearer neither", false)] {
        let plain = Rig::of(&definition, "invoice", ClassChoice::Upsert).await;
        plain.told(|world| (world.proof, world.proof_then) = (Some("Bearer newer"), Some(then)));
        let connector = Connector::parse("queue", &definition).unwrap();
        let both = ["newer", "older"].map(|text| SecretString::from(text.to_owned()));
        let secrets = Secrets::default().with("token", &both);
        let values = BTreeMap::new();
        let access = Access {
            of: ("acme", "erp"),
            base_url: Some(&plain.url),
            values: &values,
            secrets: &secrets,
            store: None,
        };
        let auth = Arc::new(Authenticator::new(&connector, &access).unwrap());
        let endpoint =
            signed(&definition, (&plain.url, "invoice", ClassChoice::Upsert), Some(&auth)).unwrap();
        let rig = Rig { endpoint, ..plain };
        let answer = rig.send(1, if ends { TIMEOUT } else { SHORT }).await;
        assert_eq!(rig.submits(), 1);
        if ends {
            assert!(applied(&answer), "{answer:?}");
        } else {
            let reason = unknown(answer);
            assert!(reason.message.contains("could not be read"), "{reason:?}");
        }
    }
}

#[tokio::test]
async fn a_wait_that_an_answer_asks_for_is_kept_and_none_beyond_the_deadline_is_waited_for() {
    let rig = Rig::new(ClassChoice::Upsert).await;
    rig.told(|world| world.troubles("state", Trouble::Wait(200, "1")));
    let began = std::time::Instant::now();
    assert!(applied(&rig.send(1, TIMEOUT).await));
    assert!(began.elapsed() >= Duration::from_secs(1));
    for status in [200, 429] {
        let rig = Rig::new(ClassChoice::Upsert).await;
        rig.told(|world| world.troubles("state", Trouble::Wait(status, "60")));
        let began = std::time::Instant::now();
        unknown(rig.send(1, 3 * TIMEOUT).await);
        assert!(began.elapsed() < 2 * TIMEOUT, "there is nothing left to wait for");
        assert_eq!(rig.requests(), ["submit", "state"]);
    }
}

#[tokio::test]
async fn references_come_before_a_job_and_steps_after_it() {
    let rig = Rig::of(CONNECTOR, "posted", ClassChoice::Upsert).await;
    rig.told(|world| drop(world.documents.insert("C-1".to_owned(), json!({"id": "D-C-1"}))));
    let payload = json!({"total": "10.00", "party": {"$lookup": "invoice", "ref": "C-1"}});
    let one = posting(&rig.endpoint, &payload);
    let answer = rig.client.send(&rig.endpoint, &one, (1, None), TIMEOUT).await;
    assert!(applied(&answer), "{answer:?}");
    assert_eq!(rig.requests(), ["look", "submit", "state", "task", "result", "post"]);
    let document = rig.world.lock().unwrap().documents["INV-1"].clone();
    assert_eq!((&document["party"], &document["state"]), (&json!("D-C-1"), &json!("posted")));
}

#[tokio::test]
async fn a_change_is_followed_as_well() {
    let rig = Rig::of(CONNECTOR, "changed", ClassChoice::Upsert).await;
    rig.told(|world| {
        drop(world.documents.insert("INV-1".to_owned(), json!({"id": "D-INV-1", "total": "9.00"})))
    });
    let answer = rig.send(1, TIMEOUT).await;
    assert!(applied(&answer), "{answer:?}");
    assert_eq!(rig.requests(), ["look", "submit", "state", "task", "result"]);
    assert_eq!(rig.look().await, ReadBack::Matches { document: Some("D-INV-1".into()) });
}

/// As the cases of a connector ask.
#[test]
fn what_single_answers_and_requests_are_is_known_without_a_system() {
    let of = |object, class| endpoint(CONNECTOR, "http://system.example", object, class).unwrap();
    let keyed = of("invoice", ClassChoice::Keyed);
    let headers = http::HeaderMap::from_iter([(http::header::LOCATION, "/jobs/7/".parse().unwrap())]);
    let means = |request: &str, status: u16, body: Value| {
        keyed.understands(request, status, &headers, body.to_string().as_bytes()).unwrap()
    };
    assert_eq!(means("keyed", 202, json!({})), Meaning::Job(Some("7".to_owned())));
    assert_eq!(means("keyed", 400, error("known_key")), Meaning::Job(Some("7".to_owned())));
    assert!(matches!(means("keyed", 400, error("other")), Meaning::Answer(Answer::Refused(_))));
    assert_eq!(
        means("lookup", 202, json!({})),
        of("posted", ClassChoice::Upsert).understands("lookup", 202, &headers, b"{}").unwrap()
    );
    assert_eq!(means("job", 200, json!({"state": "queued"})), Meaning::Running);
    assert_eq!(means("job", 200, json!({"state": "done"})), Meaning::Done);
    assert_eq!(means("job", 200, json!({"state": "failed"})), Meaning::Failed);
    assert_eq!(means("job", 503, json!({"state": "done"})), Meaning::Unread);
    assert_eq!(means("result", 503, json!({})), Meaning::Unread);
    assert!(matches!(
        means("result", 200, json!({"id": 1})),
        Meaning::Answer(Answer::Applied { document: Some(_) })
    ));
    assert!(matches!(means("result", 422, error("total")), Meaning::Answer(Answer::Unknown(_))));
    assert!(matches!(means("failed_result", 422, error("total")), Meaning::Answer(Answer::Refused(_))));
    assert!(matches!(means("failed_result", 200, json!({"id": 1})), Meaning::Answer(Answer::Unknown(_))));

    let changed = of("changed", ClassChoice::Upsert);
    let sent = changed.preview(&posting(&changed, &json!({"total": "1"})), "ID-1", "5").unwrap();
    let names: Vec<&str> = sent.iter().map(|one| one.request.as_str()).collect();
    assert_eq!(names, ["lookup", "write", "update", "job", "task", "result"]);
    assert_eq!(sent[5].send, "GET http://system.example/jobs/JOB-1/task/TASK-1/result");
}
