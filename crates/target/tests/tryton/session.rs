//! Signing in by a session, as docs/connector-auth.md shows it, at Tryton itself.

use std::{collections::BTreeMap, sync::Arc};

use delivery::{Answer, OnUnknown, Scope};
use serde_json::json;
use target::{Access, Account, Authenticator, Connector, Endpoint, Secrets};

use crate::rig::{Rig, applied};

const CONNECTOR: &str = r#"
connector: tryton-rpc
revision: 1
class: neither
connection: {database: {}, user: {}, password: {type: secret}}
auth:
  kind: session_login
  request: {send: "POST /{{conn.database}}/rpc/", body: {id: 0, method: common.db.login, params: ["{{conn.user}}", {password: "{{conn.password}}"}, en]}}
  capture: {user_id: "$.result[0]", session: "$.result[1]"}
  session: {header: Authorization, prefix: "Session ", text: "{{conn.user}}:{{auth.captured.user_id}}:{{auth.captured.session}}", encode: base64}
headers: {Content-Type: application/json}
errors:
  in_ok: $.error
  code_path: "$.error[0]"
  rules: [{when: {status: 401}, class: auth_expired, outcome: not_applied}]
objects:
  customer:
    path: "/{{conn.database}}/rpc/"
    create: {request: {send: "POST {{path}}", body: {id: 1, method: model.party.party.create, params: [["{{payload}}"], {}]}}, ok: [200], id: "$.result[0]"}
  contact:                       # ends the session
    path: "/{{conn.database}}/rpc/"
    create: {request: {send: "POST {{path}}", body: {id: 2, method: common.db.logout, params: []}}, ok: [200]}
"#;

/// The ways to create and to log out, on one connection.
fn connection(rig: &Rig, password: &str) -> [Endpoint; 2] {
    let connector = Connector::parse("tryton-rpc", CONNECTOR).unwrap();
    let values = [("database", "erp"), ("user", "integration")];
    let values: BTreeMap<String, String> = values.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    let url = rig.tryton.url();
    let (base_url, secrets) = (Some(&*url), Secrets::default().with("password", &[password.into()]));
    let access = Access { of: ("acme", "erp"), base_url, values: &values, secrets: &secrets, store: None };
    let auth = Arc::new(Authenticator::new(&connector, &access).unwrap());
    let account =
        Account { base_url, class: None, on_unknown: OnUnknown::Park, auth: Some(&auth), values: &values };
    ["customer", "contact"].map(|object| Endpoint::new(&connector, object, &account).unwrap())
}

fn waits(answer: &Answer) -> (&str, Option<u64>) {
    let Answer::Again { reason, after_ms, scope: Scope::Connection } = answer else { panic!("{answer:?}") };
    (&reason.code, *after_ms)
}

#[tokio::test]
async fn a_session_is_opened_and_opened_again_after_its_end() {
    let rig = Rig::start().await;
    let party = json!({"name": "Nordwind GmbH", "code": "C-900"});
    let [create, log_out] = connection(&rig, rig.tryton.key());
    let (trip, end) = (rig.trip_by(create, "C-900", &party), rig.trip_by(log_out, "C-900", &party));
    let id = applied(rig.send(&trip).await);
    let stands =
        rig.tryton.client().read("party.party", id.parse().unwrap(), &["name", "code"]).await.unwrap();
    assert_eq!((&stands["name"], &stands["code"]), (&json!("Nordwind GmbH"), &json!("C-900")));

    let ended = rig.send(&end).await;
    assert!(matches!(ended, Answer::Applied { .. }), "{ended:?}");
    assert_eq!(
        waits(&rig.send(&trip).await),
        ("SNK-0006", Some(0)),
        "the session is gone: nothing is created"
    );
    applied(rig.send(&trip.next("C-901", &json!({"name": "Südwind GmbH", "code": "C-901"}))).await);

    let [create, _] = connection(&rig, "not the password");
    let answer = rig.send(&rig.trip_by(create, "C-902", &party)).await;
    assert_eq!(waits(&answer), ("SNK-0050", None), "{answer:?}");
}
