//! What an endpoint's requests take out of a payload: without it none of them can be made.

use crate::{Endpoint, call::Call};

impl Endpoint {
    /// Where its requests take something out of the payload by `{{payload.<path>}}`, and the lists that steps are made for: JSON
    /// Pointers, in order.
    pub fn payload_paths(&self) -> Vec<String> {
        let steps = self.steps.iter().map(|step| &step.call);
        let look = self.finder.iter().map(|finder| &finder.call);
        let calls = [&self.write].into_iter().chain(self.update.iter().map(|update| &update.call));
        let lists =
            self.steps.iter().filter_map(|step| step.done.each()).map(|each| format!("/{}", each.list));
        let paths = calls.chain(steps).chain(look).flat_map(Call::payload_paths);
        let mut paths: Vec<String> = paths.chain(lists).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}
