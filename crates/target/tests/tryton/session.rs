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
  request: {send: "POST /{{conn.database}}/", body: {id: 0, method: common.db.login, params: ["{{conn.user}}", {password: "{{conn.password}}"}, en]}}
  capture: {user_id: "$.result[0]", session: "$.result[1]"}
  session: {header: Authorization, prefix: "Session ", text: "{{conn.user}}:{{auth.captured.user_id}}:{{auth.captured.session}}", encode: base64}
headers: {Content-Type: application/json}
errors:
  in_ok: $.error
  code_path: "$.error[0]"
  rules: [{when: {status: 401}, class: auth_expired, outcome: not_applied}]
objects:
  customer:
    path: "/{{conn.database}}/"
    create: {request: {send: "POST {{path}}", body: {id: 1, method: model.party.party.create, params: [["{{payload}}"], {}]}}, ok: [200], id: "$.result[0]"}
"#;

fn endpoint(rig: &Rig, password: &str) -> Endpoint {
    let connector = Connector::parse("tryton-rpc", CONNECTOR).unwrap();
    let values = [("database", "erp"), ("user", "integration")];
    let values: BTreeMap<String, String> = values.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    let url = rig.tryton.url();
    let base_url = Some(url.trim_end_matches("/erp").trim_end_matches('/'));
    let secrets = Secrets::default().with("password", &[password.into()]);
    let access = Access { of: ("acme", "erp"), base_url, values: &values, secrets: &secrets, store: None };
    let auth = Arc::new(Authenticator::new(&connector, &access).unwrap());
    let account =
        Account { base_url, class: None, on_unknown: OnUnknown::Park, auth: Some(&auth), values: &values };
    Endpoint::new(&connector, "customer", &account).unwrap()
}

#[tokio::test]
async fn a_session_is_opened_and_used() {
    let rig = Rig::start().await;
    let party = json!({"name": "Nordwind GmbH", "code": "C-900"});
    let trip = rig.trip_by(endpoint(&rig, rig.tryton.key()), "C-900", &party);
    let id = applied(rig.send(&trip).await);
    let stands =
        rig.tryton.client().read("party.party", id.parse().unwrap(), &["name", "code"]).await.unwrap();
    assert_eq!((&stands["name"], &stands["code"]), (&json!("Nordwind GmbH"), &json!("C-900")));

    let wrong = rig.trip_by(endpoint(&rig, "not the password"), "C-901", &party);
    let answer = rig.send(&wrong).await;
    let Answer::Again { reason, scope: Scope::Connection, .. } = &answer else { panic!("{answer:?}") };
    assert_eq!(&*reason.code, "SNK-0050", "{reason:?}");
}
