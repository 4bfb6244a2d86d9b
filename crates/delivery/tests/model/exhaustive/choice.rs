//! What can happen next in a small world, and what then does.

use std::hash::{Hash, Hasher};

use delivery::Class;

use crate::{
    plan::{LEASE_MS, PARTITIONS, ROUTES, SKEW_MS},
    target::Mood,
    world::{Fate, Move, World},
};

/// Any of these may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What is under way comes a step further; a request runs into the mood.
    Step(Move, Mood),
    /// The same for the zombie, whose messages still arrive.
    Zombie(Move),
    /// The next record of the partition arrives.
    Fetch(usize),
    /// Nobody hears the answer of the request. It may be applied later, unless it was already.
    Lose(usize),
    /// The target applies a request that nobody waits for.
    ApplyLate(usize),
    /// The next Intent cannot be written; true: only its acknowledgement is lost.
    FailIntent(bool),
    /// Time passes to the next moment that anybody waits for.
    Pass,
    /// The brokers confirm the ownership.
    Renew,
    /// The stored offsets are committed.
    Commit,
    /// The brokers are out of reach: no lease is renewed.
    Cut,
    /// They are there again.
    Mend,
    /// A second process takes over from one that is cut off and lives on.
    TakeOver,
    /// The group gives the partition, after a drain and a revoke, to its next owner.
    Assign(usize),
    /// The process gives a partition back at once, or drains it first.
    Revoke(usize),
    Drain(usize),
    /// An operator pauses the route, or has it go on.
    Turn(bool),
    /// The process dies, and the next one begins; true: on another machine, with an empty disk.
    Crash(bool),
}

/// How much may still go wrong.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Bounds {
    /// Answers other than a plain "applied", requests that are lost or time out, Intents that cannot be written.
    pub troubles: u8,
    pub crashes: u8,
    /// Of the crashes, how many may take the disk with them.
    pub disks: u8,
    /// Times that the process is cut off from the brokers; each may end in a takeover.
    pub cuts: u8,
    /// Times that a partition is given back.
    pub revokes: u8,
    /// Times that the route is paused.
    pub pauses: u8,
}

#[derive(Clone)]
pub struct Small {
    pub world: World,
    /// The route that all records go to.
    route: usize,
    left: Bounds,
    /// The process is cut off from the brokers.
    cut: bool,
}

impl Hash for Small {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { world, route: _, left, cut } = self;
        (world, left, cut).hash(state);
    }
}

impl Small {
    pub fn new(world: World, route: usize, bounds: Bounds) -> Self {
        Self { world, route, left: bounds, cut: false }
    }

    /// What happens by itself, sooner or later, and in any order. None: everything is at rest.
    pub fn due(&self) -> Vec<Choice> {
        let world = &self.world;
        let mut choices: Vec<Choice> =
            world.moves().into_iter().map(|next| Choice::Step(next, Mood::Fine)).collect();
        if let Some(zombie) = &world.zombie {
            choices.extend(world.moves_of(zombie).into_iter().map(Choice::Zombie));
        }
        choices.extend(world.late().into_iter().map(Choice::ApplyLate));
        for (id, partition) in world.me.partitions.iter().enumerate() {
            let more = (partition.position as usize) < partition.log.len();
            match partition.assigned {
                true if more && !partition.paused && !partition.draining => choices.push(Choice::Fetch(id)),
                true if partition.draining => choices.push(Choice::Revoke(id)),
                true => {}
                false if world.may_be_assigned(id) => choices.push(Choice::Assign(id)),
                false => {}
            }
        }
        if world.is_paused(self.route) {
            choices.push(Choice::Turn(false));
        }
        if self.cut {
            choices.push(Choice::Mend);
        } else if world.me.partitions.iter().any(|p| p.assigned && p.lease_until <= world.clock().mono) {
            choices.push(Choice::Renew);
        }
        if !self.cut && world.me.partitions.iter().any(|p| p.assigned && p.committed != p.stored) {
            choices.push(Choice::Commit);
        }
        if self.next_moment().is_some() {
            choices.push(Choice::Pass);
        }
        choices
    }

