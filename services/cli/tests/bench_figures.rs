//! The arithmetic of `cargo bench`, which has no test harness of its own.

#[path = "../../../benches/end_to_end/figures.rs"]
mod figures;

use figures::{TRIM, median, per_100k, trimmed_rate};

#[test]
fn median_is_the_middle_one() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[7.0]), Some(7.0));
    assert_eq!(median(&[9.0, 1.0, 5.0]), Some(5.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
}

#[test]
fn a_steady_stream_has_its_rate() {
    let every_millisecond: Vec<u64> = (0..1_000).rev().map(|n| n * 1_000).collect();
    assert_eq!(trimmed_rate(&every_millisecond, 0.0), Some(1_000.0));
    assert_eq!(trimmed_rate(&every_millisecond, TRIM), Some(1_000.0));
}

#[test]
fn slow_ends_do_not_count() {
    // 10 that come a second apart at each end of 180 that come every 10 ms
    let mut instants: Vec<u64> = (0..10).map(|n| n * 1_000_000).collect();
    instants.extend((0..180).map(|n| 10_000_000 + n * 10_000));
    instants.extend((0..10).map(|n| 20_000_000 + n * 1_000_000));
    let trimmed = trimmed_rate(&instants, TRIM).unwrap_or_default();
    assert!((trimmed - 100.0).abs() < 1e-9, "{trimmed}");
    let whole = trimmed_rate(&instants, 0.0).unwrap_or_default();
    assert!(whole < 10.0, "{whole}");
}

#[test]
fn no_rate_without_time() {
    assert_eq!(trimmed_rate(&[], TRIM), None);
    assert_eq!(trimmed_rate(&[5], TRIM), None);
    assert_eq!(trimmed_rate(&[5, 5, 5], TRIM), None);
    assert_eq!(trimmed_rate(&[1, 2], 0.5), None);
}

#[test]
fn cpu_is_scaled_to_100_000_events() {
    assert!((per_100k(1.5, 30_000) - 5.0).abs() < 1e-9);
}
