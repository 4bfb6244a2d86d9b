//! The definition of Tryton against Tryton itself: order to cash, lost answers, crashes in between, refusals.
#![allow(clippy::unwrap_used)]

mod refusals;
mod rig;
mod session;

use delivery::{Answer, ErrorClass, ReadBack, Scope};
use rig::{Rig, applied};
use serde_json::{Value, json};
use testkit::tryton::{Invoice, decimal};

fn invoice(reference: &str, state: &str, booked: u64) -> Invoice {
    Invoice { reference: reference.to_owned(), state: state.to_owned(), lines: 1, booked }
}

async fn state(rig: &Rig, model: &str, id: &str) -> Value {
    rig.tryton.client().read(model, id.parse().unwrap(), &["state"]).await.unwrap()["state"].clone()
}

#[tokio::test]
async fn from_the_order_to_the_cash() {
    let rig = Rig::start().await;
    let client = rig.tryton.client();
    // what is referred to is waited for
    let order = rig.trip("order", "SO-1", &rig.order("SO-1", "C-1", 3));
    let answer = rig.send(&order).await;
    let waits = |answer: &Answer| {
        matches!(answer, Answer::Again { reason, scope: Scope::Lane, .. }
            if reason.class == ErrorClass::MissingReference)
    };
    assert!(waits(&answer), "{answer:?}");

    let customer = rig.bring("customer", "C-1", &rig.customer("C-1", "Müller Anlagenbau", "Ulm")).await;
    let sale = applied(rig.send(&order).await);
    assert_eq!(state(&rig, "sale.sale", &sale).await, "processing");
    let payment = rig.trip("payment", "PAY-1", &rig.payment("PAY-1", "C-1", "INV-1", "30.00"));
    let answer = rig.send(&payment).await;
    assert!(waits(&answer), "{answer:?}");
    let bill = rig.bring("invoice", "INV-1", &rig.invoice("INV-1", "C-1", 3)).await;
    assert_eq!(rig.tryton.invoices().unwrap(), [invoice("INV-1", "posted", 1)]);
    let statement = applied(rig.send(&payment).await);
    assert_eq!(state(&rig, "account.statement", &statement).await, "posted");
    assert_eq!(rig.tryton.invoices().unwrap(), [invoice("INV-1", "paid", 1)]);

    // again, as after a forced replay: everything is there already
    assert_eq!(applied(rig.send(&order).await), sale);
    assert_eq!(rig.bring("invoice", "INV-1", &rig.invoice("INV-1", "C-1", 3)).await, bill);
    assert_eq!(applied(rig.send(&payment).await), statement);
    assert_eq!(rig.tryton.invoices().unwrap(), [invoice("INV-1", "paid", 1)]);

    // a customer moves, and keeps its id and its only address
    assert_eq!(rig.bring("customer", "C-1", &rig.customer("C-1", "Müller SE", "Neu-Ulm")).await, customer);
    let fields = ["name", "addresses.city"];
    let party = client.read("party.party", customer.parse().unwrap(), &fields).await.unwrap();
    assert_eq!((&party["name"], &party["addresses"][0]["city"]), (&json!("Müller SE"), &json!("Neu-Ulm")));
    assert_eq!(party["addresses"].as_array().unwrap().len(), 1);

    // a posted invoice is fixed: one that says something else is no update of it
    let answer = rig.send(&rig.trip("invoice", "INV-1", &rig.invoice("INV-1", "C-1", 4))).await;
    assert!(matches!(&answer, Answer::Refused(r) if r.class == ErrorClass::Duplicate), "{answer:?}");
}

/// The base mappings and the definition fit one another, and Tryton takes what comes of it.
#[tokio::test]
async fn what_the_base_mappings_make_is_taken() {
    let rig = Rig::start().await;
    for (object, reference, case) in [
        ("customer", "CUST-1", "customer.company"),
        ("product", "PROD-1", "product.goods"),
        ("order", "ORD-1", "order.plain"),
        ("invoice", "INV-1", "invoice.plain"),
        ("payment", "PAY-1", "payment.plain"),
    ] {
        let payload = rig.mapped(case);
        let id = rig.bring(object, reference, &payload).await;
        let (seen, _) = rig.look_and_go_on(&rig.trip(object, reference, &payload)).await;
        let document = Some(id.as_str().into());
        // Of a product a part is compared: only a write makes sure.
        let expected = match object {
            "product" => ReadBack::Differs { document },
            _ => ReadBack::Matches { document },
        };
        assert_eq!(seen, expected, "{case}");
    }
    let paid = Invoice { lines: 3, ..invoice("INV-1", "paid", 1) };
    assert_eq!(rig.tryton.invoices().unwrap(), [paid]);
}

