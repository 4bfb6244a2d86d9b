//! Signals as they stand in a definition, and what they read.

#![allow(clippy::unwrap_used)]

use delivery::{Left, LeftOf};
use http::HeaderMap;

use super::{News, Told, retry_after};
use crate::definition::Signal;

fn signal(yaml: &str) -> Result<Signal, String> {
    serde_saphyr::from_str(yaml).map_err(|error| error.to_string())
}

fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
    all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn told(yaml: &str, sent: &[(&'static str, &'static str)], body: &str) -> Option<Left> {
    let told = Told::default();
    told.hear(&[signal(yaml).unwrap()], &headers(sent), body.as_bytes());
    told.take().left.pop()
}

const PAIR: &str =
    "{limit: quota, kind: usage_pair_header, header: Usage, prefix: api-usage=, per: 24h, reserve: 10%}";

#[test]
fn a_pair_is_read_behind_its_prefix() {
    let day = LeftOf::Requests { per_ms: 86_400_000 };
    let left = |remaining| Left { of: day, remaining, max: Some(5_000), reserve: 500, reset_ms: None };
    for (value, remaining) in [
        ("api-usage=18/5000", Some(4_982)),
        ("per-app-api-usage=1/2(app=x), api-usage=18/5000", Some(4_982)),
        ("api-usage=5001/5000; per-app-api-usage=1/2", Some(0)),
        ("18/5000", None),
        ("api-usage=18", None),
        ("api-usage=-1/5000", None),
        ("api-usage=1/x", None),
    ] {
        assert_eq!(told(PAIR, &[("usage", value)], ""), remaining.map(left), "{value}");
    }
    assert_eq!(told(PAIR, &[], ""), None, "it tells nothing");
}

