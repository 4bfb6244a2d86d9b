//! Three brokers that replicate to each other.

use anyhow::Context as _;

use super::java::{Broker, Node};
use super::{Options, VERSION};
use crate::free_port;

/// How many nodes there are.
pub const NODES: usize = 3;

/// Everything has three replicas, of which two must have a record before it is acknowledged. A killed node is missed
/// after four seconds in place of nine.
const REPLICATED: [(&str, &str); 11] = [
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
    ("transaction.state.log.replication.factor", "3"),
    ("transaction.state.log.min.isr", "2"),
    ("share.coordinator.state.topic.replication.factor", "3"),
    ("share.coordinator.state.topic.min.isr", "2"),
    ("broker.session.timeout.ms", "4000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("replica.lag.time.max.ms", "4000"),
    ("replica.fetch.wait.max.ms", "200"),
];

/// A cluster of three nodes, each of them broker and controller, from Kafka's Java archives. Nodes are named by their
/// ids, 1 to 3. They end on drop.
///
/// Without two of them there is no majority of controllers either: leaders stay where they are, and whoever leads with
/// too few replicas acknowledges nothing.
#[derive(Debug)]
pub struct Trio {
    bootstrap: String,
    nodes: Vec<Broker>,
}

impl Trio {
    /// Starts the three and waits until all accept clients. `options.owned` and `options.detour` mean nothing here.
    ///
    /// # Errors
    /// When they cannot be started; the text says what is missing on this machine.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let mut controllers = Vec::new();
        for id in 1..=NODES {
            controllers.push((id, free_port()?));
        }
        let voters: Vec<String> =
            controllers.iter().map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let voters = voters.join(",");
        let replicated = REPLICATED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let properties = replicated.chain(options.properties.iter().cloned()).collect();
        let options = Options { properties, detour: None, ..options.clone() };
        let mut nodes = Vec::new();
        for (id, controller) in controllers {
            let node = Node { id, controller, voters: &voters };
            nodes.push(Broker::launch(&node, &options)?);
        }
        // one alone never becomes ready: it waits for a majority
        for (place, node) in nodes.iter().enumerate() {
            node.ready().with_context(|| format!("node {} of Kafka {VERSION}", place + 1))?;
        }
        let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        Ok(Self { bootstrap: addresses.join(","), nodes })
    }

    /// The value for a client's `bootstrap.servers`: all three. It stays the same across restarts.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The same without some nodes, for a client that must not wait for them.
    pub fn bootstrap_without(&self, ids: &[i32]) -> String {
        let all = self.bootstrap.split(',').zip(1..);
        let left: Vec<&str> = all.filter(|(_, id)| !ids.contains(id)).map(|(address, _)| address).collect();
        left.join(",")
    }

    /// Ends a node in an orderly way, and waits until it is gone.
    ///
    /// # Errors
    /// When there is no such node, or it cannot be signalled.
    pub fn stop(&self, id: i32) -> anyhow::Result<()> {
        self.node(id)?.stop()
    }

    /// Kills a node (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn kill9(&self, id: i32) -> anyhow::Result<()> {
        self.node(id)?.kill9()
    }

    /// Freezes a node (SIGSTOP): its connections stay open and nothing answers.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn pause(&self, id: i32) -> anyhow::Result<()> {
        self.node(id)?.pause()
    }

    /// Lets a frozen node go on (SIGCONT).
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn resume(&self, id: i32) -> anyhow::Result<()> {
        self.node(id)?.resume()
    }

    /// Starts nodes again on their data and their ports, together, and waits until they accept clients. One that still
    /// runs is stopped first.
    ///
    /// # Errors
    /// As [`stop`](Self::stop), and when one does not come back.
    pub fn restart(&self, ids: &[i32]) -> anyhow::Result<()> {
        for id in ids {
            self.node(*id)?.relaunch()?;
        }
        for id in ids {
            self.node(*id)?.ready().with_context(|| format!("node {id} does not come back"))?;
        }
        Ok(())
    }

    /// The last lines of a node's log, for a failing test to show.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn log_tail(&self, id: i32) -> anyhow::Result<String> {
        Ok(self.node(id)?.tail())
    }

    fn node(&self, id: i32) -> anyhow::Result<&Broker> {
        let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        place.and_then(|place| self.nodes.get(place)).with_context(|| format!("there is no node {id}"))
    }
}
