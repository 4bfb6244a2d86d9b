//! The targets: they count their effects and cry out when one should not have been.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use delivery::{Answer, Class, ErrorClass, OnUnknown, ReadBack, Reason, Scope};

use crate::{plan::ROUTES, sometimes::Sometimes};

/// A posting as the target sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    pub event: usize,
    pub route: usize,
    pub entity: usize,
    pub version: i64,
}

/// What a request runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mood {
    Fine,
    /// Applied, and answered with a server error.
    FailsAfterwards,
    Refuses,
    /// For so many milliseconds.
    Throttles(u64),
    Locked,
    /// Class U: written, but the step that follows is turned away. Fine for the other classes.
    Halfway,
}

impl Mood {
    pub fn of(dice: u8, trouble: u8) -> Self {
        match dice {
            d if d >= trouble => Self::Fine,
            d if d % 4 == 0 => Self::FailsAfterwards,
            d if d % 4 == 1 => Self::Refuses,
            d if d % 8 == 2 => Self::Throttles(1_500),
            d if d % 16 == 6 => Self::Throttles(150),
            d if d % 16 == 14 => Self::Halfway,
            _ => Self::Locked,
        }
    }
}

#[derive(Clone, Default, Hash)]
pub struct Targets {
    /// By route and entity, in the order of their happening: (version, event).
    effects: BTreeMap<(usize, usize), Vec<(i64, usize)>>,
    /// Class K: what each key was first answered, and when.
    keys: BTreeMap<(usize, usize), (u64, Answer)>,

    /// Class U: documents that still lack their step, by route and event.
    halfway: BTreeSet<(usize, usize)>,
}

impl Targets {
    /// The effects of an event on a route.
    pub fn effects(&self, event: usize, route: usize) -> usize {
        let on_route = self.effects.iter().filter(|((r, _), _)| *r == route);
        on_route.flat_map(|(_, effects)| effects).filter(|(_, e)| *e == event).count()
    }

    /// Whether an event's document still lacks its step.
    pub fn is_halfway(&self, event: usize, route: usize) -> bool {
        self.halfway.contains(&(route, event))
    }

    pub fn process(&mut self, request: Request, mood: Mood, now: u64, seen: &mut Sometimes) -> Answer {
        match mood {
            Mood::Throttles(ms) => return again(ErrorClass::Throttled, Some(ms), Scope::Connection),
            Mood::Locked => return again(ErrorClass::LockContention, None, Scope::Lane),
            Mood::Fine | Mood::FailsAfterwards | Mood::Refuses | Mood::Halfway => {}
        }
        let key = (request.route, request.event);
        if let Class::Keyed { window_ms, .. } = ROUTES[request.route]
            && let Some((at, answer)) = self.keys.get(&key)
            && now < at + window_ms
        {
            seen.hit("duplicate stopped by the target's key");
            if let Answer::Replayed(_) = answer {
                seen.hit("stored failure told again");
            }
            return answer.clone();
        }
        if mood == Mood::Refuses && self.halfway.contains(&key) {
            return Answer::Stuck(reason(ErrorClass::Validation));
        }
        let answer = if mood == Mood::Refuses {
            Answer::Refused(reason(ErrorClass::Validation))
        } else {
            self.apply(request);
            Answer::Applied { document: None }
        };
        // Of every other event the target stores a server error under the key as well, and says so when it tells it again.
        let stored = match mood {
            Mood::FailsAfterwards if request.event % 2 == 1 => {
                Answer::Replayed(reason(ErrorClass::Transient))
            }
            _ => answer.clone(),
        };
        self.keys.insert(key, (now, stored));
        if ROUTES[request.route] == Class::Upsert {
            match mood {
                Mood::Halfway => {
                    self.halfway.insert(key);
                    let reason = reason(ErrorClass::LockContention);
                    return Answer::Unfinished { reason, after_ms: None, scope: Scope::Lane };
                }
                Mood::Refuses => {}
                _ => drop(self.halfway.remove(&key)),
            }
        }
        match mood {
            Mood::FailsAfterwards => Answer::Unknown(reason(ErrorClass::Transient)),
            _ => answer,
        }
    }

    fn apply(&mut self, request: Request) {
        let effects = self.effects.entry((request.route, request.entity)).or_default();
        // A PUT of what stands there already changes nothing that anyone could see: it is no new effect. One that
        // comes after another event's PUT is, and would be a step back.
        let stands = effects.last().is_some_and(|(_, event)| *event == request.event);
        if ROUTES[request.route] == Class::Upsert && stands {
            return;
        }
        if let Some((newest, _)) = effects.last() {
            assert!(*newest <= request.version, "ORD-1: version {newest} was applied before {request:?}");
        }
        effects.push((request.version, request.event));
        let count = self.effects(request.event, request.route);
        match ROUTES[request.route] {
            Class::Keyed { .. } | Class::Upsert => {
                assert!(count <= 1, "EFF-1: {count} effects of {request:?}")
            }
            Class::Neither(OnUnknown::Park) => assert!(count <= 1, "EFF-2: {count} effects of {request:?}"),
            Class::Neither(OnUnknown::Resend) => {}
        }
    }

    pub fn look(&self, request: Request, mood: Mood) -> ReadBack {
        match mood {
            Mood::FailsAfterwards => return ReadBack::Failed(Answer::Unknown(reason(ErrorClass::Transient))),
            Mood::Throttles(ms) => {
                return ReadBack::Failed(again(ErrorClass::Throttled, Some(ms), Scope::Connection));
            }
            Mood::Locked => return ReadBack::Several,
            Mood::Fine | Mood::Refuses | Mood::Halfway => {}
        }
        let effects = self.effects.get(&(request.route, request.entity)).map_or(&[][..], |e| e);
        let ours = match ROUTES[request.route] {
            Class::Upsert => effects.last().is_some_and(|(_, event)| *event == request.event),
            _ => effects.iter().any(|(_, event)| *event == request.event),
        };
        match (ours, ROUTES[request.route]) {
            (true, _) if self.is_halfway(request.event, request.route) => {
                ReadBack::Unfinished { document: None }
            }
            (true, _) => ReadBack::Matches { document: None },
            (false, Class::Upsert) if !effects.is_empty() => ReadBack::Differs { document: None },
            (false, _) => ReadBack::Absent,
        }
    }
}

pub fn again(class: ErrorClass, after_ms: Option<u64>, scope: Scope) -> Answer {
    Answer::Again { reason: reason(class), after_ms, scope }
}

pub fn reason(class: ErrorClass) -> Reason {
    Reason { code: Arc::from("SNK-0001"), class, status: None, message: Arc::from("model") }
}
