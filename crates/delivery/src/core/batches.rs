//! Postings that share a request: who goes together, and what follows from their answers (docs/adr/0024).

use super::{Core, Wake};
use crate::{
    action::Action,
    batch::Gathering,
    connection::ConnectionId,
    outcome::{Answer, Scope},
    posting::{Posting, Stage, Step, Ticket},
    time::Now,
};

/// How long the first in line waits for company while another request is under way, milliseconds: little beside a request.
/// With none under way it waits for what has arrived already, and no longer.
const GATHER_MS: u64 = 2;
/// Refusals for now in a row, after which a posting goes by itself: it may be what others are refused for.
const PATIENCE: u32 = 3;

impl Posting {
    /// Whether it may share its next request. What was begun goes on from where it stands, by itself.
    pub(crate) fn seeks_company(&self) -> bool {
        self.new.bulk.is_some() && self.step == Step::Send && !self.apart && !self.begun
    }
}

impl Core {
    /// Whether the first in line waits for company. Nobody waits for more than fit into a request.
    pub(super) fn is_gathering(&mut self, id: ConnectionId, now: Now) -> bool {
        let Some(connection) = self.connections.get_mut(&id).filter(|c| c.company > 1 && !c.probes()) else {
            return false;
        };
        let Some(first) = connection.ready.front().and_then(|first| self.postings.get(first.slot())) else {
            return false;
        };
        let Some(bulk) = first.new.bulk.filter(|_| first.seeks_company()) else { return false };
        if connection.gathering == Gathering::Over || connection.ready.len() >= bulk.max_items as usize {
            return false;
        }
        if connection.gathering == Gathering::Idle {
            connection.gathering = Gathering::Waiting;
            let wait = if connection.in_flight == 0 { 0 } else { GATHER_MS };
            self.timers.set(now.mono + wait, Wake::Departure(id));
        }
        true
    }

