//! An operator's wish to have an event delivered again. It travels as a header of the event's own record, published once more to its
//! partition: so whoever owns that partition carries it out, in the order of its document.

use serde::{Deserialize, Serialize};

/// The header's name.
pub const REPLAY_HEADER: &str = "cf-replay";
/// Most bytes of the header.
const MAX_BYTES: usize = 4_096;

/// What of a connection a replay may use, beside what is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayShare {
    /// That of a few events that are tried once more.
    #[default]
    Redrive,
    /// That of a stretch of the past.
    Backfill,
}

/// A replay, with who wants it and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// 0: what has an outcome keeps it. Otherwise the generation of new postings: each of them is meant to have an effect of its own.
    pub generation: u16,
    /// The only route that it is about; none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Whose share of a connection its postings take.
    #[serde(default)]
    pub share: ReplayShare,
    /// When it was asked for, microseconds since 1970-01-01 UTC: new postings are as old as this.
    pub at: i64,
    /// Who asked for it.
    pub operator: String,
    /// Why.
    pub reason: String,
}

impl Replay {
    /// Whether it is about a route.
    pub fn is_about(&self, route: &str) -> bool {
        self.route.as_deref().is_none_or(|only| only == route)
    }

    /// The header's value.
    pub fn to_header(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // texts and numbers: it cannot fail
    }

    /// Reads the header's value; none if it is no replay.
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
    fn a_replay_comes_back_as_it_went_and_nonsense_is_none() {
        let replay = Replay {
            generation: 2,
            route: Some("invoices".into()),
            share: ReplayShare::Backfill,
            at: 1_764_000_000_000_000,
            operator: "kim".into(),
            reason: "the ERP was restored from a backup".into(),
        };
        let header = replay.to_header();
        assert!(replay.is_about("invoices") && !replay.is_about("orders"));
        assert_eq!(Replay::from_header(&header), Some(replay));
        assert_eq!(Replay::from_header(&header[..header.len() - 1]), None);
        assert_eq!(Replay::from_header(&[b' '; MAX_BYTES + 1]), None);
    }
}