    /// What may go wrong instead.
    pub fn faults(&self) -> Vec<Choice> {
        let world = &self.world;
        let mut choices = Vec::new();
        if self.left.troubles > 0 {
            for next in world.moves() {
                if let Move::Process(at) = next {
                    let flight = world.flight(at);
                    choices.extend(moods(ROUTES[flight.0.route], flight.1).map(|m| Choice::Step(next, m)));
                }
            }
            choices.extend(world.awaited().into_iter().map(Choice::Lose));
            if world.has_intent_to_write() {
                choices.extend([false, true].map(Choice::FailIntent));
            }
        }
        let busy = world.me.partitions.iter().any(|p| (p.committed as usize) < p.log.len());
        if self.left.cuts > 0 && !self.cut && world.zombie.is_none() && busy {
            choices.push(Choice::Cut);
        }
        if self.cut && world.may_be_taken_over() {
            choices.push(Choice::TakeOver);
        }
        if self.left.pauses > 0 && !world.is_paused(self.route) && busy {
            choices.push(Choice::Turn(true));
        }
        if self.left.revokes > 0 && !self.cut {
            let held = |p: &usize| {
                let partition = &world.me.partitions[*p];
                partition.assigned && !partition.draining && !partition.log.is_empty()
            };
            choices.extend((0..PARTITIONS).filter(held).flat_map(|p| [Choice::Drain(p), Choice::Revoke(p)]));
        }
        if self.left.crashes > 0 && busy {
            choices.push(Choice::Crash(false));
            if self.left.disks > 0 {
                choices.push(Choice::Crash(true));
            }
        }
        choices
    }

    /// The next moment that anybody waits for: the core, a request's time-out, the end of a lease that nobody renews.
    fn next_moment(&self) -> Option<u64> {
        let world = &self.world;
        let lease = world.lease_end().filter(|_| self.cut);
        let due = world.next_time_out().map(|(_, due)| due);
        let next = [world.next_wake(), due, lease].into_iter().flatten().min()?;
        (world.timing_out(next) == 0 || self.left.troubles > 0).then_some(next)
    }

    pub fn take(&mut self, choice: Choice) {
        match choice {
            Choice::Step(next, mood) => {
                self.left.troubles -= u8::from(mood != Mood::Fine);
                self.world.make(next, mood, 4);
            }
            Choice::Zombie(next) => self.world.as_zombie(|zombie| zombie.make(next, Mood::Fine, 4)),
            Choice::Fetch(partition) => self.world.fetch(partition),
            Choice::Lose(at) => {
                self.left.troubles -= 1;
                self.world.lose(at, Fate::AppliedLate, Mood::Fine);
            }
            Choice::ApplyLate(at) => self.world.process(at, Mood::Fine),
            Choice::FailIntent(written) => {
                self.left.troubles -= 1;
                self.world.fail_intent(written);
            }
            Choice::Pass => self.pass(),
            Choice::Renew => self.world.renew_leases(),
            Choice::Commit => self.world.me.partitions.iter_mut().for_each(|p| p.committed = p.stored),
            Choice::Cut => {
                self.left.cuts -= 1;
                self.cut = true;
            }
            Choice::Mend => {
                self.cut = false;
                self.world.renew_leases();
            }
            Choice::TakeOver => {
                self.cut = false;
                let clock = self.clock_of_next();
                self.world.take_over(clock);
            }
            Choice::Assign(partition) => self.world.assign(partition),
            Choice::Revoke(partition) => {
                let drained = self.world.me.partitions[partition].draining;
                self.left.revokes -= u8::from(!drained);
                self.world.revoke(partition, 8);
            }
            Choice::Drain(partition) => {
                self.left.revokes -= 1;
                self.world.rebalance(partition, 1);
            }
            Choice::Turn(pause) => {
                self.left.pauses -= u8::from(pause);
                self.world.turn(self.route, pause);
            }
            Choice::Crash(disk) => {
                self.left.crashes -= 1;
                self.left.disks -= u8::from(disk);
                self.cut = false;
                let clock = self.clock_of_next();
                self.world.die();
                if disk {
                    self.world.ledger.lose_disk();
                }
                self.world.boot(clock);
            }
        }
    }

    /// Every second process's clock is ahead of its predecessor's by as much as clocks may differ.
    fn clock_of_next(&self) -> u8 {
        if self.world.me.epoch % 2 == 1 { SKEW_MS as u8 } else { 0 }
    }

    fn pass(&mut self) {
        let Some(next) = self.next_moment() else { return };
        self.left.troubles = self.left.troubles.saturating_sub(self.world.timing_out(next) as u8);
        loop {
            let rest = next.saturating_sub(self.world.now());
            self.world.pass(if self.cut { rest } else { rest.min(LEASE_MS / 2) }, 0);
            if !self.cut && self.world.lease_end().is_some() {
                self.world.renew_leases();
            }
            if self.world.now() >= next {
                return;
            }
        }
    }
}

/// What a request (`reads`: a look) can run into at a target of the class, beside being answered well.
fn moods(class: Class, reads: bool) -> impl Iterator<Item = Mood> {
    let all = [Mood::FailsAfterwards, Mood::Refuses, Mood::Throttles(150), Mood::Locked, Mood::Halfway];
    all.into_iter().filter(move |mood| match mood {
        Mood::Refuses => !reads,
        Mood::Halfway => !reads && class == Class::Upsert,
        _ => true,
    })
}
