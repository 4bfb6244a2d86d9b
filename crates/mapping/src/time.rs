//! Instants and dates as the canonical form writes them.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};

/// Seconds since 1970-01-01 UTC as `2026-11-22T10:00:00.000000Z`.
pub(crate) fn instant_of_unix(seconds: i64) -> Option<String> {
    four_digit_year(DateTime::from_timestamp_secs(seconds)?).map(write_instant)
}

/// The UTC date of that instant, `2026-11-22`.
pub(crate) fn date_of_unix(seconds: i64) -> Option<String> {
    four_digit_year(DateTime::from_timestamp_secs(seconds)?).map(|i| i.date_naive().to_string())
}

/// RFC 3339 with any offset, as an instant in UTC.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    four_digit_year(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

/// `2026-11-22T10:00:00.000000Z`.
pub(crate) fn write_instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn four_digit_year(instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1..=9999).contains(&instant.year()).then_some(instant)
}