#[tokio::test]
async fn a_product_is_made_and_changed_and_sold() {
    let rig = Rig::start().await;
    let product = |name: &str, price: &str| {
        json!({
            "name": name,
            "type": "goods",
            "list_price": decimal(price),
            "unit": {"$lookup": "unit", "ref": "u"},
            "category": {"$lookup": "category", "ref": "Sold goods", "optional": true},
        })
    };
    let id = rig.bring("product", "BOLT", &product("Bolt", "0.1050")).await;
    assert_eq!(rig.bring("product", "BOLT", &product("Hex bolt", "0.1100")).await, id);
    let client = rig.tryton.client();
    let fields = ["name", "list_price", "products", "account_category"];
    let found = client.read("product.template", id.parse().unwrap(), &fields).await.unwrap();
    assert_eq!((&found["name"], &found["list_price"]), (&json!("Hex bolt"), &decimal("0.1100")));
    assert!(found["account_category"].is_u64(), "{found}");
    rig.bring("customer", "C-1", &rig.customer("C-1", "Müller", "Ulm")).await;
    let mut order = rig.order("SO-1", "C-1", 1);
    order["document"]["lines"][0][1][0]["product"]["ref"] = json!("BOLT");
    let draft = rig.bring("order.draft", "SO-1", &order).await;
    assert_eq!(state(&rig, "sale.sale", &draft).await, "draft");
    assert_eq!(rig.bring("order", "SO-1", &order).await, draft, "a draft is gone on with");
    assert_eq!(state(&rig, "sale.sale", &draft).await, "processing");
}

/// One posted invoice comes of it, wherever it breaks.
#[tokio::test]
async fn lost_answers_are_looked_for_and_a_crash_in_between_goes_on() {
    let rig = Rig::start().await;
    rig.bring("customer", "C-1", &rig.customer("C-1", "Müller", "Ulm")).await;
    let first = rig.blind_trip("invoice", "INV-0", &rig.invoice("INV-0", "C-1", 1));
    applied(rig.send(&first).await);

    // Tryton has created the draft, and its answer is lost
    let lost = first.next("INV-1", &rig.invoice("INV-1", "C-1", 2));
    rig.lose_answers().await;
    let answer = rig.send(&lost).await;
    assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
    rig.heal().await;
    assert_eq!(rig.tryton.invoices().unwrap()[1..], [invoice("INV-1", "draft", 0)]);

    // the look finds it; it is posted, and that answer is lost too
    let (seen, answer) = rig.look_and_lose_what_follows(&lost).await;
    assert!(matches!(seen, ReadBack::Unfinished { document: Some(_) }), "{seen:?}");
    assert!(matches!(&answer, Answer::Unknown(r) if r.message.contains("step `post`")), "{answer:?}");
    let (seen, answer) = rig.look_and_go_on(&lost).await;
    assert!(matches!(seen, ReadBack::Matches { document: Some(_) }), "{seen:?}");
    applied(answer);
    let all = [invoice("INV-0", "posted", 1), invoice("INV-1", "posted", 1)];
    assert_eq!(rig.tryton.invoices().unwrap(), all);

    // the look before the first attempt is what is lost: nothing was written, nothing is in doubt
    let another = rig.trip("invoice", "INV-2", &rig.invoice("INV-2", "C-1", 1));
    rig.lose_answers().await;
    let answer = rig.send(&another).await;
    assert!(matches!(&answer, Answer::Again { scope: Scope::Lane, .. }), "{answer:?}");
    rig.heal().await;
    assert_eq!(rig.tryton.invoices().unwrap(), all);
}

