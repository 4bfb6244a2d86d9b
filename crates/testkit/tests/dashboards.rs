//! The dashboard and the alerts name metrics that some service has.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use testkit::workspace_root;

const PREFIX: &str = "counterfoil_";

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn text_of(directories: &[&str]) -> String {
    let files = directories.iter().flat_map(|directory| files(&workspace_root().join(directory)));
    files.map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// Names like `counterfoil_gateway_requests_total`, without what a histogram adds to its own.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with(PREFIX));
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

/// A service registers `<what>_<unit>`; its own name is put in front by the metrics registry.
fn is_registered(metric: &str, sources: &str) -> bool {
    let rest = metric.trim_start_matches(PREFIX);
    rest.split_once('_').is_some_and(|(_service, what)| sources.contains(&format!("\"{what}\"")))
}

#[test]
fn dashboards_and_alerts_name_metrics_that_exist() {
    let named = metrics(&text_of(&["deploy/grafana/dashboards", "deploy/alerts"]));
    assert!(named.len() > 5, "{named:?}");
    let sources = text_of(&["services"]);
    let unknown: Vec<_> = named.iter().filter(|metric| !is_registered(metric, &sources)).collect();
    assert!(unknown.is_empty(), "no service registers {unknown:?}");
}

#[test]
fn a_metric_that_nothing_registers_is_found_out() {
    assert!(is_registered("counterfoil_gateway_requests_total", r#"metrics.counters("requests_total", "")"#));
    assert!(!is_registered("counterfoil_gateway_request_total", r#"metrics.counters("requests_total", "")"#));
    let text = r#"rate(counterfoil_a_b_seconds_bucket{x="y"}[5m]) / counterfoil_a_c_total"#;
    assert_eq!(
        metrics(text).into_iter().collect::<Vec<_>>(),
        ["counterfoil_a_b_seconds", "counterfoil_a_c_total"]
    );
}

#[test]
fn the_dashboard_is_what_grafana_provisions() {
    let text =
        std::fs::read_to_string(workspace_root().join("deploy/grafana/dashboards/counterfoil.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert_eq!(panel["datasource"]["uid"], "prometheus", "{}", panel["title"]);
        assert!(panel["targets"][0]["expr"].is_string(), "{}", panel["title"]);
    }
    let source = workspace_root().join("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert!(std::fs::read_to_string(source).unwrap().contains("uid: prometheus"));
}
