//! The command line: of the bench, and of the processes that it starts of itself.

use std::net::SocketAddr;

/// Requests in flight, for every program.
pub const IN_FLIGHT: usize = 64;
/// Partitions of the input topic.
pub const PARTITIONS: i32 = 12;

/// Measures Counterfoil beside the raw limit of this machine
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "end_to_end")]
pub struct Options {
    /// Events at 0 ms; a third of it at 20 ms [default: 30000, with --quick 3000]
    #[arg(long)]
    events: Option<usize>,
    /// Rounds, each of which runs every program once [default: 3, with --quick 1]
    #[arg(long)]
    pairs: Option<usize>,
    /// Latencies of the target in ms
    #[arg(long, value_delimiter = ',', default_value = "0,20")]
    pub latency: Vec<u64>,
    /// Programs to run beside the raw limit
    #[arg(long, value_delimiter = ',', default_value = "keyed,upsert")]
    pub classes: Vec<Class>,
    /// A small run that shows that everything works; its figures mean little
    #[arg(long)]
    quick: bool,
    /// Print one JSON document in the place of the tables
    #[arg(long)]
    pub json: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// What a target offers against double effects; see the connector vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Class {
    Keyed,
    Upsert,
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyed => "keyed",
            Self::Upsert => "upsert",
        }
    }
}

/// The processes that the bench starts of itself.
#[derive(Clone, Debug, clap::Subcommand)]
#[command(hide = true)]
pub enum Role {
    /// Answers every write after a while, and counts
    Target(TargetArgs),
    /// The raw limit: consumer and HTTP client, order kept for each key, nothing else
    Raw(RawArgs),
}

#[derive(Clone, Debug, clap::Args)]
pub struct TargetArgs {
    #[arg(long)]
    pub latency_ms: u64,
    /// Says so when this many writes have come
    #[arg(long)]
    pub events: usize,
}

#[derive(Clone, Debug, clap::Args)]
pub struct RawArgs {
    #[arg(long)]
    pub bootstrap: String,
    #[arg(long)]
    pub topic: String,
    #[arg(long)]
    pub group: String,
    #[arg(long)]
    pub target: SocketAddr,
}

impl Options {
    /// Events for a target of this latency: a slow target takes its time whatever the program does.
    pub fn events(&self, latency_ms: u64) -> usize {
        let events = self.events.unwrap_or(if self.quick { 3_000 } else { 30_000 });
        if latency_ms == 0 { events } else { events.div_ceil(3) }
    }

    pub fn pairs(&self) -> usize {
        self.pairs.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }
}
