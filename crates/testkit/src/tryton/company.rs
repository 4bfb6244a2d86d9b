//! What a company does: customers, sales, invoices and payments, each in as many calls as Tryton needs.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Client, decimal};

/// The records that every invoice names, looked up once.
#[derive(Clone, Debug)]
pub struct Company {
    client: Client,
    journal: u64,
    receivable: u64,
    revenue: u64,
    currency: u64,
    term: u64,
    bank: u64,
    widget: u64,
    unit: u64,
    today: Value,
}

/// A party and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The id of the party.
    pub party: u64,
    /// The id of its address.
    pub address: u64,
}

impl Company {
    /// Looks up what the server's company has. Everything it does is dated `today`.
    ///
    /// # Errors
    /// When something is missing.
    pub async fn of(client: &Client, today: Value) -> anyhow::Result<Self> {
        let fields = ["default_uom", "account_category.account_revenue"];
        let found = client.search("product.product", &json!([["code", "=", "WIDGET"]]), &fields).await?;
        let widget = found.first().context("there is no product WIDGET")?;
        let number = |value: &Value| value.as_u64().with_context(|| format!("no id in {widget}"));
        Ok(Self {
            journal: client.only("account.journal", json!([["code", "=", "REV"]])).await?,
            receivable: client.only("account.account", json!([["code", "=", "1.2.1"]])).await?,
            revenue: number(&widget["account_category"]["account_revenue"])?,
            currency: client.only("currency.currency", json!([["code", "=", "EUR"]])).await?,
            term: client.only("account.invoice.payment_term", json!([["name", "=", "Upon Receipt"]])).await?,
            bank: client.only("account.statement.journal", json!([["name", "=", "Bank"]])).await?,
            widget: number(&widget["id"])?,
            unit: number(&widget["default_uom"])?,
            client: client.clone(),
            today,
        })
    }

    /// Creates a customer with an address: one call, and one to learn the address's id.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn customer(&self, code: &str, name: &str) -> anyhow::Result<Customer> {
        let address = json!({ "street": "Hauptstraße 1", "postal_code": "89073", "city": "Ulm" });
        let record = json!({ "code": code, "name": name, "addresses": [["create", [address]]] });
        let party = self.client.create("party.party", &record).await?;
        let read = self.client.read("party.party", party, &["addresses"]).await?;
        let address = read["addresses"][0].as_u64().with_context(|| format!("no address: {read}"))?;
        Ok(Customer { party, address })
    }

    /// The body of an invoice for so many widgets at 10.00.
    pub fn invoice_of(&self, reference: &str, customer: Customer, quantity: u64) -> Value {
        let line = json!({
            "type": "line",
            "product": self.widget,
            "account": self.revenue,
            "unit": self.unit,
            "quantity": quantity,
            "unit_price": decimal("10.00"),
            "description": "Widget",
        });
        json!({
            "type": "out",
            "reference": reference,
            "party": customer.party,
            "invoice_address": customer.address,
            "journal": self.journal,
            "account": self.receivable,
            "currency": self.currency,
            "payment_term": self.term,
            "invoice_date": self.today,
            "lines": [["create", [line]]],
        })
    }

    /// Creates a draft invoice for so many widgets at 10.00 and gives its id.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn invoice(&self, reference: &str, customer: Customer, quantity: u64) -> anyhow::Result<u64> {
        self.client.create("account.invoice", &self.invoice_of(reference, customer, quantity)).await
    }

    /// Creates a draft sale of so many widgets at 10.00 that is invoiced when it is confirmed, and gives its id.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn sale(&self, reference: &str, customer: Customer, quantity: u64) -> anyhow::Result<u64> {
        let line = json!({
            "product": self.widget,
            "unit": self.unit,
            "quantity": quantity,
            "unit_price": decimal("10.00"),
        });
        let record = json!({
            "reference": reference,
            "party": customer.party,
            "invoice_address": customer.address,
            "shipment_address": customer.address,
            "currency": self.currency,
            "payment_term": self.term,
            "sale_date": self.today,
            "invoice_method": "order",
            "shipment_method": "manual",
            "lines": [["create", [line]]],
        });
        self.client.create("sale.sale", &record).await
    }

    /// Records that a customer paid an invoice, as a bank statement of one line, and gives the statement's id.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn payment(
        &self,
        reference: &str,
        customer: Customer,
        invoice: u64,
        amount: &str,
    ) -> anyhow::Result<u64> {
        let line = json!({
            "number": reference,
            "date": self.today,
            "amount": decimal(amount),
            "party": customer.party,
            "account": self.receivable,
            "related_to": format!("account.invoice,{invoice}"),
        });
        let record = json!({
            "name": reference,
            "journal": self.bank,
            "date": self.today,
            "total_amount": decimal(amount),
            "lines": [["create", [line]]],
        });
        let statement = self.client.create("account.statement", &record).await?;
        self.client.press("account.statement", statement, "validate_statement").await?;
        self.client.press("account.statement", statement, "post").await?;
        Ok(statement)
    }
}
