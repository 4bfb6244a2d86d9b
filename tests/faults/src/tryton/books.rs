//! What stands in the ERP's own database, held against what was issued.

use std::collections::BTreeMap;

use contract::{Outcome, OutcomeStatus};
use serde::Serialize;
use testkit::tryton::{Billed, Invoice};

use super::company::{Bill, CUSTOMER, Company};

/// What the invoices of the database say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Posted invoices of the events.
    pub invoices: usize,
    /// Invoices beyond the first of a reference, and those of references that nobody issued.
    pub duplicates: usize,
    /// Events without an invoice.
    pub lost: usize,
    /// Invoices that are not posted, are not booked once, or do not have their one line.
    pub wrong_state: usize,
    /// Invoices of another customer, or over another amount, than the event of their reference.
    pub wrong_content: usize,
    /// Events whose outcome is not Committed: in doubt, refused, or none at all.
    pub not_committed: usize,
}

impl Count {
    pub fn is_clean(&self) -> bool {
        self.duplicates + self.lost + self.wrong_state + self.wrong_content + self.not_committed == 0
    }
}

pub fn count(company: &Company, issued: &[Bill], outcomes: &[Outcome]) -> anyhow::Result<Count> {
    let mut count = compare(issued, &company.tryton.invoices()?);
    count.wrong_content = wrong_content(issued, &company.tryton.billed()?);
    let committed = outcomes.iter().filter(|outcome| outcome.status == OutcomeStatus::Committed).count();
    count.not_committed = issued.len().saturating_sub(committed);
    for outcome in outcomes.iter().filter(|outcome| outcome.status != OutcomeStatus::Committed) {
        eprintln!("{} is {}: {:?}", outcome.entity, outcome.status.symbol(), outcome.detail);
    }
    Ok(count)
}

fn compare(issued: &[Bill], found: &[Invoice]) -> Count {
    let mut by_reference: BTreeMap<&str, usize> = issued.iter().map(|b| (&*b.reference, 0)).collect();
    let mut count = Count::default();
    for invoice in found.iter().filter(|invoice| !super::cost::is_raw(&invoice.reference)) {
        match by_reference.get_mut(&*invoice.reference) {
            Some(seen) if *seen == 0 => *seen = 1,
            _ => count.duplicates += 1,
        }
        let right = invoice.state == "posted" && invoice.booked == 1 && invoice.lines == 1;
        count.invoices += usize::from(right);
        count.wrong_state += usize::from(!right);
    }
    count.lost = by_reference.values().filter(|seen| **seen == 0).count();
    count
}

/// How many invoices say something else than their events do; those that nobody issued are counted elsewhere.
fn wrong_content(issued: &[Bill], billed: &[Billed]) -> usize {
    let totals: BTreeMap<&str, String> = issued.iter().map(|b| (&*b.reference, b.total())).collect();
    let is_wrong = |one: &&Billed| {
        let total = totals.get(&*one.reference);
        total.is_some_and(|total| one.amount != *total || one.customer != CUSTOMER)
    };
    billed.iter().filter(is_wrong).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_over_something_else_is_counted() {
        let issued = [Bill { reference: "A".to_owned(), quantity: 3 }];
        let billed = |reference: &str, customer: &str, amount: &str| Billed {
            reference: reference.to_owned(),
            customer: customer.to_owned(),
            amount: amount.to_owned(),
        };
        assert_eq!(
            wrong_content(&issued, &[billed("A", CUSTOMER, "30.00"), billed("RAW-1", "X", "1.00")]),
            0
        );
        assert_eq!(
            wrong_content(&issued, &[billed("A", CUSTOMER, "20.00"), billed("A", "CUST-2", "30.00")]),
            2
        );
        assert!(!Count { wrong_content: 1, ..Count::default() }.is_clean());
    }

    fn found(reference: &str, state: &str, booked: u64) -> Invoice {
        Invoice { reference: reference.to_owned(), state: state.to_owned(), lines: 1, booked }
    }

    #[test]
    fn each_kind_of_error_is_counted() {
        let bill = |reference: &str| Bill { reference: reference.to_owned(), quantity: 1 };
        let issued = [bill("A"), bill("B"), bill("C")];
        let posted = |reference| found(reference, "posted", 1);
        let clean = compare(&issued, &[posted("A"), posted("B"), posted("C"), posted("RAW-1")]);
        assert_eq!(clean, Count { invoices: 3, ..Count::default() });
        assert!(clean.is_clean());
        let double = compare(&issued, &[posted("A"), posted("A"), posted("B"), posted("C"), posted("D")]);
        assert_eq!((double.duplicates, double.lost, double.invoices), (2, 0, 5));
        let wrong = compare(&issued, &[posted("A"), found("B", "draft", 0), found("C", "posted", 2)]);
        assert_eq!((wrong.wrong_state, wrong.lost, wrong.invoices), (2, 0, 1));
        let lost = compare(&issued, &[posted("A")]);
        assert_eq!((lost.lost, lost.duplicates), (2, 0));
        assert!(![double, wrong, lost].iter().any(Count::is_clean));
    }
}
