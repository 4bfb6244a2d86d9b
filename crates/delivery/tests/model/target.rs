//! The targets: they count their effects and cry out when one should not have been.

use std::{collections::BTreeMap, sync::Arc};

use delivery::{Answer, Class, ErrorClass, OnUnknown, ReadBack, Reason, Scope};

use crate::{plan::ROUTES, sometimes::Sometimes};

/// A posting as the target sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub event: usize,
    pub route: usize,
    pub entity: usize,
    pub version: i64,
}

/// What a request runs into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Fine,
    /// Applied, and answered with a server error.
    FailsAfterwards,
    Refuses,
    /// For so many milliseconds.
    Throttles(u64),
    Locked,
}

impl Mood {
    pub fn of(dice: u8, trouble: u8) -> Self {
        match dice {
            d if d >= trouble => Self::Fine,
            d if d % 4 == 0 => Self::FailsAfterwards,
            d if d % 4 == 1 => Self::Refuses,
            d if d % 8 == 2 => Self::Throttles(1_500),
            d if d % 8 == 6 => Self::Throttles(150),
            _ => Self::Locked,
        }
    }
}

#[derive(Default)]
pub struct Targets {
    /// By route and entity, in the order of their happening: (version, event).
    effects: BTreeMap<(usize, usize), Vec<(i64, usize)>>,
    /// Class K: what each key was first answered, and when.
    keys: BTreeMap<(usize, usize), (u64, Answer)>,
}

impl Targets {
    /// The effects of an event on a route.
    pub fn effects(&self, event: usize, route: usize) -> usize {
        let on_route = self.effects.iter().filter(|((r, _), _)| *r == route);
        on_route.flat_map(|(_, effects)| effects).filter(|(_, e)| *e == event).count()
    }

    pub fn process(&mut self, request: Request, mood: Mood, now: u64, seen: &mut Sometimes) -> Answer {
        match mood {
            Mood::Throttles(ms) => return again(ErrorClass::Throttled, Some(ms), Scope::Connection),
            Mood::Locked => return again(ErrorClass::LockContention, None, Scope::Lane),
            Mood::Fine | Mood::FailsAfterwards | Mood::Refuses => {}
        }
        let key = (request.route, request.event);
        if let Class::Keyed { window_ms, .. } = ROUTES[request.route]
            && let Some((at, answer)) = self.keys.get(&key)
            && now < at + window_ms
        {
            seen.hit("duplicate stopped by the target's key");
            return answer.clone();
        }
        let answer = if mood == Mood::Refuses {
            Answer::Refused(reason(ErrorClass::Validation))
        } else {
            self.apply(request);
            Answer::Applied { document: None }
        };
        self.keys.insert(key, (now, answer.clone()));
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
            Mood::Fine | Mood::Refuses => {}
        }
        let effects = self.effects.get(&(request.route, request.entity)).map_or(&[][..], |e| e);
        let ours = match ROUTES[request.route] {
            Class::Upsert => effects.last().is_some_and(|(_, event)| *event == request.event),
            _ => effects.iter().any(|(_, event)| *event == request.event),
        };
        match (ours, ROUTES[request.route]) {
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
