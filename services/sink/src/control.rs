//! What operators said: the control topic, read whole before anything is admitted, and followed from there.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use contract::{Command, Subject, Verb};
use kafka::{Met, Range, RangeReader, ReadError, Settings, Start, Tail};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

use crate::{message::Message, restore::chain};

/// How long the brokers may keep silent while the topic is read.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one look for the next command takes at most: so soon does the thread see that the sink has stopped.
const LOOK: Duration = Duration::from_millis(250);
/// The wait before the topic is followed anew.
const RETRY: Duration = Duration::from_secs(1);

/// What is paused.
#[derive(Debug, Default)]
pub(crate) struct Pauses(BTreeSet<Subject>);

impl Pauses {
    /// Takes a record in. One that is no command changes nothing: what was paused stays so.
    pub(crate) fn take(&mut self, value: &[u8]) {
        match Command::parse(value) {
            Ok(Command { command: Verb::Pause, subject, .. }) => drop(self.0.insert(subject)),
            Ok(Command { command: Verb::Resume, subject, .. }) => drop(self.0.remove(&subject)),
            Err(error) => {
                warn!(
                    code = "SNK-0040",
                    error = chain(&error),
                    "a record of the control topic is passed over"
                );
            }
        }
    }

    /// Whether a route is paused, by itself or with its connection or tenant.
    pub(crate) fn covers(&self, tenant: &str, connection: &str, route: &str) -> bool {
        self.0.iter().any(|subject| subject.covers(tenant, connection, route))
    }
}

/// Reads the topic from its beginning to its end. Returns what is paused, and the next offset. Blocking.
pub(crate) fn read(settings: &Settings, topic: &Arc<str>) -> Result<(Pauses, i64), ReadError> {
    let reader = RangeReader::new(settings)?;
    let (start, end) = reader.bounds(topic, 0)?;
    let mut pauses = Pauses::default();
    let range = Range { topic: Arc::clone(topic), partition: 0, start, end };
    reader.read(&[range], PATIENCE, |_, met| {
        if let Met::Record(record) = met
            && let Some(value) = record.value
        {
            pauses.take(value);
        }
        true
    })?;
    Ok((pauses, end))
}

/// Reports every further record to the engine, on a thread of its own that ends with the engine.
pub(crate) fn follow(
    settings: Settings,
    topic: Arc<str>,
    next: i64,
    outbound: UnboundedSender<Message>,
) -> std::io::Result<()> {
    let work = move || {
        let mut next = next;
        while !outbound.is_closed() {
            if let Err(error) = tail(&settings, &topic, &mut next, &outbound) {
                warn!(error = chain(&error), "the control topic cannot be followed, trying again");
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
    outbound: &UnboundedSender<Message>,
) -> Result<(), ReadError> {
    let mut tail = Tail::new(settings)?;
    tail.follow(&[Start { topic: Arc::clone(topic), partition: 0, offset: *next }])?;
    while !outbound.is_closed() {
        tail.next(LOOK, |_, record| {
            *next = record.offset + 1;
            if let Some(value) = record.value {
                outbound.send(Message::Control(value.to_vec())).ok(); // the engine has stopped: nobody listens
            }
        })?;
    }
    Ok(())
}
