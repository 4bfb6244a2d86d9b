//! What stands in the ERP's own database, held against what was issued.

use std::collections::BTreeMap;

use contract::{Outcome, OutcomeStatus};
use serde::Serialize;
use testkit::tryton::Invoice;

use super::company::{Bill, Company};

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
    /// Events whose outcome is not Committed: in doubt, refused, or none at all.
    pub not_committed: usize,
}

impl Count {
    pub fn is_clean(&self) -> bool {
        self.duplicates + self.lost + self.wrong_state + self.not_committed == 0
    }
}

pub fn count(company: &Company, issued: &[Bill], outcomes: &[Outcome]) -> anyhow::Result<Count> {
    let mut count = compare(issued, &company.tryton.invoices()?);
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

#[cfg(test)]
mod tests {
    use super::*;

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
