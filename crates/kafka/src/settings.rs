//! How to reach a cluster, and the client configuration that the promise asks for.

use std::{collections::BTreeMap, env, fmt, fs, path::PathBuf, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};
use serde::{Deserialize, Serialize, Serializer};

/// Properties by librdkafka's names.
type Properties = BTreeMap<String, String>;

/// How to reach a Kafka cluster.
///
/// A property's value may be a reference, `env:NAME` or `file:/path`; a secret must be one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Brokers to start from: `host:port`, separated by commas.
    pub bootstrap: String,
    /// The name that brokers log and meter this client under.
    pub client_id: String,
    /// librdkafka properties of every client, such as `security.protocol`.
    #[serde(serialize_with = "without_secrets")]
    pub properties: Properties,
    /// librdkafka properties of producers only.
    #[serde(serialize_with = "without_secrets")]
    pub producer: Properties,
    /// librdkafka properties of consumers only, such as `session.timeout.ms`.
    #[serde(serialize_with = "without_secrets")]
    pub consumer: Properties,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The promise depends on this property, so it is not for configuration.
    #[error("kafka property `{0}` cannot be set: the delivery guarantee depends on it")]
    Reserved(String),
    /// A secret stands in the configuration itself.
    #[error("kafka property `{0}` is a secret: give a reference, `env:NAME` or `file:/path`")]
    LiteralSecret(String),
    /// A reference leads nowhere.
    #[error("kafka property `{property}` refers to {reference}, which cannot be read")]
    Reference {
        /// The property.
        property: String,
        /// The reference, never the value.
        reference: String,
        /// What the system said; none where an environment variable is not set.
        #[source]
        source: Option<std::io::Error>,
    },
    /// librdkafka does not accept the settings.
    #[error("the kafka client does not accept its settings")]
    Client(#[source] rdkafka::error::KafkaError),
}

impl SettingsError {
    /// The stable code, docs/errors/`<code>`.md.
    pub fn code(&self) -> &'static str {
        "TOP-0108"
    }
}

/// Properties that only this file decides.
const RESERVED: [&str; 19] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "check.crcs",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "group.id",
    "isolation.level",
    "max.in.flight.requests.per.connection",
    "metadata.broker.list",
    "partitioner",
    "request.required.acks",
    "retries",
    "transaction.timeout.ms",
    "transactional.id",
];

/// What every client has. A broker that was away is met again within a second, and a cut connection is noticed.
const COMMON: [(&str, &str); 5] = [
    ("allow.auto.create.topics", "false"),
    ("reconnect.backoff.ms", "100"),
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
    ("socket.nagle.disable", "true"),
];

const PRODUCER: [(&str, &str); 11] = [
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // Ours is chosen by topics::partitioner; this is for whoever forgets to, so that keys stay together at least.
    ("partitioner", "murmur2_random"),
    ("compression.codec", "lz4"),
    // Measured on Kafka 4.3: 0 answers a lone caller in 0.4 ms instead of 1.5, but 16 callers cost twice the CPU; from 1 on,
    // latency grows and nothing else gets better.
    ("linger.ms", "0.5"),
    // Below the smallest max.message.bytes of topics/, so that a batch of small records is never refused as too large.
    ("batch.size", "1000000"),
    ("message.timeout.ms", "8000"),
    // A topic that is not there is said so at once, not when the record times out.
    ("topic.metadata.propagation.max.ms", "2000"),
    // Bounds memory: 64 MiB of records wait, then the caller does.
    ("queue.buffering.max.kbytes", "65536"),
    ("queue.buffering.max.messages", "100000"),
    ("retry.backoff.ms", "50"),
];

const CONSUMER: [(&str, &str); 8] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // An offset that is gone is a loss to be seen, never skipped.
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "1000"),
    ("fetch.wait.max.ms", "100"),
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".into(),
            client_id: "counterfoil".into(),
            properties: Properties::new(),
            producer: Properties::new(),
            consumer: Properties::new(),
        }
    }
}

