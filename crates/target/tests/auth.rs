//! Every way of signing in, against a system on loopback that checks what it is given.
#![allow(clippy::unwrap_used)]

mod signing;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use delivery::Answer;
use target::{Client, ClientOptions, Secrets};

use crate::signing::{Gives, Rig, Seen, System, reply, secret, waits};

fn gives(system: &System, secrets: Secrets) -> Gives {
    Gives { secrets, base_url: Some(system.url.clone()), ..Gives::default() }
}

/// Documents are taken from those whose header is right.
fn only(
    header: &'static str,
    right: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> impl Fn(&Seen) -> signing::Reply {
    move |seen| reply(if right(seen.header(header)) { 200 } else { 401 }, "{}")
}

const STATIC: &str = "auth: {kind: static_token, header: X-Api-Key, prefix: 'Key '}";

#[tokio::test]
async fn a_static_token_goes_out_with_each_request() {
    let system = System::start(only("x-api-key", |key| key == "Key s3cret-1")).await;
    let rig = Rig::new(STATIC, &gives(&system, Secrets::default().with("token", &[secret("s3cret-1")])));
    rig.applied().await;
    let shown = format!("{:?}", rig.endpoint);
    assert!(!shown.contains("s3cret"), "{shown}");
    let odd = Rig::try_new(STATIC, &gives(&system, Secrets::default().with("token", &[secret("a\nb")])));
    let odd = odd.map(drop).unwrap_err();
    assert!(odd.code() == "CFG-0212" && odd.to_string().contains("no header can carry"), "{odd}");
}

/// While a token is being rotated, the system may know the new one already, or the old one still.
#[tokio::test]
async fn the_other_of_two_secrets_is_tried_before_the_connection_waits() {
    let known = Arc::new(std::sync::Mutex::new("Key older"));
    let knows = Arc::clone(&known);
    let system = System::start(only("x-api-key", move |key| key == *knows.lock().unwrap())).await;
    let both = Secrets::default().with("token", &[secret("newer"), secret("older")]);
    let rig = Rig::new(STATIC, &gives(&system, both));
    assert_eq!(waits(&rig.send().await), ("SNK-0006", Some(0)), "the other one is tried at once");
    rig.applied().await;
    rig.applied().await;
    assert_eq!(system.seen("POST /docs").len(), 3, "and is kept");
    *known.lock().unwrap() = "Key neither";
    assert_eq!(waits(&rig.send().await), ("SNK-0006", None), "both were turned away: the connection waits");
    *known.lock().unwrap() = "Key newer";
    rig.applied().await;
}

#[tokio::test]
async fn one_secret_that_is_turned_away_makes_the_connection_wait() {
    let system = System::start(|_| reply(401, "{}")).await;
    let rig = Rig::new(STATIC, &gives(&system, Secrets::default().with("token", &[secret("only")])));
    for _ in 0..3 {
        assert_eq!(waits(&rig.send().await), ("SNK-0006", None));
    }
}

#[tokio::test]
async fn name_and_password_go_out_with_each_request() {
    let expected = format!("Basic {}", BASE64_STANDARD.encode("anna:p:w"));
    let system = System::start(only("authorization", move |header| header == expected)).await;
    let auth = "connection: {user: {}, password: {type: secret}}\n\
                auth: {kind: basic, username: '{{conn.user}}', password: '{{conn.password}}'}";
    let mut gives = gives(&system, Secrets::default().with("password", &[secret("p:w")]));
    gives.values.push(("user", "anna".to_owned()));
    Rig::new(auth, &gives).applied().await;
}

fn client_grant(place: &str, expiry: &str) -> String {
    format!(
        "connection: {{id: {{}}, client_secret: {{type: secret}}}}\n\
         base_url: '{{{{auth.captured.instance_url}}}}/v1'\n\
         headers: {{X-Org: '{{{{auth.captured.org}}}}'}}\n\
         auth:\n  kind: oauth2_client\n  client: {{id: '{{{{conn.id}}}}', secret: '{{{{conn.client_secret}}}}', in: {place}}}\n  \
         token:\n    url: '{{{{conn.id}}}}/token'\n    scope: erp write\n    params: {{audience: all}}\n    \
         capture: {{instance_url: $.instance_url, org: $.org.id}}\n    expiry: {expiry}"
    )
}

/// Gives token n at the nth time, and takes it until the next one is given.
fn tokens(given: &Arc<AtomicU64>, lives: u64) -> impl Fn(&Seen) -> signing::Reply + Send + Sync + 'static {
    let given = Arc::clone(given);
    move |seen| {
        if seen.line == "POST /token" {
            let n = given.fetch_add(1, Ordering::SeqCst) + 1;
            let host = seen.header("host");
            let body = format!(
                "{{\"access_token\":\"at-{n}\",\"expires_in\":{lives},\"instance_url\":\"http://{host}/eu\",\"org\":{{\"id\":7}}}}"
            );
            return reply(200, body);
        }
        let right = format!("Bearer at-{}", given.load(Ordering::SeqCst));
        reply(if seen.header("authorization") == right { 200 } else { 401 }, "{}")
    }
}

