//! An operator's decision about an event in doubt. It travels as a header of the event's own record, published once more
//! to its partition: whoever owns that partition carries it out, in the order of its document, under its lease.

use serde::{Deserialize, Serialize};

/// The header's name.
pub const DECISION_HEADER: &str = "cf-decision";
/// Most bytes of the header.
const MAX_BYTES: usize = 4_096;

/// What is to become of an event in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The target has it.
    Committed,
    /// The target does not have it, and is not to get it.
    Rejected,
    /// The target does not have it, and is to get it.
    Retry,
}

/// A decision with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The route's name.
    pub route: String,
    /// The generation of the posting.
    pub generation: u16,
    /// When the outcome that was in doubt was settled, microseconds since 1970-01-01 UTC: the decision is about that one,
    /// and no later one.
    pub settled_at: i64,
    /// What is to become of it.
    pub verdict: Verdict,
    /// The target's identifier of the document, of one that is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Who decided.
    pub operator: String,
    /// Why.
    pub reason: String,
}

impl Decision {
    /// The header's value.
    pub fn to_header(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // texts and numbers: it cannot fail
    }

    /// Reads the header's value; none if it is no decision.
    pub fn from_header(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_BYTES {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_comes_back_as_it_went_and_nonsense_is_none() {
        let decision = Decision {
            route: "invoices".into(),
            generation: 0,
            settled_at: 1_764_000_000_000_000,
            verdict: Verdict::Committed,
            document: Some("INV-7".into()),
            operator: "kim".into(),
            reason: "found in the ERP".into(),
        };
        let header = decision.to_header();
        assert_eq!(Decision::from_header(&header), Some(decision));
        for end in 0..header.len() {
            assert_eq!(Decision::from_header(&header[..end]), None);
        }
        assert_eq!(Decision::from_header(&[b' '; MAX_BYTES + 1]), None);
    }
}
