//! The ways of signing in that sign, open a session, or guard against forged requests.
#![allow(clippy::unwrap_used)]

mod signing;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::{KeyPair as RsaKey, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use sha2::Sha256;
use target::{Secrets, definition::FieldKind};

use crate::signing::{Gives, Rig, System, connector, reply, secret, waits};

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

fn rsa() -> (String, DecodingKey) {
    let key = RsaKey::generate(KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
    (pem(der.as_ref()), DecodingKey::from_rsa_der(key.public_key().as_ref()))
}

fn ec() -> (String, DecodingKey) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let public = key.public_key().as_ref();
    (pem(key.to_pkcs8v1().unwrap().as_ref()), DecodingKey::from_ec_der(public))
}

/// An assertion's header and claims, if it was signed by `key` with `alg` and holds now.
fn verified(token: &str, alg: Algorithm, key: &DecodingKey, audience: &str) -> (Option<String>, Value) {
    let mut validation = Validation::new(alg);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    let decoded = jsonwebtoken::decode::<Value>(token, key, &validation).unwrap();
    (decoded.header.kid, decoded.claims)
}

/// Gives a token, and takes it.
fn token_system() -> impl Fn(&signing::Seen) -> signing::Reply + Send + Sync + 'static {
    |seen| match seen.line.as_str() {
        "POST /token" => reply(
            200,
            format!("{{\"access_token\":\"t\",\"instance_url\":\"http://{}\"}}", seen.header("host")),
        ),
        _ => reply(if seen.header("authorization") == "Bearer t" { 200 } else { 401 }, "{}"),
    }
}