fn by_client(system: &System) -> Gives {
    let secrets = Secrets::default().with("client_secret", &[secret("shh&1")]);
    Gives { values: vec![("id", system.url.clone())], secrets, ..Gives::default() }
}

#[tokio::test]
async fn a_token_for_the_client_is_asked_for_and_what_comes_with_it_is_used() {
    for place in ["basic", "body"] {
        let given = Arc::default();
        let system = System::start(tokens(&given, 3_600)).await;
        let rig = Rig::new(&client_grant(place, "{kind: from_field}"), &by_client(&system));
        rig.applied().await;
        rig.applied().await;
        let asked = system.seen("POST /token");
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].field("grant_type"), "client_credentials");
        assert_eq!((asked[0].field("scope"), asked[0].field("audience")), ("erp write".into(), "all".into()));
        let id = system.url.replace(':', "%3A").replace('/', "%2F");
        let header = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:shh%261")));
        let fields = (asked[0].field("client_id"), asked[0].field("client_secret"));
        match place {
            "basic" => {
                assert_eq!(asked[0].header("authorization"), header);
                assert_eq!(fields, (String::new(), String::new()));
            }
            _ => {
                assert_eq!(asked[0].header("authorization"), "");
                assert_eq!(fields, (system.url.clone(), "shh&1".to_owned()));
            }
        }
        let documents = system.seen("POST /eu/v1/docs");
        assert_eq!((documents.len(), documents[0].header("x-org")), (2, "7"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_at_once_ask_for_one_token_and_again_when_it_is_turned_away() {
    let given = Arc::new(AtomicU64::new(0));
    let system = System::slow(Duration::from_millis(100), tokens(&given, 3_600)).await;
    let rig = Arc::new(Rig::new(&client_grant("basic", "{kind: on_error_class}"), &by_client(&system)));
    let at_once = |rig: &Arc<Rig>| {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                tokio::spawn({
                    let rig = Arc::clone(rig);
                    async move { rig.send().await }
                })
            })
            .collect();
        async move {
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.unwrap());
            }
            answers
        }
    };
    let answers = at_once(&rig).await;
    assert!(answers.iter().all(|a| matches!(a, Answer::Applied { .. })), "{answers:?}");
    assert_eq!(given.load(Ordering::SeqCst), 1);

    given.fetch_add(1, Ordering::SeqCst); // the token is void from now on
    let answers = at_once(&rig).await;
    assert!(answers.iter().all(|a| matches!(a, Answer::Applied { .. }) || waits(a) == ("SNK-0006", Some(0))));
    assert!(answers.iter().any(|a| matches!(a, Answer::Again { .. })), "none was turned away");
    let answers = at_once(&rig).await;
    assert!(answers.iter().all(|a| matches!(a, Answer::Applied { .. })), "{answers:?}");
    assert_eq!(system.seen("POST /token").len(), 2, "one for all that were turned away");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let given = Arc::default();
    let system = System::start(tokens(&given, 2)).await;
    let rig = Rig::new(&client_grant("basic", "{kind: from_field, margin: 60s}"), &by_client(&system));
    rig.applied().await;
    rig.applied().await;
    assert_eq!(system.seen("POST /token").len(), 1, "it is used for half of its life at least");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    rig.applied().await;
    assert_eq!(system.seen("POST /token").len(), 2);
    assert_eq!(system.seen("POST /eu/v1/docs").len(), 3, "nothing was turned away");

    let fixed = Rig::new(&client_grant("basic", "{kind: fixed, after: 1s}"), &by_client(&system));
    fixed.applied().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    fixed.applied().await;
    assert_eq!(system.seen("POST /token").len(), 4);
}

/// A request that gives up does not cut off the signing in: the next one finds the token.
#[tokio::test]
async fn a_request_without_time_waits_and_the_next_one_has_the_token() {
    let given = Arc::default();
    let system = System::slow(Duration::from_millis(300), tokens(&given, 3_600)).await;
    let rig = Rig::new(&client_grant("basic", "{kind: from_field}"), &by_client(&system));
    let answer = rig.send_within(Duration::from_millis(100)).await;
    assert_eq!(waits(&answer), ("SNK-0051", None), "{answer:?}");
    assert_eq!(system.seen("POST /eu").len(), 0, "nothing of the posting was sent");
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.applied().await;
    assert_eq!(system.seen("POST /token").len(), 1);
}

