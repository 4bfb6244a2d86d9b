//! Settings: what clients are configured with, and that secrets stay references.
#![allow(clippy::unwrap_used)]

use std::{fs, io::Write as _};

use kafka::{Producer, Settings, SettingsError};

fn with(name: &str, value: &str) -> Settings {
    let mut settings = Settings::default();
    settings.properties.insert(name.into(), value.into());
    settings
}

#[test]
fn a_producer_is_idempotent_and_waits_for_all_replicas() {
    let config = Settings::new("broker:9092").producer_config().unwrap();
    for (name, value) in [
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("allow.auto.create.topics", "false"),
        ("partitioner", "murmur2_random"),
        ("compression.codec", "lz4"),
        ("bootstrap.servers", "broker:9092"),
    ] {
        assert_eq!(config.get(name), Some(value), "{name}");
    }
    let timeout: u32 = config.get("message.timeout.ms").unwrap().parse().unwrap();
    assert!(timeout <= 10_000, "a gateway's caller waits for it");
    assert!(Producer::new(&Settings::default()).is_ok(), "librdkafka knows every property");
}

#[test]
fn a_consumer_commits_and_skips_nothing_by_itself() {
    let config = Settings::default().consumer_config("sinks").unwrap();
    for (name, value) in [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("check.crcs", "true"),
        ("group.id", "sinks"),
    ] {
        assert_eq!(config.get(name), Some(value), "{name}");
    }
    config.create_native_config().unwrap();
}

#[test]
fn own_properties_go_to_their_clients_only() {
    let mut settings = with("ssl.ca.location", "/etc/ca.pem");
    settings.consumer.insert("session.timeout.ms".into(), "9000".into());
    settings.producer.insert("linger.ms".into(), "0".into());
    let (producer, consumer) = (settings.producer_config().unwrap(), settings.consumer_config("g").unwrap());
    assert_eq!((producer.get("linger.ms"), producer.get("session.timeout.ms")), (Some("0"), None));
    assert_eq!((consumer.get("linger.ms"), consumer.get("session.timeout.ms")), (None, Some("9000")));
    for config in [producer, consumer, settings.admin_config().unwrap()] {
        assert_eq!(config.get("ssl.ca.location"), Some("/etc/ca.pem"));
    }
}

#[test]
fn what_the_guarantee_depends_on_cannot_be_set() {
    for name in [
        "acks",
        "enable.idempotence",
        "enable.auto.commit",
        "partitioner",
        "group.id",
        "bootstrap.servers",
        "isolation.level",
    ] {
        let error = with(name, "0").producer_config().unwrap_err();
        assert!(matches!(&error, SettingsError::Reserved(n) if n == name), "{name}: {error}");
        assert_eq!(error.code(), "TOP-0108");
    }
}

#[test]
fn secrets_are_references() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "s3cret").unwrap();
    let reference = format!("file:{}", file.path().display());
    let settings = with("sasl.password", &reference);
    assert_eq!(settings.admin_config().unwrap().get("sasl.password"), Some("s3cret"));
    assert!(format!("{settings:?}").contains(&reference));
    fs::remove_file(file.path()).unwrap();
    let gone = settings.admin_config().unwrap_err();
    assert!(matches!(gone, SettingsError::Reference { source: Some(_), .. }), "{gone}");
    let unset = with("sasl.password", "env:COUNTERFOIL_TEST_NOT_SET").admin_config().unwrap_err();
    assert!(matches!(unset, SettingsError::Reference { source: None, .. }), "{unset}");
}

#[test]
fn a_literal_secret_is_refused_and_shown_nowhere() {
    for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
        let settings = with(name, "hunter2");
        let error = settings.consumer_config("g").unwrap_err();
        assert!(matches!(error, SettingsError::LiteralSecret(_)), "{name}");
        let shown =
            [format!("{settings:?}"), serde_json::to_string(&settings).unwrap(), format!("{error:?}")];
        assert!(shown.iter().all(|text| !text.contains("hunter2")), "{shown:?}");
    }
}

#[test]
fn settings_read_back_and_unknown_fields_do_not() {
    let settings = with("security.protocol", "plaintext");
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    assert!(serde_json::from_str::<Settings>(r#"{"bootstraps": "x"}"#).is_err());
}
