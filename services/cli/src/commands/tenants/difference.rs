//! What a plan changes about the guarantees of routes.

use std::fmt;

use sink::Guarantee;

/// What a route guarantees for some objects, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The route.
    pub route: String,
    /// The objects, separated by commas.
    pub objects: String,
    /// The class and what it gave; none of a new route.
    pub before: Option<Said>,
    /// The class and what it gives; none of a route that is gone.
    pub after: Option<Said>,
}

/// What is said of a guarantee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// K, U or N.
    pub class: char,
    /// How many effects an event has.
    pub gives: &'static str,
    /// What happens to what nobody knows the end of.
    pub on_unknown: String,
}

impl Difference {
    /// Whether the target can be asked no more.
    pub(super) fn falls_to_neither(&self) -> bool {
        matches!((&self.before, &self.after), (Some(before), Some(after)) if before.class != 'N' && after.class == 'N')
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.class, self.gives, self.on_unknown)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { route, objects, before, after } = self;
        write!(f, "route {route} ({objects}): ")?;
        match (before, after) {
            (None, Some(after)) => write!(f, "guarantees {after}"),
            (Some(before), Some(after)) => write!(f, "guaranteed {before}, now {after}"),
            (Some(before), None) => write!(f, "guaranteed {before}, and is gone"),
            (None, None) => write!(f, "guarantees nothing"),
        }
    }
}

/// What differs, in the order of the routes.
pub(super) fn differences(before: &[Guarantee], after: &[Guarantee]) -> Vec<Difference> {
    let mut all: Vec<Difference> = after
        .iter()
        .map(|after| Difference {
            before: same(before, after).map(said),
            ..difference(after, None, Some(said(after)))
        })
        .collect();
    let gone = before.iter().filter(|guarantee| same(after, guarantee).is_none());
    all.extend(gone.map(|before| difference(before, Some(said(before)), None)));
    all.retain(|difference| difference.before != difference.after);
    all.sort_by(|a, b| (&a.route, &a.objects).cmp(&(&b.route, &b.objects)));
    all
}

/// The guarantee of the same route for some of the same objects.
fn same<'a>(among: &'a [Guarantee], wanted: &Guarantee) -> Option<&'a Guarantee> {
    among.iter().find(|other| other.route == wanted.route && !other.objects.is_disjoint(&wanted.objects))
}

fn difference(of: &Guarantee, before: Option<Said>, after: Option<Said>) -> Difference {
    let objects: Vec<&str> = of.objects.iter().map(|object| object.name()).collect();
    Difference { route: of.route.clone(), objects: objects.join(", "), before, after }
}

fn said(guarantee: &Guarantee) -> Said {
    let (class, gives) = (guarantee.letter(), guarantee.gives.name());
    Said { class, gives, on_unknown: guarantee.on_unknown() }
}