impl Settings {
    /// Settings for `bootstrap`, with everything else as by default.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self { bootstrap: bootstrap.into(), ..Self::default() }
    }

    /// The configuration of a producer: acks=all, idempotent, bounded in time and memory.
    ///
    /// # Errors
    /// Where a property is reserved, a literal secret, or a reference that leads nowhere.
    pub fn producer_config(&self) -> Result<ClientConfig, SettingsError> {
        let mut config = self.config(&PRODUCER, &self.producer)?;
        config.set("message.max.bytes", topics::MAX_MESSAGE_BYTES.to_string());
        Ok(config)
    }

    /// The configuration of the only producer called `name`: a transactional one.
    ///
    /// # Errors
    /// As [`Settings::producer_config`].
    pub(crate) fn sole_config(&self, name: &str) -> Result<ClientConfig, SettingsError> {
        let mut config = self.producer_config()?;
        config
            .set("transactional.id", name)
            // So long at most are readers of the topic held up by a writer that died; a record must give up before.
            .set("transaction.timeout.ms", "10000")
            .set("message.timeout.ms", "8000");
        Ok(config)
    }

    /// The configuration of a member of the consumer group `group`: nothing is committed or skipped but by us.
    ///
    /// # Errors
    /// As [`Settings::producer_config`].
    pub fn consumer_config(&self, group: &str) -> Result<ClientConfig, SettingsError> {
        let mut config = self.config(&CONSUMER, &self.consumer)?;
        config.set("group.id", group);
        Ok(config)
    }

    /// After how long without a sign of life the group gives a member's partitions to another one.
    pub fn session_timeout(&self) -> Duration {
        const NAME: &str = "session.timeout.ms";
        let default = CONSUMER.iter().find(|(name, _)| *name == NAME).map(|(_, value)| *value);
        let set = self.consumer.get(NAME).or_else(|| self.properties.get(NAME)).map(String::as_str);
        let ms = set.or(default).and_then(|text| text.parse().ok()).unwrap_or(0);
        Duration::from_millis(ms)
    }

    /// The configuration of a client that only asks.
    ///
    /// # Errors
    /// As [`Settings::producer_config`].
    pub fn admin_config(&self) -> Result<ClientConfig, SettingsError> {
        self.config(&[], &Properties::new())
    }

    fn config(&self, defaults: &[(&str, &str)], own: &Properties) -> Result<ClientConfig, SettingsError> {
        let mut config = ClientConfig::new();
        for (name, value) in COMMON.iter().chain(defaults) {
            config.set(*name, *value);
        }
        config.set("bootstrap.servers", &self.bootstrap).set("client.id", &self.client_id);
        for (name, value) in self.properties.iter().chain(own) {
            if RESERVED.contains(&name.as_str()) {
                return Err(SettingsError::Reserved(name.clone()));
            }
            config.set(name, resolve(name, value)?);
        }
        config.set_log_level(RDKafkaLogLevel::Warning);
        Ok(config)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("bootstrap", &self.bootstrap)
            .field("client_id", &self.client_id)
            .field("properties", &redacted(&self.properties))
            .field("producer", &redacted(&self.producer))
            .field("consumer", &redacted(&self.consumer))
            .finish()
    }
}

/// The value that a reference leads to, or the value itself.
fn resolve(property: &str, value: &str) -> Result<String, SettingsError> {
    let lost = |source| SettingsError::Reference {
        property: property.to_owned(),
        reference: value.to_owned(),
        source,
    };
    if let Some(name) = value.strip_prefix("env:") {
        return env::var(name).map_err(|_| lost(None));
    }
    if let Some(path) = value.strip_prefix("file:") {
        let text = fs::read_to_string(PathBuf::from(path)).map_err(|e| lost(Some(e)))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if is_secret(property) {
        return Err(SettingsError::LiteralSecret(property.to_owned()));
    }
    Ok(value.to_owned())
}

fn is_secret(property: &str) -> bool {
    const SECRET: [&str; 5] = ["password", "secret", "key.pem", "oauthbearer.config", "private.key"];
    SECRET.iter().any(|word| property.contains(word))
}

fn is_reference(value: &str) -> bool {
    value.starts_with("env:") || value.starts_with("file:")
}

fn redacted(properties: &Properties) -> BTreeMap<&str, &str> {
    let shown = |name: &str, value: &str| !is_secret(name) || is_reference(value);
    properties.iter().map(|(n, v)| (n.as_str(), if shown(n, v) { v } else { "<redacted>" })).collect()
}

fn without_secrets<S: Serializer>(properties: &Properties, serializer: S) -> Result<S::Ok, S::Error> {
    redacted(properties).serialize(serializer)
}
