//! What was sent in, and what became of it at the gateway.

use std::collections::HashMap;

use kafka::Position;
use parking_lot::Mutex;

use crate::{class::Class, source::Change};

/// An event that the gateway acknowledged.
#[derive(Clone, Debug)]
pub struct Issued {
    pub class: Class,
    pub change: Change,
}

/// A record that nobody can read, put on a topic past the gateway.
#[derive(Clone, Debug)]
pub struct Poison {
    pub topic: String,
    pub at: Position,
    pub value: Vec<u8>,
}

/// Written by the feeds, read when all is at rest.
#[derive(Default)]
pub struct Books {
    pages: Mutex<Pages>,
}

#[derive(Default)]
pub struct Pages {
    pub issued: HashMap<String, Issued>,
    pub poison: Vec<Poison>,
    /// Events that were sent twice by their source, as one that missed the answer does.
    pub resent: u64,
    /// Resends that the gateway took for other events.
    pub mistaken: Vec<String>,
    /// Requests at the gateway that were cut off with their answer under way.
    pub cut_off: u64,
    /// When each request that was accepted began, and when its answer came.
    pub acknowledged: Vec<(i64, i64)>,
    /// When each request that was not accepted began, and when that was clear.
    pub turned_away: Vec<(i64, i64)>,
}

impl Books {
    pub fn accepted(&self, id: &str, class: Class, change: &Change) {
        let issued = Issued { class, change: change.clone() };
        self.pages.lock().issued.insert(id.to_owned(), issued);
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut Pages) -> T) -> T {
        act(&mut self.pages.lock())
    }
}
