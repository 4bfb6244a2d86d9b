//! The raw limit: a consumer on its own thread and 64 HTTP connections, order kept for each key, offsets committed in
//! bulk. No decoding, no ledger, no changelog, no outcome; whatever is killed in between is done again.
//!
//! The consumer is our own `kafka::Member`: what it adds to rdkafka's is one look-up and one copy for each record, and a
//! bench that used rdkafka itself would need an exception in the fence between the layers.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use ahash::AHashMap;
use anyhow::Context as _;
use bytes::Bytes;
use event::RecordKey;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use kafka::{AssignmentId, Fetched, GroupEvent, GroupOptions, Member, Settings};
use tokio::{
    net::TcpStream,
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    task::LocalSet,
};

use crate::{
    options::{IN_FLIGHT, RawArgs},
    target::{EVENT_ID, VERSION},
};

/// What it prints once it has started and before it reads.
pub const READY: &str = "raw loop ready";
/// How often offsets are handed over for the next commit.
const STORE_EVERY: Duration = Duration::from_millis(200);

/// Runs until SIGTERM.
pub async fn run(args: RawArgs) -> anyhow::Result<()> {
    println!("{READY}");
    LocalSet::new().run_until(deliver(args)).await
}

async fn deliver(args: RawArgs) -> anyhow::Result<()> {
    let group = GroupOptions {
        group: args.group,
        topics: vec![args.topic],
        commit_every: Duration::from_secs(1),
        drain: Duration::from_secs(1),
        changelog: None,
    };
    let (events, mut inbox) = mpsc::channel(IN_FLIGHT);
    let member = Member::join(&Settings::new(args.bootstrap), group, move |event| {
        events.blocking_send(event).ok(); // the loop below has ended: nobody listens
    })?;
    let shared = Rc::new(Shared { state: RefCell::default(), work: Notify::new(), member });
    for _ in 0..IN_FLIGHT {
        let connection = connect(args.target).await?;
        tokio::task::spawn_local(work(Rc::clone(&shared), connection));
    }
    let mut stop = signal(SignalKind::terminate())?;
    let mut store = tokio::time::interval(STORE_EVERY);
    loop {
        tokio::select! {
            event = inbox.recv() => shared.take(event.context("the consumer ended")?)?,
            _ = store.tick() => shared.store(),
            _ = stop.recv() => break,
        }
    }
    shared.store();
    drop(inbox); // so that the consumer's thread waits for no answer of this loop
    shared.member.leave();
    Ok(())
}

struct Shared {
    state: RefCell<State>,
    /// There is something to send.
    work: Notify,
    member: Member,
}

#[derive(Default)]
struct State {
    /// Records that may be sent: at most one of each key.
    ready: VecDeque<Fetched>,
    /// Records behind one of the same key that is ready or in flight.
    lanes: AHashMap<Bytes, VecDeque<Fetched>>,
    prefixes: HashMap<AssignmentId, Prefix>,
}

/// What of a partition is done without a gap.
struct Prefix {
    /// The first offset that is not done.
    next: i64,
    stored: i64,
    /// Whether `next` and those behind it are done.
    done: VecDeque<bool>,
}

impl Shared {
    fn take(&self, event: GroupEvent) -> anyhow::Result<()> {
        let mut state = self.state.borrow_mut();
        match event {
            GroupEvent::Assigned(assigned) => {
                for one in assigned {
                    let prefix = Prefix { next: one.start, stored: one.start, done: VecDeque::new() };
                    state.prefixes.insert(one.id, prefix);
                    self.member.resume(one.id);
                }
            }
            GroupEvent::Records(records) => {
                records.into_iter().for_each(|record| state.offer(record));
                self.work.notify_waiters();
            }
            GroupEvent::Failed(reason) => anyhow::bail!("the consumer failed: {reason}"),
            GroupEvent::Revoking { .. } | GroupEvent::Confirmed { .. } => {}
        }
        Ok(())
    }

    fn store(&self) {
        for (id, prefix) in &mut self.state.borrow_mut().prefixes {
            if prefix.stored < prefix.next {
                prefix.stored = prefix.next;
                self.member.store(*id, prefix.next);
            }
        }
    }
}

impl State {
    fn offer(&mut self, record: Fetched) {
        match self.lanes.get_mut(&record.key.key) {
            Some(lane) => lane.push_back(record),
            None => {
                self.lanes.insert(record.key.key.clone(), VecDeque::new());
                self.ready.push_back(record);
            }
        }
    }

    fn done(&mut self, record: &Fetched) {
        if let Some(prefix) = self.prefixes.get_mut(&record.id) {
            prefix.done(record.offset);
        }
        match self.lanes.get_mut(&record.key.key).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => drop(self.lanes.remove(&record.key.key)),
        }
    }
}

impl Prefix {
    fn done(&mut self, offset: i64) {
        let place = (offset - self.next) as usize;
        if place >= self.done.len() {
            self.done.resize(place + 1, false);
        }
        self.done[place] = true;
        while self.done.front() == Some(&true) {
            self.done.pop_front();
            self.next += 1;
        }
    }
}

type Connection = SendRequest<Full<Bytes>>;

async fn connect(target: SocketAddr) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

/// One of the 64: sends what is ready, one at a time.
async fn work(shared: Rc<Shared>, mut connection: Connection) {
    loop {
        let ready = shared.state.borrow_mut().ready.pop_front();
        let Some(record) = ready else {
            shared.work.notified().await;
            continue;
        };
        if let Err(error) = post(&mut connection, &record).await {
            eprintln!("error: {error:#}");
            return; // the record is lost to this process, which the bench will notice
        }
        shared.member.taken(1);
        shared.state.borrow_mut().done(&record);
    }
}

async fn post(connection: &mut Connection, record: &Fetched) -> anyhow::Result<()> {
    let entity = RecordKey::parse(&record.key)?.entity;
    let request = Request::put(format!("/raw/by-external-id/{entity}"))
        .header(header::HOST, "target")
        .header(header::CONTENT_TYPE, "application/json")
        .header(EVENT_ID, format!("{}-{}", record.id.0, record.offset))
        .header(VERSION, record.offset)
        .body(Full::new(record.value.clone().unwrap_or_default()))?;
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    anyhow::ensure!(response.status().is_success(), "the target answers {}", response.status());
    response.into_body().collect().await?;
    Ok(())
}