/// What a crash after the first steps of a sale leaves behind is gone on with.
#[tokio::test]
async fn a_sale_goes_on_where_it_stands() {
    let rig = Rig::start().await;
    rig.bring("customer", "C-1", &rig.customer("C-1", "Müller", "Ulm")).await;
    // the third button is pressed by Tryton itself, once a sale is confirmed
    for (reference, buttons) in [("SO-0", &[][..]), ("SO-1", &["quote"]), ("SO-2", &["quote", "confirm"])] {
        let payload = rig.order(reference, "C-1", 1);
        let sale = rig.bring("order.draft", reference, &payload).await;
        for button in buttons {
            rig.tryton.client().press("sale.sale", sale.parse().unwrap(), button).await.unwrap();
        }
        let (seen, answer) = rig.look_and_go_on(&rig.trip("order", reference, &payload)).await;
        let document = Some(sale.as_str().into());
        let expected = if buttons.len() < 2 {
            ReadBack::Unfinished { document }
        } else {
            ReadBack::Matches { document }
        };
        assert_eq!(seen, expected, "{reference}");
        assert_eq!(applied(answer), sale, "{reference}");
        assert_eq!(state(&rig, "sale.sale", &sale).await, "processing", "{reference}");
    }
}

/// The first press was slow, or its answer lost: what the second one says is no refusal, and a look settles it.
#[tokio::test]
async fn a_button_that_was_pressed_already_is_looked_at() {
    let rig = Rig::start().await;
    rig.bring("customer", "C-1", &rig.customer("C-1", "Müller", "Ulm")).await;
    let draft = rig.blind_trip("invoice", "INV-1", &rig.invoice("INV-1", "C-1", 1));
    rig.lose_answers().await;
    rig.send(&draft.next("INV-9", &rig.invoice("INV-9", "C-1", 1))).await; // a reference's look is lost: nothing happens
    rig.heal().await;
    assert_eq!(rig.tryton.invoices().unwrap(), []);
    let id = applied(rig.send(&draft).await);
    let press = format!("account.invoice/{id}/post");
    let again = rig.tryton.client().call("POST", &press, Some(&json!({}))).await.unwrap();
    let meaning = rig::endpoint("http://127.0.0.1:1", "invoice", "no key").meaning(
        again.status,
        &http::HeaderMap::new(),
        again.body.as_bytes(),
    );
    assert!(matches!(&meaning, Answer::Unknown(r) if r.class == ErrorClass::AlreadyAccepted), "{meaning:?}");
    let (seen, _) = rig.look_and_go_on(&draft).await;
    assert_eq!(seen, ReadBack::Matches { document: Some(id.as_str().into()) });
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let rig = Rig::start().await;
    rig.bring("customer", "C-1", &rig.customer("C-1", "Müller", "Ulm")).await;
    let refused = |answer: Answer, class: ErrorClass| match &answer {
        Answer::Refused(reason) | Answer::Stuck(reason) if reason.class == class => answer,
        _ => panic!("{class:?} expected: {answer:?}"),
    };
    let send = async |payload: Value| rig.send(&rig.trip("invoice", "INV-1", &payload)).await;

    let mut odd = rig.invoice("INV-1", "C-1", 1);
    odd["document"]["nickname"] = json!("Mü");
    refused(send(odd).await, ErrorClass::Unsupported);
    let mut odd = rig.invoice("INV-1", "C-1", 1);
    odd["document"]["lines"][0][1][0]["quantity"] = json!("three");
    refused(send(odd).await, ErrorClass::Unsupported);
    let mut odd = rig.invoice("INV-1", "C-1", 1);
    odd["document"]["account"] = json!(1);
    refused(send(odd).await, ErrorClass::Validation);
    assert_eq!(rig.tryton.invoices().unwrap(), []);

    // the draft stands, and no period is open for its date: a person has to see that
    let mut old = rig.invoice("INV-1", "C-1", 1);
    old["document"]["invoice_date"] = json!({"__class__": "date", "year": 2001, "month": 1, "day": 1});
    let answer = refused(send(old).await, ErrorClass::ClosedPeriod);
    assert!(
        matches!(&answer, Answer::Stuck(r) if r.message.contains("step `post` of document")),
        "{answer:?}"
    );
    assert_eq!(rig.tryton.invoices().unwrap(), [invoice("INV-1", "draft", 0)]);
}