/// Salesforce's way: the assertion stands for a user's consent, and the answer says where the system is.
#[tokio::test]
async fn an_assertion_stands_for_consent() {
    let (private, public) = rsa();
    let system = System::start(token_system()).await;
    let definition = "connection: {login: {type: url}, client: {}, user: {}, private_key: {type: secret}}\n\
        base_url: '{{auth.captured.instance_url}}/services'\n\
        auth:\n  kind: oauth2_jwt_grant\n  \
        assertion: {alg: RS256, iss: '{{conn.client}}', sub: '{{conn.user}}', aud: '{{conn.login}}', ttl: 3m}\n  \
        token: {url: '{{conn.login}}/token', capture: {instance_url: $.instance_url}, expiry: {kind: on_error_class}}";
    let gives = Gives {
        values: vec![
            ("login", system.url.clone()),
            ("client", "3MVG9".to_owned()),
            ("user", "hub@acme.example".to_owned()),
        ],
        secrets: Secrets::default().with("private_key", &[secret(&private)]),
        ..Gives::default()
    };
    Rig::new(definition, &gives).applied().await;
    let asked = system.seen("POST /token").remove(0);
    assert_eq!(asked.field("grant_type"), "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let (kid, claims) = verified(&asked.field("assertion"), Algorithm::RS256, &public, &system.url);
    assert_eq!((kid, &claims["iss"], &claims["sub"]), (None, &json!("3MVG9"), &json!("hub@acme.example")));
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(life, 180);
    assert_eq!(system.seen("POST /services/docs").len(), 1);
}

/// NetSuite's way: the assertion proves the client. The key's name stands in its header.
#[tokio::test]
async fn an_assertion_proves_the_client() {
    for (alg, name, (private, public)) in
        [(Algorithm::PS256, "PS256", rsa()), (Algorithm::ES256, "ES256", ec())]
    {
        let system = System::start(token_system()).await;
        let definition = format!(
            "connection: {{certificate: {{}}, client: {{}}, private_key: {{type: secret}}}}\n\
             auth:\n  kind: oauth2_client_assertion\n  \
             assertion: {{alg: {name}, kid: '{{{{conn.certificate}}}}', iss: '{{{{conn.client}}}}', scope: rest_webservices, ttl: 5m}}\n  \
             token: {{url: '{{{{base_url}}}}/token'}}"
        );
        let gives = Gives {
            values: vec![("client", "c-1".to_owned()), ("certificate", "cert-1".to_owned())],
            secrets: Secrets::default().with("private_key", &[secret(&private)]),
            base_url: Some(system.url.clone()),
            ..Gives::default()
        };
        let rig = Rig::new(&definition, &gives);
        rig.applied().await;
        rig.applied().await;
        let asked = system.seen("POST /token");
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].field("grant_type"), "client_credentials");
        assert_eq!(
            asked[0].field("client_assertion_type"),
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        let audience = format!("{}/token", system.url);
        let (kid, claims) = verified(&asked[0].field("client_assertion"), alg, &public, &audience);
        assert_eq!((kid.as_deref(), &claims["scope"]), (Some("cert-1"), &json!("rest_webservices")));
        assert!(!claims["jti"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_key_that_cannot_sign_is_said_before_anything_is_sent() {
    let definition = "connection: {private_key: {type: secret}}\n\
        auth: {kind: oauth2_client_assertion, assertion: {alg: ES256, iss: x}, token: {url: 'https://x.example/token'}}";
    for key in [rsa().0, "no key at all".to_owned()] {
        let secrets = Secrets::default().with("private_key", &[secret(&key)]);
        let gives = Gives { secrets, base_url: Some("https://x.example".to_owned()), ..Gives::default() };
        let error = Rig::try_new(definition, &gives).map(drop).unwrap_err();
        assert_eq!(error.code(), "CFG-0212");
        assert!(error.to_string().contains("not an EC private key"), "{error}");
        assert!(!error.to_string().contains("no key at all"), "{error}");
    }
}

/// Each request has a signature of its own; this system computes it anew. What the base string is like where a query or a
/// form goes with the request is tested beside the code, on the example of the RFC.
#[tokio::test]
async fn each_request_is_signed() {
    let system = System::start(|seen| {
        let header = seen.header("authorization").strip_prefix("OAuth ").unwrap_or_default();
        let fields: BTreeMap<&str, String> = header
            .split(", ")
            .filter_map(|field| field.split_once('='))
            .map(|(name, value)| (name, value.trim_matches('"').to_owned()))
            .collect();
        let pairs: Vec<String> = fields
            .iter()
            .filter(|(name, _)| !matches!(**name, "realm" | "oauth_signature"))
            .map(|(name, value)| format!("{name}%3D{value}"))
            .collect();
        let address = format!("http%3A%2F%2F{}%2Fdocs", seen.header("host").replace(':', "%3A"));
        let base = format!("POST&{address}&{}", pairs.join("%26"));
        let mut mac = Hmac::<Sha256>::new_from_slice(b"cs&ts%2F1").unwrap();
        mac.update(base.as_bytes());
        let expected = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let signature = fields.get("oauth_signature").map(String::as_str).unwrap_or_default();
        let right = expected == percent_encoding::percent_decode_str(signature).decode_utf8().unwrap()
            && fields.get("realm").is_some_and(|realm| realm == "1234567_SB1")
            && fields.get("oauth_consumer_key").is_some_and(|key| key == "ck")
            && fields.get("oauth_token").is_some_and(|token| token == "tk");
        reply(if right { 200 } else { 401 }, "{}")
    })
    .await;
    let definition = "connection: {account: {}, ck: {}, tk: {}, cs: {type: secret}, ts: {type: secret}}\n\
        auth: {kind: oauth1_hmac, consumer_key: '{{conn.ck}}', consumer_secret: '{{conn.cs}}', token: '{{conn.tk}}', \
        token_secret: '{{conn.ts}}', realm: '{{conn.account}}'}";
    let gives = Gives {
        values: vec![("account", "1234567_SB1".to_owned()), ("ck", "ck".to_owned()), ("tk", "tk".to_owned())],
        secrets: Secrets::default().with("cs", &[secret("cs")]).with("ts", &[secret("ts/1")]),
        base_url: Some(system.url.clone()),
        ..Gives::default()
    };
    let rig = Rig::new(definition, &gives);
    rig.applied().await;
    rig.applied().await;
    let sent = system.seen("POST /docs");
    assert_ne!(sent[0].header("authorization"), sent[1].header("authorization"), "a nonce is used once");
}

/// Tryton's way: a session in a header, had by JSON-RPC, which says no inside of a 200.
#[tokio::test]
async fn a_session_is_opened_and_opened_again_when_it_is_gone() {
    let open = Arc::new(AtomicU64::new(0));
    let opens = Arc::clone(&open);
    let system = System::start(move |seen| {
        if seen.line == "POST /db/" {
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            if body["params"][1]["password"] != "pw\"1" {
                return reply(200, r#"{"id":0,"result":null,"error":["LoginException",["password"]]}"#);
            }
            let n = opens.fetch_add(1, Ordering::SeqCst) + 1;
            return reply(200, format!("{{\"id\":0,\"result\":[5,\"sid-{n}\",null]}}"));
        }
        let right = BASE64_STANDARD.encode(format!("anna:5:sid-{}", opens.load(Ordering::SeqCst)));
        reply(if seen.header("authorization") == format!("Session {right}") { 200 } else { 401 }, "{}")
    })
    .await;
    let definition = "connection: {user: {}, password: {type: secret}}\n\
        auth:\n  kind: session_login\n  \
        request: {send: POST /db/, body: {id: 0, method: common.db.login, params: ['{{conn.user}}', {password: '{{conn.password}}'}, en]}}\n  \
        capture: {user_id: '$.result[0]', session: '$.result[1]'}\n  \
        session: {text: '{{conn.user}}:{{auth.captured.user_id}}:{{auth.captured.session}}', prefix: 'Session ', encode: base64}";
    let gives = |password: &str| Gives {
        values: vec![("user", "anna".to_owned())],
        secrets: Secrets::default().with("password", &[secret(password)]),
        base_url: Some(system.url.clone()),
        ..Gives::default()
    };
    let rig = Rig::new(definition, &gives("pw\"1"));
    rig.applied().await;
    open.fetch_add(1, Ordering::SeqCst); // the system has forgotten the session
    assert_eq!(waits(&rig.send().await), ("SNK-0006", Some(0)));
    rig.applied().await;
    assert_eq!(system.seen("POST /db/").len(), 2);
    let wrong = Rig::new(definition, &gives("wrong"));
    let answer = wrong.send().await;
    assert_eq!(waits(&answer), ("SNK-0050", None), "{answer:?}");
}

/// Odoo's way: a session in a cookie.
#[tokio::test]
async fn a_session_can_be_a_cookie() {
    let system = System::start(|seen| match seen.line.as_str() {
        "POST /web/session/authenticate" => {
            let cookies = ["session_id=abc; Path=/; HttpOnly", "lang=en", "gone=; Max-Age=0"];
            let headers = cookies.map(|cookie| ("set-cookie", cookie.to_owned())).to_vec();
            (200, headers, r#"{"result":{"uid":2}}"#.to_owned())
        }
        _ => reply(if seen.header("cookie") == "session_id=abc; lang=en" { 200 } else { 401 }, "{}"),
    })
    .await;
    let definition = "connection: {password: {type: secret}}\n\
        auth: {kind: session_login, request: {send: POST /web/session/authenticate, body: {params: {password: '{{conn.password}}'}}}, \
        capture: {uid: $.result.uid}, cookies: true, expiry: {kind: fixed, after: 1h}}";
    let gives = Gives {
        secrets: Secrets::default().with("password", &[secret("x")]),
        base_url: Some(system.url.clone()),
        ..Gives::default()
    };
    let rig = Rig::new(definition, &gives);
    rig.applied().await;
    rig.applied().await;
    assert_eq!(system.seen("POST /web").len(), 1);
}

const CSRF: &str = "connection: {password: {type: secret}}\n\
    auth: {kind: basic, username: hub, password: '{{conn.password}}'}\n\
    csrf: {fetch: HEAD /service/}";

fn guarded(valid: Arc<AtomicU64>) -> impl Fn(&signing::Seen) -> signing::Reply + Send + Sync + 'static {
    move |seen| {
        let n = valid.load(Ordering::SeqCst);
        if !seen.header("authorization").starts_with("Basic ") {
            return reply(401, "");
        }
        if seen.line == "HEAD /service/" && seen.header("x-csrf-token") == "Fetch" {
            let cookie = ("set-cookie", format!("SAP_SESSIONID={n}; path=/; secure"));
            return (200, vec![("x-csrf-token", format!("token-{n}")), cookie], String::new());
        }
        let right = seen.header("x-csrf-token") == format!("token-{n}")
            && seen.header("cookie") == format!("SAP_SESSIONID={n}");
        if right {
            return reply(200, "{}");
        }
        (403, vec![("x-csrf-token", "Required".to_owned())], "CSRF token validation failed".to_owned())
    }
}

/// SAP's way: a token with its cookies goes with each write, and is had anew when it does not hold any more.
#[tokio::test]
async fn a_token_against_forged_requests_goes_out_with_its_cookies() {
    let valid = Arc::new(AtomicU64::new(1));
    let system = System::start(guarded(Arc::clone(&valid))).await;
    let gives = Gives {
        secrets: Secrets::default().with("password", &[secret("x")]),
        base_url: Some(system.url.clone()),
        ..Gives::default()
    };
    let rig = Rig::new(CSRF, &gives);
    rig.applied().await;
    rig.applied().await;
    assert_eq!((system.seen("HEAD").len(), system.seen("POST").len()), (1, 2));
    valid.store(2, Ordering::SeqCst);
    rig.applied().await; // within the same attempt: nothing was done before
    assert_eq!((system.seen("HEAD").len(), system.seen("POST").len()), (2, 4));
    let bodies: Vec<String> = system.seen("POST").into_iter().map(|seen| seen.body).collect();
    assert!(bodies.iter().all(|body| body == &bodies[0]), "{bodies:?}");
}

/// A system that never takes its own token is asked twice, not for ever.
#[tokio::test]
async fn a_request_is_sent_twice_at_most() {
    let valid = Arc::new(AtomicU64::new(1));
    let honest = guarded(Arc::clone(&valid));
    let system = System::start(move |seen| {
        let answer = honest(seen);
        if seen.line.starts_with("HEAD") {
            valid.fetch_add(1, Ordering::SeqCst);
        }
        answer
    })
    .await;
    let gives = Gives {
        secrets: Secrets::default().with("password", &[secret("x")]),
        base_url: Some(system.url.clone()),
        ..Gives::default()
    };
    let answer = Rig::new(CSRF, &gives).send().await;
    assert_eq!(waits(&answer), ("SNK-0006", None), "{answer:?}");
    assert_eq!((system.seen("HEAD").len(), system.seen("POST").len()), (2, 2));
}

#[tokio::test]
async fn without_a_token_against_forged_requests_nothing_is_sent() {
    let system = System::start(|_| reply(200, "")).await;
    let gives = Gives {
        secrets: Secrets::default().with("password", &[secret("x")]),
        base_url: Some(system.url.clone()),
        ..Gives::default()
    };
    let rig = Rig::new(CSRF, &gives);
    assert_eq!(waits(&rig.send().await), ("SNK-0055", None));
    assert_eq!(system.seen("POST").len(), 0);
}

#[test]
fn what_does_not_fit_in_auth_is_said() {
    let gives = || Gives { base_url: Some("https://x.example".to_owned()), ..Gives::default() };
    let error = |more: &str| Rig::try_new(more, &gives()).map(drop).unwrap_err();
    for (more, says) in [
        ("auth: {kind: basic, username: '{{conn.user}}', password: x}", "`{{conn.user}}` stands for nothing"),
        ("auth: {kind: session_login, request: POST /x}", "`cookies: true`"),
        ("auth: {kind: session_login, request: /x, cookies: true}", "is no request"),
        (
            "auth: {kind: oauth2_client_assertion, assertion: {alg: RS256, iss: x, key: k, ttl: 2h}, token: {url: 'https://x.example'}}",
            "no more than 60m",
        ),
        ("headers: {X-Org: '{{auth.captured.org}}'}", "it names nothing"),
        ("csrf: {fetch: HEAD /, failed: {message: csrf}}", "a `status` of 4xx"),
        (
            "base_url: 'https://{{auth.captured.x}}'\nauth: {kind: static_token, header: 'a b', secret: x}",
            "no header name",
        ),
    ] {
        let error = error(more);
        assert_eq!(error.code(), "CFG-0214", "{more}: {error}");
        assert!(error.to_string().contains(says), "{more}: {error}");
    }
}

#[test]
fn what_a_connection_lacks_or_has_too_much_is_said() {
    let definition = connector(
        "connection: {account: {help: the number}, port: {type: integer, default: '1'}, login: {type: url}, key: {type: secret, help: of the app}}",
    );
    let check = |values: &[(&str, &str)], secrets: &[&str]| {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let secrets = secrets.iter().fold(Secrets::default(), |all, name| all.with(name, &[secret("x")]));
        let found = definition.misfits(&values, &secrets);
        found.iter().map(|misfit| format!("{}: {misfit}", misfit.code())).collect::<Vec<_>>()
    };
    let good = [("account", "1"), ("login", "https://l.example")];
    assert_eq!(check(&good, &["key"]), [""; 0]);
    assert_eq!(
        check(&[], &[]),
        [
            "CFG-0115: it needs `values: {account: …}` (the number)",
            "CFG-0115: it needs `values: {login: …}`",
            "CFG-0116: it needs `secrets: {key: …}` (of the app)",
        ]
    );
    let odd = [("account", "1"), ("login", "ftp://l"), ("port", "x"), ("key", "plain"), ("cmp", "1")];
    assert_eq!(
        check(&odd, &["key", "account", "token"]),
        [
            "CFG-0117: `login` is `ftp://l`, which is no address, write for example https://x.example.com",
            "CFG-0117: `port` is `x`, which is no whole number",
            "CFG-0117: it knows no value `cmp`; it knows account, login, port",
            "CFG-0117: `key` is a secret: write a reference to it under `secrets`",
            "CFG-0117: `account` is no secret: write it under `values`",
            "CFG-0117: it knows no secret `token`; it knows key",
        ]
    );
}

/// What docs/connector-auth.md shows can be written so.
#[test]
fn the_examples_of_the_documentation_compile() {
    let page = include_str!("../../../docs/connector-auth.md");
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let mut kinds = std::collections::BTreeSet::new();
    for block in &blocks {
        let definition = connector(block);
        let (mut values, mut secrets) = (Vec::new(), Secrets::default());
        for (name, field) in &definition.connection {
            match field.kind {
                FieldKind::Secret if name == "private_key" => {
                    secrets = secrets.with(name, &[secret(&rsa().0)]);
                }
                FieldKind::Secret => secrets = secrets.with(name, &[secret("x")]),
                FieldKind::String => values.push((&*name.clone().leak(), "x".to_owned())),
                FieldKind::Integer => values.push((&*name.clone().leak(), "1".to_owned())),
                FieldKind::Url => values.push((&*name.clone().leak(), "https://x.example".to_owned())),
            }
        }
        let base_url = definition.base_url.is_none().then(|| "https://erp.example".to_owned());
        if let Err(error) = Rig::try_new(block, &Gives { values, secrets, base_url, ..Gives::default() }) {
            panic!("{block}: {error}");
        }
        kinds.extend(block.split("kind: ").skip(1).filter_map(|rest| rest.split([',', '}', '\n']).next()));
    }
    for kind in [
        "static_token",
        "basic",
        "oauth2_client",
        "oauth2_code",
        "oauth2_jwt_grant",
        "oauth2_client_assertion",
        "oauth1_hmac",
        "session_login",
    ] {
        assert!(kinds.contains(kind), "no example of {kind}: {kinds:?}");
    }
}
