//! Which events are meant, and in which generation each is delivered again.

use std::collections::{HashMap, HashSet};

use contract::{OutcomeStatus, Replay, ReplayShare};
use event::{Envelope, EventId, ObjectKind, TenantId};

use super::{ReplayArgs, Share};
use crate::commands::log::Log;

/// What the outcomes of a tenant say.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Of each event, the newest generation that has an outcome, where it is not 0.
    generations: HashMap<EventId, u16>,
    /// Routes on which the last outcome of an event's newest generation is a rejection, with its code.
    rejected: HashMap<EventId, Vec<(String, Option<String>)>>,
}

impl Kept {
    pub(super) fn read(log: &Log, tenant: &TenantId) -> anyhow::Result<Self> {
        let mut newest: HashMap<(EventId, String), u16> = HashMap::new();
        let mut kept = Self::default();
        log.outcomes(|outcome| {
            if outcome.tenant != *tenant {
                return;
            }
            let (event, generation) = (outcome.event_id, outcome.generation);
            if generation > 0 {
                let known = kept.generations.entry(event).or_default();
                *known = generation.max(*known);
                let of_route = newest.entry((event, outcome.route.clone())).or_default();
                *of_route = generation.max(*of_route);
            }
            if newest.get(&(event, outcome.route.clone())).copied().unwrap_or_default() > generation {
                return; // an older one, announced again
            }
            let routes = kept.rejected.entry(event).or_default();
            routes.retain(|(route, _)| *route != outcome.route);
            if outcome.status == OutcomeStatus::Rejected {
                routes.push((outcome.route, outcome.error_code));
            }
            if routes.is_empty() {
                kept.rejected.remove(&event);
            }
        })?;
        Ok(kept)
    }
}

/// What is meant.
pub(super) struct Choice<'a> {
    args: &'a ReplayArgs,
    kept: Kept,
    /// An event may stand on its topic more than once.
    seen: HashSet<EventId>,
    at: i64,
}

impl<'a> Choice<'a> {
    pub(super) fn new(args: &'a ReplayArgs, kept: Kept) -> Self {
        let at = std::time::UNIX_EPOCH.elapsed().map_or(0, |age| age.as_micros() as i64);
        Self { args, kept, seen: HashSet::new(), at }
    }

    /// The objects whose topics are to be read.
    pub(super) fn objects(&self) -> Vec<ObjectKind> {
        if self.args.types.is_empty() {
            return ObjectKind::ALL.to_vec();
        }
        let mut objects: Vec<ObjectKind> = self.args.types.iter().map(|t| t.object()).collect();
        objects.sort_unstable();
        objects.dedup();
        objects
    }

    /// What is wished of an event: none if it is not meant, or was seen before; several if it was rejected on several routes.
    pub(super) fn wishes(&mut self, event: &Envelope, seen: &mut usize) -> Vec<Replay> {
        if !self.seen.insert(event.event_id) {
            return Vec::new();
        }
        *seen += 1;
        if !self.is_meant(event) {
            return Vec::new();
        }
        let next = self.kept.generations.get(&event.event_id).copied().unwrap_or_default().saturating_add(1);
        if self.args.rejected {
            let rejected = self.kept.rejected.get(&event.event_id).map_or(&[][..], Vec::as_slice);
            let meant = |(route, code): &&(String, Option<String>)| {
                self.args.route.as_ref().is_none_or(|only| only == route)
                    && self.args.code.as_ref().is_none_or(|only| code.as_ref() == Some(only))
            };
            return rejected.iter().filter(meant).map(|(route, _)| self.wish(next, Some(route))).collect();
        }
        vec![self.wish(if self.args.force { next } else { 0 }, self.args.route.as_ref())]
    }

    fn is_meant(&self, event: &Envelope) -> bool {
        let args = self.args;
        let micros = |moment: chrono::DateTime<chrono::Utc>| moment.timestamp_micros();
        (args.events.is_empty() || args.events.contains(&event.event_id.0))
            && (args.types.is_empty() || args.types.contains(&event.event_type))
            && args.entity.as_ref().is_none_or(|entity| *entity == event.entity)
            && args.from.is_none_or(|from| event.received_at >= micros(from))
            && args.to.is_none_or(|to| event.received_at < micros(to))
    }

    /// Unless it is said: a few events are a redrive, everything that is not picked by hand is a backfill.
    fn share(&self) -> ReplayShare {
        match self.args.share {
            Some(Share::Redrive) => ReplayShare::Redrive,
            Some(Share::Backfill) => ReplayShare::Backfill,
            None if self.args.rejected || !self.args.events.is_empty() => ReplayShare::Redrive,
            None => ReplayShare::Backfill,
        }
    }

    fn wish(&self, generation: u16, route: Option<&String>) -> Replay {
        Replay {
            generation,
            route: route.cloned(),
            share: self.share(),
            at: self.at,
            operator: self.args.operator.clone(),
            reason: self.args.reason.clone().unwrap_or_default(),
        }
    }
}
