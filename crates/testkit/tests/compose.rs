//! `docker-compose.yml` is valid, and says what the documentation promises.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::{Scratch, compose, workspace_root};

const SERVICES: [&str; 9] =
    ["gateway", "grafana", "kafka", "prometheus", "registry", "sandbox", "schemas", "sink", "topics"];

fn file() -> PathBuf {
    workspace_root().join("docker-compose.yml")
}

fn resolve(file: &Path) -> anyhow::Result<Value> {
    let secrets = workspace_root().join("deploy/secrets.env.example");
    let secrets = secrets.to_str().unwrap();
    compose::resolve(
        file,
        &[("COUNTERFOIL_SECRETS_FILE", secrets), ("GRAFANA_ADMIN_PASSWORD", "of-the-test")],
    )
}

fn services() -> serde_json::Map<String, Value> {
    resolve(&file()).unwrap()["services"].as_object().unwrap().clone()
}

/// Resolves the file with one text replaced, and returns the complaint.
fn complaint_about(text: &str, replacement: &str) -> String {
    let scratch = Scratch::new().unwrap();
    let changed = scratch.path().join("docker-compose.yml");
    let original = std::fs::read_to_string(file()).unwrap();
    assert!(original.contains(text), "the file no longer has {text:?}");
    std::fs::write(&changed, original.replacen(text, replacement, 1)).unwrap();
    resolve(&changed).unwrap_err().to_string()
}

#[test]
fn the_file_is_valid_and_has_every_service() {
    let mut names: Vec<_> = services().into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, SERVICES);
}

#[test]
fn a_file_that_is_not_valid_is_refused() {
    let unknown_key = complaint_about("    healthcheck:\n", "    healthchek:\n");
    assert!(unknown_key.contains("healthchek"), "{unknown_key}");
    let unknown_service =
        complaint_about("kafka: {condition: service_healthy}", "kaffka: {condition: service_healthy}");
    assert!(unknown_service.contains("kaffka"), "{unknown_service}");
    let undeclared_volume = complaint_about("volumes:\n  kafka-data:\n", "volumes:\n");
    assert!(undeclared_volume.contains("kafka-data"), "{undeclared_volume}");
    let not_yaml = complaint_about("services:", "services: [");
    assert!(!not_yaml.is_empty());
}

#[test]
fn a_password_that_is_not_given_is_asked_for() {
    let error = compose::resolve(&file(), &[("GRAFANA_ADMIN_PASSWORD", "")]).unwrap_err().to_string();
    assert!(error.contains("GRAFANA_ADMIN_PASSWORD"), "{error}");
}

#[test]
fn what_runs_on_has_a_health_check() {
    for (name, service) in services().iter().filter(|(_, service)| service["restart"] != "no") {
        assert!(service["healthcheck"]["test"].is_array(), "{name} has no health check");
    }
}

#[test]
fn every_published_port_is_on_loopback() {
    for (name, service) in services() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name} publishes {port}");
        }
    }
}

#[test]
fn every_mounted_file_exists() {
    for (name, service) in services() {
        for mount in
            service["volumes"].as_array().into_iter().flatten().filter(|mount| mount["type"] == "bind")
        {
            let source = mount["source"].as_str().unwrap();
            assert!(Path::new(source).exists(), "{name} mounts {source}, which is not there");
        }
    }
}

/// A variable whose name no setting has would be ignored by the service.
#[test]
fn every_variable_of_a_service_is_a_setting_of_it() {
    let secrets = std::fs::read_to_string(workspace_root().join("deploy/secrets.env.example")).unwrap();
    for (name, service) in
        services().iter().filter(|(name, _)| ["gateway", "sink", "sandbox"].contains(&name.as_str()))
    {
        let options = workspace_root().join("services").join(name).join("src/options.rs");
        let options = std::fs::read_to_string(options).unwrap();
        for variable in service["environment"].as_object().unwrap().keys() {
            // the example tenants name the variable in their base URLs
            if secrets.contains(variable) || variable == "COUNTERFOIL_SANDBOX_URL" {
                continue;
            }
            let setting = variable.strip_prefix("COUNTERFOIL_").unwrap().to_lowercase();
            let first = setting.split("__").next().unwrap();
            assert!(options.contains(&format!("pub {first}:")), "{name} has no setting for {variable}");
        }
    }
}

/// Every secret that the mounted example tenants refer to has a line to fill in.
#[test]
fn the_example_of_the_secrets_file_names_every_secret() {
    let example = std::fs::read_to_string(workspace_root().join("deploy/secrets.env.example")).unwrap();
    let mut pending = vec![workspace_root().join("tenants")];
    let mut named = 0;
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for reference in text.split("\"env:").skip(1).filter_map(|rest| rest.split('"').next()) {
            let line = format!("{reference}=");
            assert!(example.lines().any(|l| l == line), "{} refers to {reference}", path.display());
            named += 1;
        }
    }
    assert!(named > 0, "no example tenant refers to a secret");
}
