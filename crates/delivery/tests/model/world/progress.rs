//! What is under way comes one step further, in any order that the real parts could take.

use delivery::{Input, PartitionId, Prior, ReadBack};

use super::{Flight, Letter, Process, Reply, World};
use crate::{ledger::Entry, target::Mood};

/// A step of something that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Consult(usize),
    Write,
    WriteRange(usize),
    ReadAgain(usize),
    Report(usize),
    WriteLetter(usize),
    ReportLetter(usize),
    Process(usize),
    Answer(usize),
}

impl World {
    /// What the current process and the target can do next.
    pub fn moves(&self) -> Vec<Move> {
        self.moves_of(&self.me)
    }

    pub fn moves_of(&self, process: &Process) -> Vec<Move> {
        let mut moves: Vec<Move> = (0..process.consults.len()).map(Move::Consult).collect();
        if !process.queue.is_empty() {
            moves.push(Move::Write);
        }
        moves.extend((0..process.asked.len()).map(Move::WriteRange));
        moves.extend((0..process.rereads.len()).map(Move::ReadAgain));
        moves.extend((0..process.unreported.len()).map(Move::Report));
        moves.extend((0..process.letters.len()).map(Move::WriteLetter));
        moves.extend((0..process.lettered.len()).map(Move::ReportLetter));
        let awaited = self.flights.iter().enumerate().filter(|(_, flight)| flight.is_awaited_by(process));
        moves.extend(awaited.map(|(at, flight)| match flight.reply {
            None => Move::Process(at),
            Some(_) => Move::Answer(at),
        }));
        moves
    }

    pub(super) fn can_progress(&self) -> bool {
        !self.moves().is_empty()
    }

    pub(super) fn progress(&mut self, pick: usize, dice: u8) {
        let mut moves = self.moves();
        if moves.is_empty() {
            return;
        }
        let next = moves.swap_remove(pick % moves.len());
        self.make(next, Mood::of(dice, self.trouble), 1 + usize::from(dice) % 4);
    }

    /// `mood` is what a request runs into, `most` how many records are read again at a time.
    pub fn make(&mut self, next: Move, mood: Mood, most: usize) {
        match next {
            Move::Consult(at) => self.consult(at),
            Move::Write => {
                self.write_next();
            }
            Move::Report(at) => {
                let write = self.me.unreported.swap_remove(at);
                self.tell(match write.entry {
                    Entry::Intent(_) => Input::IntentDurable(write.ticket),
                    Entry::Outcome(_) => Input::OutcomeDurable(write.ticket),
                });
            }
            Move::WriteRange(at) => {
                let (partition, until) = self.me.asked.remove(at);
                self.ledger.write_range((partition, until));
                self.tell(Input::RangeDurable { partition: PartitionId(partition as u32), until });
            }
            Move::ReadAgain(at) => self.read_again(at, most),
            Move::WriteLetter(at) => self.write_letter(at),
            Move::ReportLetter(at) => self.report_letter(at),
            Move::Process(at) => self.process(at, mood),
            Move::Answer(at) => self.answer(at),
        }
    }

    fn consult(&mut self, at: usize) {
        let ticket = self.me.consults.swap_remove(at);
        let Some(known) = self.me.tickets.get(&ticket) else { return };
        let (prior, last_version) = self.ledger.known(known.request);
        if let Prior::Intent(intent) = &prior {
            let foreign = intent.epoch != self.me.epoch;
            self.seen.hit(if foreign { "foreign Intent met" } else { "own Intent met after a rebalance" });
        }
        self.tell(Input::Known { ticket, prior, last_version });
    }

    pub(super) fn write_letter(&mut self, at: usize) {
        let letter = self.me.letters.swap_remove(at);
        match letter {
            Letter::Posting(_, request) => self.ledger.dead_letter(request),
            Letter::Record { partition, offset } => self.ledger.dead_letter_unreadable(partition, offset),
        }
        self.me.lettered.push(letter);
    }

    fn report_letter(&mut self, at: usize) {
        match self.me.lettered.swap_remove(at) {
            Letter::Posting(ticket, _) => self.tell(Input::DeadLettered(ticket)),
            Letter::Record { partition, offset } => {
                self.me.core.release(PartitionId(partition as u32), offset);
                self.carry_out();
            }
        }
    }

    /// The target works on a request.
    pub fn process(&mut self, at: usize, mood: Mood) {
        let (request, reads) = (self.flights[at].request, self.flights[at].reads);
        let reply = if reads {
            Reply::ReadBack(self.targets.look(request, mood))
        } else {
            Reply::Answer(self.targets.process(request, mood, self.now, &mut self.seen))
        };
        if self.flights[at].ticket.is_none() {
            self.flights.swap_remove(at);
            self.seen.hit("a dead process's request applied late");
        } else {
            self.flights[at].reply = Some(reply);
        }
    }

    /// The answer of a request that has one reaches the core.
    pub(super) fn answer(&mut self, at: usize) {
        if let Some(batch) = self.flights[at].batch {
            return self.answer_together(batch);
        }
        let flight = self.flights.swap_remove(at);
        let (Some(ticket), Some(reply)) = (flight.ticket, flight.reply) else { return };
        if flight.orphan {
            self.seen.hit("late answer to an orphan");
        } else {
            self.note_silence(flight.request.route, &reply);
        }
        let input = match reply {
            Reply::Answer(answer) => Input::Answered(ticket, answer),
            Reply::ReadBack(seen) => {
                self.seen.hit(match seen {
                    ReadBack::Matches { .. } => "read back: matches",
                    ReadBack::Differs { .. } => "read back: differs",
                    ReadBack::Unfinished { .. } => "read back: unfinished",
                    ReadBack::Absent => "read back: absent",
                    ReadBack::Several => "read back: several",
                    ReadBack::Failed(_) => "read back: failed",
                });
                Input::ReadBack(ticket, seen)
            }
        };
        self.tell(input);
    }

    /// One answer for all, once the target has worked on each of them.
    fn answer_together(&mut self, batch: u64) {
        let ours = |f: &Flight| f.batch == Some(batch) && f.ticket.is_some();
        if self.flights.iter().filter(|f| ours(f)).any(|f| f.reply.is_none()) {
            return;
        }
        let (flights, others): (Vec<_>, Vec<_>) = self.flights.drain(..).partition(|f| ours(f));
        self.flights = others;
        let mut answers = Vec::new();
        for flight in flights {
            if flight.orphan {
                self.seen.hit("late answer to an orphan");
            }
            if let (Some(ticket), Some(reply @ Reply::Answer(answer))) = (flight.ticket, &flight.reply) {
                answers.push((ticket, answer.clone()));
                if !flight.orphan {
                    self.note_silence(flight.request.route, reply);
                }
            }
        }
        self.tell(Input::AnsweredTogether(answers));
    }

    fn note_silence(&mut self, route: usize, reply: &Reply) {
        let (Reply::Answer(answer) | Reply::ReadBack(ReadBack::Failed(answer))) = reply else { return };
        if let delivery::Answer::Again { after_ms: Some(ms), scope: delivery::Scope::Connection, .. } = answer
        {
            self.me.silent_until[route] = self.me.silent_until[route].max(self.now + ms);
        }
    }
}