    /// Whoever waits for company waits no longer.
    pub(super) fn gathered(&mut self, id: ConnectionId, now: Now) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.gathering = if connection.ready.is_empty() { Gathering::Idle } else { Gathering::Over };
        self.pump(id, now);
    }

    /// Lets the first in line go, with whoever can share its request.
    pub(super) fn depart(&mut self, id: ConnectionId, now: Now) {
        let company = self.company(id, now);
        if let [alone] = *company {
            self.launch(id, alone, now);
        } else {
            self.launch_together(id, company, now);
        }
        if let Some(connection) = self.connections.get_mut(&id).filter(|c| c.ready.is_empty()) {
            connection.gathering = Gathering::Idle;
        }
    }

    /// Takes the first in line, and whoever can share its request, in order.
    fn company(&mut self, id: ConnectionId, now: Now) -> Vec<Ticket> {
        let Some(connection) = self.connections.get_mut(&id) else { return Vec::new() };
        let Some(first) = connection.ready.pop_front() else { return Vec::new() };
        let mut company = vec![first];
        let of = |ticket: &Ticket| {
            let posting = self.postings.get(ticket.slot()).filter(|p| p.serial == ticket.serial)?;
            posting.new.bulk.filter(|_| posting.stage == Stage::Ready && posting.seeks_company())
        };
        let Some(bulk) = of(&first).filter(|_| !connection.probes()) else { return company };
        let counted = if bulk.counts_each { connection.room(now) } else { u64::MAX };
        let most = u64::from(bulk.max_items).min(counted) as usize;
        let mut bytes = u64::from(bulk.bytes);
        let mut rest = std::mem::take(&mut connection.ready);
        rest.retain(|ticket| {
            let fits = |other: &crate::Bulk| {
                other.kind == bulk.kind && bytes + u64::from(other.bytes) <= u64::from(bulk.max_bytes)
            };
            let Some(other) = of(ticket).filter(|other| company.len() < most && fits(other)) else {
                return true;
            };
            bytes += u64::from(other.bytes);
            company.push(*ticket);
            false
        });
        connection.ready = rest;
        company
    }

    fn launch_together(&mut self, id: ConnectionId, company: Vec<Ticket>, now: Now) {
        // Who may not leave after all may let others in line go on: none of them may take the slot that is meant for this one.
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.in_flight += 1;
        let leaving: Vec<Ticket> =
            company.into_iter().filter(|ticket| self.may_leave(id, *ticket, now)).collect();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.in_flight -= 1;
        }
        let Some(bulk) = leaving.first().and_then(|first| self.posting(*first)).and_then(|p| p.new.bulk)
        else {
            return;
        };
        self.take_slot(id, if bulk.counts_each { leaving.len() } else { 1 }, now);
        let timeout_ms = self.connections.get(&id).map_or(0, |c| c.limits.timeout_ms);
        let leave = |ticket: Ticket| Some((ticket, self.leave(id, ticket, now)?.1));
        let postings: Vec<(Ticket, u32)> = leaving.into_iter().filter_map(leave).collect();
        self.actions.push(match *postings {
            [(ticket, attempt)] => Action::Send { ticket, attempt, timeout_ms },
            _ => Action::SendTogether { postings, timeout_ms },
        });
    }

    /// Each posting has its own answer; of the connection they tell once, as one request does.
    pub(super) fn answered_together(&mut self, answers: Vec<(Ticket, Answer)>, now: Now) {
        let (mut of, mut over_at, mut freed) = (None, None, Vec::new());
        let mut ours = Vec::with_capacity(answers.len());
        for (ticket, answer) in answers {
            if let Some((id, lock)) = self.orphans.remove(&ticket) {
                of = Some(id);
                freed.extend(lock);
            } else if let Some(posting) = self.posting(ticket).filter(|p| p.stage == Stage::InFlight) {
                of = Some(posting.new.connection);
                over_at = Some(posting.request_over_at);
                ours.push((ticket, answer));
            }
        }
        let Some(id) = of else { return };
        self.give_slot_back(id, over_at, now);
        freed.into_iter().for_each(|lock| self.pass_on(id, lock, now));
        if let Some((ticket, answer)) = telling(&ours).cloned() {
            self.note_health(id, ticket, &answer, now);
        }
        let applied =
            ours.iter().filter(|(_, answer)| matches!(answer, Answer::Applied { .. })).count() as u64;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.applied += applied.saturating_sub(1);
        }
        self.hold_all_back(id, &ours, now);
        for (ticket, answer) in ours {
            self.separate(ticket, &answer);
            self.understand(id, ticket, answer, false, now);
        }
        self.go_on(id, now);
    }

    /// The connection is held back once, for as long as the most patient answer asks, before anything that follows can leave.
    fn hold_all_back(&mut self, id: ConnectionId, answers: &[(Ticket, Answer)], now: Now) {
        let mut all = answers.iter().filter_map(|(ticket, answer)| Some((*ticket, held_back(answer)?)));
        let Some((ticket, first)) = all.next() else { return };
        let longest = all.fold(first, |longest, (_, wait)| longest.max(wait));
        if let Some(event) = self.posting(ticket).map(|p| p.new.key.event) {
            self.block(id, event, longest, now);
        }
    }

    /// From now on it goes by itself, if its answer is one that it may have because of others, or others because of it.
    fn separate(&mut self, ticket: Ticket, answer: &Answer) {
        let Some(posting) = self.posting(ticket) else { return };
        posting.apart |= match answer {
            Answer::Unknown(_) | Answer::Unfinished { .. } | Answer::Again { scope: Scope::Apart, .. } => {
                true
            }
            Answer::Again { scope: Scope::Lane, .. } => posting.retries + 1 >= PATIENCE,
            _ => false,
        };
    }
}

/// The answer that says most of the connection: one that was applied, else one that holds all back, else a silence.
fn telling(answers: &[(Ticket, Answer)]) -> Option<&(Ticket, Answer)> {
    let rank = |answer: &Answer| match answer {
        Answer::Applied { .. } => 0,
        answer if held_back(answer).is_some() => 1,
        Answer::Unknown(_) => 2,
        _ => 3,
    };
    answers.iter().min_by_key(|(_, answer)| rank(answer))
}

/// The wait that an answer asks for, if it holds the whole connection back.
fn held_back(answer: &Answer) -> Option<Option<u64>> {
    match answer {
        Answer::Again { scope: Scope::Connection, after_ms, .. }
        | Answer::Unfinished { scope: Scope::Connection, after_ms, .. } => Some(*after_ms),
        _ => None,
    }
}