#[test]
fn a_number_is_read_from_a_header_or_the_body() {
    let header =
        "{limit: rate, kind: remaining_header, header: X-Left, max: X-Max, reset: X-Reset, per: 10s}";
    let sent = [("x-left", " 7 "), ("x-max", "100"), ("x-reset", "3")];
    let of = LeftOf::Requests { per_ms: 10_000 };
    let whole = Left { of, remaining: 7, max: Some(100), reserve: 0, reset_ms: Some(3_000) };
    assert_eq!(told(header, &sent, ""), Some(whole));
    let bare = Left { max: None, reset_ms: None, ..whole };
    assert_eq!(told(header, &sent[..1], ""), Some(bare));
    let far = told(header, &[("x-left", "0"), ("x-reset", "1e12")], "").unwrap();
    assert_eq!(far.reset_ms, Some(3_600_000), "an hour is waited for at most");
    let body = "{limit: cost_bucket, kind: body_path, path: $.cost.left, max: $.cost.max, per: 2s}";
    let points = LeftOf::Points { wait_ms: 2_000 };
    let left = Left { of: points, remaining: 3, max: Some(1_000), reserve: 0, reset_ms: None };
    assert_eq!(told(body, &[], r#"{"cost": {"left": 3.9, "max": 1000.0}}"#), Some(left));
    assert_eq!(told(body, &[], r#"{"cost": {"left": -4, "max": 1000}}"#).map(|l| l.remaining), Some(0));
    for other in ["", "<html>", r#"{"cost": {}}"#, r#"{"cost": {"left": "many"}}"#] {
        assert_eq!(told(body, &[], other), None, "{other}");
    }
}

#[test]
fn the_newest_counts() {
    let (told, signals) = (Told::default(), [signal(PAIR).unwrap()]);
    told.hear(&signals, &headers(&[("usage", "api-usage=1/9")]), b"");
    told.hear(&signals, &headers(&[("usage", "api-usage=2/9")]), b"");
    told.hear(&signals, &headers(&[]), b"");
    assert_eq!(told.take().left.iter().map(|l| l.remaining).collect::<Vec<_>>(), [7]);
    assert_eq!(told.take(), News::default());
}

#[test]
fn a_wait_is_read_in_seconds_or_up_to_a_date_of_the_targets_clock() {
    assert_eq!(retry_after(&headers(&[("retry-after", "7")])), Some(7_000));
    assert_eq!(retry_after(&headers(&[("retry-after", "99999999")])), Some(3_600_000));
    let until = ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT");
    let at = |date| retry_after(&headers(&[until, ("date", date)]));
    assert_eq!(at("Wed, 21 Oct 2026 07:27:30 GMT"), Some(30_000));
    assert_eq!(at("Wed, 21 Oct 2026 07:29:00 GMT"), None, "it is over");
    assert_eq!(at("Tue, 20 Oct 2026 07:28:00 GMT"), Some(3_600_000));
    assert_eq!(
        retry_after(&headers(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")])),
        None,
        "by our clock"
    );
    for other in ["", "soon", "-1", "0", "NaN", "Wed, 32 Oct 2026 07:28:00 GMT"] {
        assert_eq!(retry_after(&headers(&[("retry-after", other)])), None, "{other}");
    }
}

#[test]
fn what_does_not_fit_is_said_with_its_line() {
    for (yaml, said) in [
        ("{limit: quota, kind: usage_pair_header, header: Usage}", "`per`"),
        ("{limit: quota, kind: usage_pair_header, per: 24h}", "`header`"),
        ("{limit: quota, kind: usage_pair_header, header: 'a b', per: 24h}", "no name of a header"),
        ("{limit: quota, kind: usage_pair_header, header: a, prefix: 'a,', per: 24h}", "`prefix"),
        ("{limit: quota, kind: usage_pair_header, header: a, max: b, per: 24h}", "no `max`"),
        ("{limit: rate, kind: remaining_header, header: a, per: soon}", "`per: soon`"),
        ("{limit: rate, kind: remaining_header, header: a, per: 0s}", "`per: 0s`"),
        ("{limit: rate, kind: remaining_header, header: a, path: $.a, per: 1s}", "no `path`"),
        ("{limit: rate, kind: remaining_header, header: a, per: 1s, reserve: 10%}", "`max`"),
        ("{limit: rate, kind: remaining_header, header: a, max: b, per: 1s, reserve: 100%}", "below 100%"),
        ("{limit: cost_bucket, kind: body_path, path: cost}", "no path"),
        ("{limit: cost_bucket, kind: body_path}", "`path`"),
        ("{limit: exec_time, kind: body_path, path: $.a}", "exec_time"),
        ("{limit: quota, kind: probe, path: $.a, per: 24h}", "`request`"),
        ("{limit: quota, kind: probe, request: GET /limits, per: 24h}", "`path`"),
        ("{limit: quota, kind: probe, request: GET /limits, path: $.a, header: b, per: 24h}", "no `header`"),
        ("{limit: quota, kind: probe, request: GET /limits, path: $.a, per: 24h, every: 1ms}", "1s to 24h"),
        ("{limit: quota, kind: probe, request: GET /limits, path: $.a, per: 24h, reserve: 10%}", "`max`"),
        (
            "{limit: quota, kind: body_path, request: GET /limits, path: $.a, per: 24h}",
            "only a signal of kind `probe`",
        ),
        ("{limit: quota, kind: body_path, every: 10m, path: $.a, per: 24h}", "only a signal of kind `probe`"),
        ("{limit: cost_bucket, kind: body_path, path: $.a, paths: $.b}", "paths"),
    ] {
        let error = signal(yaml).unwrap_err();
        assert!(error.contains(said), "{yaml}: {error}");
    }
    let whole = include_str!("../../../../connectors/sandbox.yaml");
    let wrong = whole.replacen(
        "errors:",
        "signals:\n  - {limit: rate, kind: remaining_header, header: a}\nerrors:",
        1,
    );
    let line = 1 + wrong.lines().position(|line| line.contains("remaining_header")).unwrap();
    let crate::DefinitionError::Yaml { source, .. } = crate::Connector::parse("x", &wrong).unwrap_err()
    else {
        panic!("it can be read");
    };
    assert!(source.to_string().contains(&format!("line {line}")), "{source}");
}
