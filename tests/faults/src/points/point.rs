//! The twelve points and a wedge, and what must become of an event at which a sink dies there.

use contract::OutcomeStatus;

use super::relay::Cut;
use crate::class::Class;

/// A point in the life of a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Polled,
    IntentLocal,
    IntentAcked,
    HalfSent,
    Applied,
    ResponseRead,
    OutcomeAcked,
    OutcomeLocal,
    OffsetStored,
    MidRestore,
    DlqSent,
    DlqAcked,
    Wedged,
}

impl Point {
    pub const ALL: [Self; 13] = [
        Self::Polled,
        Self::IntentLocal,
        Self::IntentAcked,
        Self::HalfSent,
        Self::Applied,
        Self::ResponseRead,
        Self::OutcomeAcked,
        Self::OutcomeLocal,
        Self::OffsetStored,
        Self::MidRestore,
        Self::DlqSent,
        Self::DlqAcked,
        Self::Wedged,
    ];

    pub fn parse(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|point| point.name() == name).ok_or(format!("one of {names}"))
    }

    /// As in the sink's code, where it has a point of that name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polled => "polled",
            Self::IntentLocal => "intent_local",
            Self::IntentAcked => "intent_acked",
            Self::HalfSent => "half_sent",
            Self::Applied => "applied",
            Self::ResponseRead => "response_read",
            Self::OutcomeAcked => "outcome_acked",
            Self::OutcomeLocal => "outcome_local",
            Self::OffsetStored => "offset_stored",
            Self::MidRestore => "mid_restore",
            Self::DlqSent => "dlq_sent",
            Self::DlqAcked => "dlq_acked",
            Self::Wedged => "wedged",
        }
    }

    /// What `FAILPOINTS` must say for the second event to meet it.
    pub fn failpoint(self) -> String {
        match self {
            // Between an answer and what follows from it, for longer than anybody waits.
            Self::Wedged => format!("{}=1*off->sleep(600000)", Self::ResponseRead.name()),
            _ => format!("{}=1*off->return", self.name()),
        }
    }

    /// How the last thing begins that the sink says.
    pub fn last_words(self) -> String {
        match self {
            Self::Wedged => "error: SNK-0045".to_owned(),
            _ => format!("crash point reached: {}", self.name()),
        }
    }

    /// Where it is between sink and target, and the sink is killed from outside.
    pub const fn cut(self) -> Option<Cut> {
        match self {
            Self::HalfSent => Some(Cut::HalfRequest),
            Self::Applied => Some(Cut::NoAnswer),
            _ => None,
        }
    }

    /// Whether the target refuses the event.
    pub const fn is_of_refusal(self) -> bool {
        matches!(self, Self::DlqSent | Self::DlqAcked)
    }

    /// Whether what a successor finds depends on the kind of Intent: there is one, and no outcome.
    pub const fn depends_on_intents(self) -> bool {
        !matches!(self, Self::Polled | Self::OutcomeAcked | Self::OutcomeLocal | Self::OffsetStored)
    }

    /// How the event that was struck must end: at N in doubt where there was an Intent and no outcome, since nobody can know.
    pub fn outcome(self, class: Class) -> OutcomeStatus {
        match class {
            Class::Neither if self.depends_on_intents() => OutcomeStatus::InDoubt,
            _ if self.is_of_refusal() => OutcomeStatus::Rejected,
            _ => OutcomeStatus::Committed,
        }
    }

    /// How many effects it must have: what N has in doubt had one only if the crash came after it.
    pub fn effects(self, class: Class) -> u64 {
        match self.outcome(class) {
            OutcomeStatus::Committed => 1,
            OutcomeStatus::InDoubt => {
                u64::from(matches!(self, Self::Applied | Self::ResponseRead | Self::Wedged))
            }
            _ => 0,
        }
    }
}
