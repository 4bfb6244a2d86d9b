#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, error::Error as _, io::Write, time::Duration};

use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    listen: String,
    tenants: Option<PathBuf>,
    #[serde(with = "crate::duration")]
    deadline: Duration,
    kafka: Kafka,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Kafka {
    bootstrap: String,
    retries: u16,
    token: String,
    properties: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        let kafka = Kafka { bootstrap: "default:9092".into(), retries: 3, ..Kafka::default() };
        Self { listen: "127.0.0.1:8080".into(), tenants: None, deadline: Duration::from_secs(5), kafka }
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn sources(path: Option<&Path>, environment: &[(&str, &str)], flags: Flags) -> Sources {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Sources { file: path.map(Path::to_owned), environment, flags }
}

fn load_text(text: &str) -> Result<Settings, ConfigError> {
    load_from(&sources(Some(file(text).path()), &[], Flags::new()))
}

fn load_env(environment: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    load_from(&sources(None, environment, Flags::new()))
}

#[test]
fn each_layer_overrides_the_one_below_and_leaves_the_rest() {
    let file = file("listen = 'file:1'\ndeadline = '250ms'\n[kafka]\nbootstrap = 'file:9092'\nretries = 4\n");
    let environment = [
        ("COUNTERFOIL_KAFKA__BOOTSTRAP", "env:9092"),
        ("COUNTERFOIL_KAFKA__RETRIES", "5"),
        ("COUNTERFOIL_TENANTS", "/t"),
        ("COUNTERFOIL_CONFIG", "ignored"),
        ("COUNTERFOIL_ACME_KEY", "another's secret"),
    ];
    let flags = Flags::new().set("--bootstrap", "kafka.bootstrap", Some("flag:9092")).set(
        "--listen",
        "listen",
        None::<&str>,
    );
    let settings: Settings = load_from(&sources(Some(file.path()), &environment, flags)).unwrap();
    let kafka = Kafka { bootstrap: "flag:9092".into(), retries: 5, ..Kafka::default() };
    let deadline = Duration::from_millis(250);
    assert_eq!(settings, Settings { listen: "file:1".into(), tenants: Some("/t".into()), deadline, kafka });
}

#[test]
fn text_of_digits_stays_text_and_tables_are_read() {
    let settings = load_env(&[
        ("COUNTERFOIL_LISTEN", "0123"),
        ("COUNTERFOIL_KAFKA__PROPERTIES", "{\"sasl.username\"=\"me\"}"),
    ])
    .unwrap();
    assert_eq!(settings.listen, "0123");
    assert_eq!(settings.kafka.properties["sasl.username"], "me");
}

#[test]
fn unknown_keys_are_refused_in_every_layer() {
    let error = load_text("[kafka]\nbootstrp = 'x'\n").unwrap_err();
    assert_eq!(error.code(), "CFG-1003");
    assert!(error.to_string().starts_with("`kafka.bootstrp` from file /"), "{error}");
    assert!(error.to_string().ends_with("did you mean `bootstrap`?"), "{error}");

    let error = load_env(&[("COUNTERFOIL_KAFKA__NONSENSE", "x")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`COUNTERFOIL_KAFKA__NONSENSE` from the environment is not a setting; there are bootstrap, retries, token, properties"
    );

    let error = load_env(&[("COUNTERFOIL_TENANT", "x")]).unwrap_err();
    assert!(error.to_string().starts_with("`COUNTERFOIL_TENANT` from the environment"), "{error}");
    assert!(error.to_string().ends_with("did you mean `tenants`?"), "{error}");
}

#[test]
fn misfits_name_key_and_source() {
    let error = load_text("[kafka]\nretries = 'many'\n").unwrap_err();
    assert_eq!(error.code(), "CFG-1004");
    assert!(error.to_string().starts_with("`kafka.retries` from file /"), "{error}");

    let error = load_env(&[("COUNTERFOIL_KAFKA__RETRIES", "many")]).unwrap_err();
    assert!(error.to_string().starts_with("`COUNTERFOIL_KAFKA__RETRIES` from the environment"), "{error}");

    let flags = Flags::new().set("--retries", "kafka.retries", Some(-1));
    let error = load_from::<Settings>(&sources(None, &[], flags)).unwrap_err();
    assert!(error.to_string().starts_with("`--retries` from the command line"), "{error}");

    let error = load_text("[kafka.token]\nword = 'hunter2'\n").unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let error =
        load_from::<Settings>(&sources(Some(Path::new("/nowhere.toml")), &[], Flags::new())).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("/nowhere.toml")), ("CFG-1001", true));
    let error = load_text("listen = \n").unwrap_err();
    assert_eq!(error.code(), "CFG-1002");
    assert!(error.source().unwrap().to_string().contains("line 1"), "{error:?}");
}

#[test]
fn printed_settings_hold_no_secret() {
    let mut settings = Settings { listen: "http://me:hunter2@host/x?a@b".into(), ..Settings::default() };
    settings.kafka.token = "hunter2".into();
    settings.kafka.properties.insert("sasl.password".into(), "hunter2".into());
    settings.kafka.properties.insert("ssl.key.pem".into(), "hunter2".into());
    settings.kafka.properties.insert("oauth.client.secret".into(), "env:KAFKA_SECRET".into());
    let text = print_config(&settings).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    assert!(text.contains("\"http://<redacted>@host/x?a@b\""), "{text}");
    assert!(text.contains("deadline = \"5s\"") && text.contains("\"env:KAFKA_SECRET\""), "{text}");
}
