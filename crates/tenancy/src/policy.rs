//! The choices that the configuration offers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a target offers against double effects; decides how an unknown outcome is resolved (see GUARANTEES, G2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetClass {
    /// It honours an idempotency key: the same request may be sent again.
    Keyed,
    /// It can be written and read by our own reference: the outcome can be looked up.
    Upsert,
    /// Neither: an unknown outcome stays unknown, and [`OnUnknown`] says what then.
    Neither,
}

/// What to do with an unknown outcome at a target of class [`TargetClass::Neither`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// Hold the event in doubt until a person decides: at most one effect.
    #[default]
    Park,
    /// Send again: at least one effect, duplicates possible.
    Resend,
}

/// What a route posts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Posts {
    /// Each event is a document of its own, and is posted.
    #[default]
    Documents,
    /// Each event is the state of its entity: of several versions that wait only the newest is posted.
    State,
}

/// What a route must guarantee of the effects of an event, whatever fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// One.
    ExactlyOnce,
    /// None or one: what is unknown waits for a person.
    AtMostOnce,
    /// One or more.
    AtLeastOnce,
}

impl Require {
    /// Whether a route that guarantees `given` is good enough.
    pub fn is_met_by(self, given: Self) -> bool {
        given == self || given == Self::ExactlyOnce
    }
}

/// A choice that stands by name in a configuration file.
pub(crate) trait Choice: Copy + 'static {
    /// Every choice, with its name.
    const ALL: &'static [(&'static str, Self)];
}

impl Choice for TargetClass {
    const ALL: &'static [(&'static str, Self)] =
        &[("keyed", Self::Keyed), ("upsert", Self::Upsert), ("neither", Self::Neither)];
}

impl Choice for OnUnknown {
    const ALL: &'static [(&'static str, Self)] = &[("park", Self::Park), ("resend", Self::Resend)];
}

impl Choice for Posts {
    const ALL: &'static [(&'static str, Self)] = &[("documents", Self::Documents), ("state", Self::State)];
}

impl Choice for Require {
    const ALL: &'static [(&'static str, Self)] = &[
        ("exactly_once", Self::ExactlyOnce),
        ("at_most_once", Self::AtMostOnce),
        ("at_least_once", Self::AtLeastOnce),
    ];
}

macro_rules! display_by_name {
    ($($choice:ty),*) => {$(
        impl $choice {
            /// The name as it stands in the configuration.
            pub fn name(self) -> &'static str {
                Self::ALL.iter().find(|(_, c)| *c == self).map_or("", |(name, _)| name)
            }
        }

        impl fmt::Display for $choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    )*};
}

display_by_name!(TargetClass, OnUnknown, Posts, Require);
