//! Every way in which Tryton refuses, provoked and compared with what is recorded.

use serde_json::{Value, json};
use testkit::tryton::{Answer, Client, Company, Customer, Tryton, date, decimal};

use crate::{company, recorded, today};

struct Shop {
    tryton: Tryton,
    company: Company,
    customer: Customer,
    seen: Vec<&'static str>,
}

impl Shop {
    fn client(&self) -> Client {
        self.tryton.client().clone()
    }

    fn keep(&mut self, name: &'static str, answer: &Answer) {
        recorded::check(name, answer);
        self.seen.push(name);
    }

    async fn refused(&mut self, name: &'static str, method: &str, path: &str, body: Option<Value>) {
        let answer = self.client().call(method, path, body.as_ref()).await.unwrap();
        self.keep(name, &answer);
    }

    async fn rpc(&mut self, name: &'static str, method: &str, params: Value) {
        let answer = self.tryton.rpc(method, params).await.unwrap();
        self.keep(name, &answer);
    }
}

#[tokio::test]
async fn every_refusal_is_as_recorded() {
    let (tryton, company) = company().await;
    let customer = company.customer("C-1", "Müller").await.unwrap();
    let mut shop = Shop { tryton, company, customer, seen: Vec::new() };
    what_the_user_did_wrong(&mut shop).await;
    what_is_not_in_the_right_state(&mut shop).await;
    what_the_client_did_wrong(&mut shop).await;
    who_may_not(&mut shop).await;
    by_json_rpc(&mut shop).await;
    the_database_is_locked(&mut shop).await;
    shop.seen.sort_unstable();
    assert_eq!(shop.seen, recorded::names(), "a recorded refusal that nothing provokes");
}

async fn what_the_user_did_wrong(shop: &mut Shop) {
    let party = json!({ "code": "C-1", "name": "Müller again" });
    shop.refused("unique", "POST", "party.party", Some(party)).await;

    let mut invoice = shop.company.invoice_of("INV-1", shop.customer, 1);
    invoice.as_object_mut().unwrap().remove("journal");
    invoice.as_object_mut().unwrap().remove("account");
    shop.refused("required", "POST", "account.invoice", Some(invoice)).await;

    let mut invoice = shop.company.invoice_of("INV-1", shop.customer, 1);
    invoice["account"] = json!(1);
    shop.refused("not-in-domain", "POST", "account.invoice", Some(invoice)).await;

    let mut invoice = shop.company.invoice_of("INV-1", shop.customer, 1);
    invoice["party"] = json!(4_711);
    shop.refused("reference-missing", "POST", "account.invoice", Some(invoice)).await;

    let mut invoice = shop.company.invoice_of("INV-1", shop.customer, 1);
    invoice["lines"][0][1][0]["unit_price"] = decimal("10.123456789");
    shop.refused("digits", "POST", "account.invoice", Some(invoice)).await;
}

async fn what_is_not_in_the_right_state(shop: &mut Shop) {
    let client = shop.client();
    let id = shop.company.invoice("INV-2", shop.customer, 1).await.unwrap();
    client.press("account.invoice", id, "post").await.unwrap();
    let post = format!("account.invoice/{id}/post");
    shop.refused("posted-already", "POST", &post, Some(json!({}))).await;
    let change = json!({ "reference": "INV-3" });
    shop.refused("posted-is-fixed", "PUT", &format!("account.invoice/{id}"), Some(change)).await;
    shop.refused("posted-stays", "DELETE", &format!("account.invoice/{id}"), None).await;

    let day = today(&client).await;
    let year = u16::try_from(day["year"].as_u64().unwrap()).unwrap();
    let mut invoice = shop.company.invoice_of("INV-4", shop.customer, 1);
    invoice["invoice_date"] = date(2001, 1, 1);
    let id = client.create("account.invoice", &invoice).await.unwrap();
    let post = format!("account.invoice/{id}/post");
    shop.refused("no-period", "POST", &post, Some(json!({}))).await;

    // a user is asked whether that is meant
    let mut invoice = shop.company.invoice_of("INV-5", shop.customer, 1);
    invoice["invoice_date"] = date(year + 1, 12, 31);
    let id = client.create("account.invoice", &invoice).await.unwrap();
    let context = json!({ "company": 1 });
    let post = format!("account.invoice/{id}/post");
    let answer = client.call_in(&context, "POST", &post, Some(&json!({}))).await.unwrap();
    shop.keep("warning", &answer);
}

async fn what_the_client_did_wrong(shop: &mut Shop) {
    let party = json!({ "code": "C-2", "nickname": "Mü" });
    shop.refused("unknown-field", "POST", "party.party", Some(party)).await;
    shop.refused("unknown-field-read", "GET", "party.party/1?f=nickname", None).await;
    shop.refused("unknown-model", "POST", "party.guest", Some(json!({}))).await;
    shop.refused("unknown-record", "GET", "party.party/4711", None).await;
    shop.refused("unknown-record-write", "PUT", "party.party/4711", Some(json!({ "name": "x" }))).await;
    shop.refused("unknown-action", "POST", "party.party/1/dance", Some(json!({}))).await;
    shop.refused("unknown-method", "PATCH", "party.party/1", Some(json!({}))).await;
    shop.refused("domain-without-padding", "GET", "party.party?d=W1siaWQiLCI9IiwxXV0", None).await;
    let mut invoice = shop.company.invoice_of("INV-1", shop.customer, 1);
    invoice["lines"][0][1][0]["quantity"] = json!("three");
    shop.refused("wrong-type", "POST", "account.invoice", Some(invoice)).await;
    let action = shop.client().call("POST", "party.party", None).await.unwrap();
    shop.keep("no-body", &action);
}

async fn who_may_not(shop: &mut Shop) {
    let nobody = shop.client().with_key("a key of nobody");
    let answer = nobody.call("GET", "party.party/1", None).await.unwrap();
    shop.keep("unauthorized", &answer);
    let user = json!({ "name": "Mallory", "login": "mallory" });
    shop.refused("no-access", "POST", "res.user", Some(user)).await;
}

async fn by_json_rpc(shop: &mut Shop) {
    let context = json!({ "company": 1 });
    let party = json!([[{ "code": "C-1", "name": "Müller again" }], context]);
    shop.rpc("rpc-unique", "model.party.party.create", party).await;
    let found = json!([["reference", "=", "INV-5"]]);
    let id = shop.client().only("account.invoice", found).await.unwrap();
    shop.rpc("rpc-warning", "model.account.invoice.post", json!([[id], context])).await;
    // the record has changed since it was read
    let stale = json!({ "company": 1, "_timestamp": { "party.party,1": "2001-01-01 00:00:00" } });
    let write = json!([[1], { "name": "renamed" }, stale]);
    shop.rpc("rpc-stale", "model.party.party.write", write).await;
    let unknown = json!([[{ "nickname": "Mü" }], context]);
    shop.rpc("rpc-unknown-field", "model.party.party.create", unknown).await;
    shop.rpc("rpc-unknown-method", "model.party.party.dance", json!([context])).await;
}

/// Another process has written for longer than the server waits, in all its tries.
async fn the_database_is_locked(shop: &mut Shop) {
    let writer = shop.tryton.lock().unwrap();
    let party = json!({ "code": "C-3", "name": "late" });
    shop.refused("locked", "POST", "party.party", Some(party.clone())).await;
    drop(writer);
    shop.client().create("party.party", &party).await.unwrap();
}
