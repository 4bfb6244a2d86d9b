//! Broker properties that hold wherever the broker comes from.

use super::Options;

/// One replica of everything, no waiting for more group members, few threads and small buffers.
const SMALL: [(&str, &str); 14] = [
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("num.network.threads", "1"),
    ("num.io.threads", "2"),
    ("background.threads", "2"),
    ("log.cleaner.dedupe.buffer.size", "2097152"),
    ("log.cleaner.io.buffer.size", "65536"),
];

/// Addresses and places of one broker.
pub(super) struct Place<'a> {
    /// Port for clients, on both sides of a container's border.
    pub(super) port: u16,
    pub(super) controller: u16,
    /// The node's id, from 1 on.
    pub(super) id: usize,
    /// `id@host:port` of every controller.
    pub(super) voters: &'a str,
    /// Address that the client listener binds.
    pub(super) bind: &'a str,
    pub(super) data: &'a str,
}

/// All properties in order. Of two with one name the last one counts, so those of `options` win.
pub(super) fn properties(place: &Place<'_>, options: &Options) -> Vec<(String, String)> {
    let Place { port, controller, id, voters, bind, data } = place;
    // the part of each list that belongs to the second listener, if there is one
    let more = |text: &dyn Fn(u16, u16) -> String| {
        options.detour.map(|detour| text(detour.listen, detour.advertise)).unwrap_or_default()
    };
    let listener = more(&|listen, _| format!(",DETOUR://{bind}:{listen}"));
    let advertised = more(&|_, advertise| format!(",DETOUR://127.0.0.1:{advertise}"));
    let protocol = more(&|_, _| ",DETOUR:PLAINTEXT".to_owned());
    let of_place = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", id.to_string()),
        ("controller.quorum.voters", (*voters).to_owned()),
        ("listeners", format!("CLIENT://{bind}:{port},CONTROLLER://127.0.0.1:{controller}{listener}")),
        ("advertised.listeners", format!("CLIENT://127.0.0.1:{port}{advertised}")),
        ("listener.security.protocol.map", format!("CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocol}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "CLIENT".to_owned()),
        ("log.dirs", (*data).to_owned()),
    ];
    let of_place = of_place.into_iter().map(|(name, value)| (name.to_owned(), value));
    let small = SMALL.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    of_place.chain(small).chain(options.properties.iter().cloned()).collect()
}