#[tokio::test]
async fn what_keeps_us_from_signing_in_is_told_by_its_code() {
    let large = format!("{{\"access_token\":\"{}\"}}", "x".repeat(70_000));
    for (status, body, code, after) in [
        (400, r#"{"error":"invalid_client","error_description":"no such client"}"#, "SNK-0050", None),
        (401, "", "SNK-0050", None),
        (429, "", "SNK-0051", Some(7_000)),
        (503, "", "SNK-0051", Some(7_000)),
        (302, "", "SNK-0052", None),
        (200, "{}", "SNK-0052", None),
        (200, "<html>", "SNK-0052", None),
        (200, r#"{"access_token":"a"}"#, "SNK-0052", None), // it lacks what is captured
        (200, large.as_str(), "SNK-0051", None),
    ] {
        let body = body.to_owned();
        let system =
            System::start(move |_| (status, vec![("retry-after", "7".to_owned())], body.clone())).await;
        let rig = Rig::new(&client_grant("basic", "{kind: from_field}"), &by_client(&system));
        let answer = rig.send().await;
        assert_eq!(waits(&answer), (code, after), "{status}: {answer:?}");
        assert_eq!(system.seen("POST /eu").len(), 0);
        assert!(!format!("{answer:?}").contains("shh"));
    }
}

/// Two client secrets: the one that the system does not know yet, or any more, is passed over while we sign in.
#[tokio::test]
async fn the_other_client_secret_is_tried_while_signing_in() {
    let system = System::start(|seen| match (seen.line.as_str(), seen.field("client_secret").as_str()) {
        ("POST /token", "older") => reply(
            200,
            format!(
                "{{\"access_token\":\"t\",\"instance_url\":\"http://{}\",\"org\":{{\"id\":1}}}}",
                seen.header("host")
            ),
        ),
        ("POST /token", _) => reply(401, r#"{"error":"invalid_client"}"#),
        _ => reply(200, "{}"),
    })
    .await;
    let mut gives = by_client(&system);
    gives.secrets = Secrets::default().with("client_secret", &[secret("newer"), secret("older")]);
    let rig = Rig::new(&client_grant("body", "{kind: from_field}"), &gives);
    rig.applied().await;
    assert_eq!(system.seen("POST /token").len(), 2);
}

/// The guard of the connection holds for the token's address too.
#[tokio::test]
async fn the_guard_holds_for_signing_in() {
    let given = Arc::default();
    let system = System::start(tokens(&given, 3_600)).await;
    let mut rig = Rig::new(&client_grant("basic", "{kind: from_field}"), &by_client(&system));
    rig.client = Client::new(ClientOptions::default()).unwrap();
    assert_eq!(waits(&rig.send().await), ("SNK-0041", None));
    assert_eq!(system.seen("").len(), 0);
}

/// A token that the system gives and does not take: asked for again with pauses, not without end.
#[tokio::test]
async fn a_token_that_never_was_accepted_makes_the_connection_wait() {
    let system = System::start(|seen| match seen.line.as_str() {
        "POST /token" => {
            let body = format!(
                r#"{{"access_token":"t","instance_url":"http://{}","org":{{"id":1}}}}"#,
                seen.header("host")
            );
            reply(200, body)
        }
        _ => reply(401, "{}"),
    })
    .await;
    let rig = Rig::new(&client_grant("basic", "{kind: from_field}"), &by_client(&system));
    for tokens in 1..=3 {
        assert_eq!(waits(&rig.send().await), ("SNK-0006", None));
        assert_eq!(system.seen("POST /token").len(), tokens);
    }
}

/// The answer to a request that was sent with an earlier token comes when there is another one already.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_answer_does_not_end_the_token_that_came_after_it() {
    let given = Arc::new(AtomicU64::new(0));
    let late = Arc::new(AtomicBool::new(false));
    let held = Arc::new(AtomicBool::new(true));
    let system = {
        let (answer, late, held) = (tokens(&given, 3_600), Arc::clone(&late), Arc::clone(&held));
        System::start(move |seen| {
            let reply = answer(seen);
            if seen.line.starts_with("POST /eu") && late.swap(false, Ordering::SeqCst) {
                // Decided, and slow to arrive. What this worker had before it goes on elsewhere meanwhile.
                tokio::task::block_in_place(|| {
                    while held.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
            }
            reply
        })
        .await
    };
    let rig = Arc::new(Rig::new(&client_grant("basic", "{kind: from_field}"), &by_client(&system)));
    rig.applied().await;
    given.fetch_add(1, Ordering::SeqCst); // the token is void from now on
    late.store(true, Ordering::SeqCst);
    let slow = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.send().await }
    });
    while late.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(waits(&rig.send().await), ("SNK-0006", Some(0)));
    rig.applied().await;
    assert!(!slow.is_finished(), "the answer was not late");
    held.store(false, Ordering::SeqCst);
    assert_eq!(waits(&slow.await.unwrap()), ("SNK-0006", Some(0)));
    rig.applied().await;
    assert_eq!(system.seen("POST /token").len(), 2, "the second token was thrown away");
}
