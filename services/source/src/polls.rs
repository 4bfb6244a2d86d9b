//! The polls that run. Of one object there is never more than one: the next begins when the last has ended, where that one left it.

use std::collections::{BTreeMap, BTreeSet};

use service_kit::{Shutdown, Task};

use crate::{maker::Prepared, poll::Counters};

/// Which configuration a poll is of: the revision of its tenant, and the fingerprint of its secrets.
pub(crate) type Print = (u64, u64);

/// A poll that is wanted.
pub(crate) struct Wanted {
    /// `tenant/connection/object`.
    pub(crate) name: String,
    pub(crate) print: Print,
    pub(crate) poll: Prepared,
}

/// The polls that run, by name.
pub(crate) struct Polls {
    running: BTreeMap<String, Running>,
    counters: Counters,
}

struct Running {
    print: Print,
    stop: Shutdown,
    task: Task<()>,
}

impl Polls {
    pub(crate) fn new(counters: Counters) -> Self {
        Self { running: BTreeMap::new(), counters }
    }

    /// Stops what is not wanted any more, or otherwise now, and begins what does not run. Those of `kept` tenants go on as they are.
    /// Returns whether all that is wanted runs.
    pub(crate) async fn change_to(&mut self, wanted: Vec<Wanted>, kept: &BTreeSet<String>) -> bool {
        let going = self.going(&wanted, kept);
        self.stop(&going).await;
        let mut complete = true;
        for Wanted { name, print, poll } in wanted {
            if self.running.contains_key(&name) {
                continue;
            }
            match poll.open() {
                Ok(poll) => {
                    let stop = Shutdown::new();
                    let task = service_kit::spawn("poll", Box::pin(poll.run(stop.clone())));
                    tracing::info!(poll = %name, "polled from now on");
                    self.running.insert(name, Running { print, stop, task });
                }
                Err(error) => {
                    complete = false;
                    let code = error.code();
                    tracing::warn!(poll = %name, code, "it cannot begin: {:#}", anyhow::Error::new(error));
                }
            }
        }
        complete
    }

    /// Those that run and are not wanted as they are, and those that have ended by themselves.
    fn going(&self, wanted: &[Wanted], kept: &BTreeSet<String>) -> Vec<String> {
        let stays = |name: &String, running: &Running| {
            let tenant = name.split('/').next().unwrap_or_default();
            let as_it_is = |w: &Wanted| w.name == *name && w.print == running.print;
            !running.task.is_finished() && (kept.contains(tenant) || wanted.iter().any(as_it_is))
        };
        let running = self.running.iter().filter(|(name, running)| !stays(name, running));
        running.map(|(name, _)| name.clone()).collect()
    }

    /// Stops all of them, and waits for their ends.
    pub(crate) async fn end(&mut self) {
        let all: Vec<String> = self.running.keys().cloned().collect();
        self.stop(&all).await;
    }

    async fn stop(&mut self, names: &[String]) {
        names.iter().filter_map(|name| self.running.get(name)).for_each(|running| running.stop.trigger());
        for name in names {
            // It stays listed until it has ended, should this be given up in the middle.
            if let Some(running) = self.running.get_mut(name)
                && let Err(error) = (&mut running.task).await
            {
                tracing::error!(poll = %name, %error, "a poll ended badly");
            }
            self.running.remove(name);
            self.counters.stuck.remove_label_values(&[name]).ok(); // it may never have failed
            tracing::info!(poll = %name, "polled no more");
        }
    }
}
