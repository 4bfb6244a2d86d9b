//! Reading the topic whole, and following it.

use std::{sync::Arc, time::Duration};

use kafka::{RangeReader, ReadError, Settings, Start, Tail};
use tracing::warn;

use crate::{State, Unreadable};

/// How long the brokers may keep silent while the topic is read.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one look for the next record takes at most: so soon does the thread see that nobody listens any more.
const LOOK: Duration = Duration::from_millis(250);
/// The wait before the topic is followed anew.
const RETRY: Duration = Duration::from_secs(1);

/// A record of the topic, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value; none is the trace of a record that is gone.
    pub value: Option<Vec<u8>>,
}

/// Reads the topic from its beginning to its end. Returns what is in force, and the offset to [`follow`] it from. What cannot be read is
/// given to `unreadable`, and passed over. Blocking.
///
/// # Errors
/// Where the topic cannot be read.
pub fn read(
    settings: &Settings,
    topic: &Arc<str>,
    mut unreadable: impl FnMut(Unreadable),
) -> Result<(State, i64), ReadError> {
    let mut state = State::default();
    let next = RangeReader::new(settings)?.read_all(topic, 0, PATIENCE, |record| {
        if let Err(error) = state.take(record.key.unwrap_or_default(), record.value) {
            unreadable(error);
        }
    })?;
    Ok((state, next))
}

/// Reports every further record, on a thread of its own that ends once `listening` says no.
///
/// # Errors
/// Where the thread cannot start.
pub fn follow(
    settings: Settings,
    topic: Arc<str>,
    next: i64,
    listening: impl Fn() -> bool + Send + 'static,
    report: impl Fn(Record) + Send + 'static,
) -> std::io::Result<()> {
    let work = move || {
        let mut next = next;
        while listening() {
            if let Err(error) = tail(&settings, &topic, &mut next, &listening, &report) {
                let error: &dyn std::error::Error = &error;
                warn!(error, "the control topic cannot be followed, trying again");
                std::thread::sleep(RETRY);
            }
        }
    };
    std::thread::Builder::new().name("control".into()).spawn(work).map(drop)
}

fn tail(
    settings: &Settings,
    topic: &Arc<str>,
    next: &mut i64,
    listening: &impl Fn() -> bool,
    report: &impl Fn(Record),
) -> Result<(), ReadError> {
    let mut tail = Tail::new(settings)?;
    tail.follow(&[Start { topic: Arc::clone(topic), partition: 0, offset: *next }])?;
    while listening() {
        tail.next(LOOK, |_, record| {
            *next = record.offset + 1;
            let key = record.key.unwrap_or_default().to_vec();
            report(Record { offset: record.offset, key, value: record.value.map(<[u8]>::to_vec) });
        })?;
    }
    Ok(())
}
