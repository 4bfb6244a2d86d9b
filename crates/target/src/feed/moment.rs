//! Moments as systems write them.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, SecondsFormat, Timelike as _, Utc};
use serde_json::{Value, json};

use crate::definition::TimeFormat;

/// The forms of texts that are not RFC 3339, with an offset and without.
const OFFSET: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z"];
const PLAIN: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];

/// As the system writes it. What its form has no place for is cut off: a walk begins earlier then, never later.
pub(super) fn written(format: TimeFormat, micros: i64) -> Value {
    let at = DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    let rfc3339 = |precision| Value::from(at.to_rfc3339_opts(precision, true));
    match format {
        TimeFormat::Rfc3339 => rfc3339(SecondsFormat::Micros),
        TimeFormat::Rfc3339Ms => rfc3339(SecondsFormat::Millis),
        TimeFormat::Rfc3339S => rfc3339(SecondsFormat::Secs),
        TimeFormat::Plain => at.format("%Y-%m-%dT%H:%M:%S").to_string().into(),
        TimeFormat::Sql => at.format("%Y-%m-%d %H:%M:%S").to_string().into(),
        TimeFormat::EpochMs => at.timestamp_millis().into(),
        TimeFormat::EpochS => at.timestamp().into(),
        TimeFormat::Parts => json!({
            "year": at.year(), "month": at.month(), "day": at.day(), "hour": at.hour(), "minute": at.minute(),
            "second": at.second(), "microsecond": at.timestamp_subsec_micros(),
        }),
    }
}

/// Microseconds since 1970 of what the system has written; none where it is no moment.
pub(super) fn read(format: TimeFormat, moment: &Value) -> Option<i64> {
    match (format, moment) {
        (TimeFormat::Parts, _) => of_parts(moment),
        (_, Value::String(text)) => of_text(text),
        (TimeFormat::EpochMs, _) => moment.as_i64()?.checked_mul(1_000),
        (TimeFormat::EpochS, _) => moment.as_i64()?.checked_mul(1_000_000),
        _ => None,
    }
}

fn of_text(text: &str) -> Option<i64> {
    if let Some(millis) = text.strip_prefix("/Date(") {
        return of_ticks(millis.strip_suffix(")/")?);
    }
    let with = |form: &&str| DateTime::parse_from_str(text, form).ok().map(|at| at.to_utc());
    let without = |form: &&str| NaiveDateTime::parse_from_str(text, form).ok().map(|at| at.and_utc());
    let at = DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
    let at = at.or_else(|| OFFSET.iter().find_map(with)).or_else(|| PLAIN.iter().find_map(without))?;
    Some(at.timestamp_micros())
}

/// Of `1795600000000+0100`: what follows a sign says where the moment was written, and changes nothing of it.
fn of_ticks(text: &str) -> Option<i64> {
    let end =
        text.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map_or(text.len(), |(at, _)| at);
    let offset = text[end..].chars().skip(1);
    let is_offset =
        end == text.len() || offset.clone().count() == 4 && offset.clone().all(|c| c.is_ascii_digit());
    if is_offset { text[..end].parse::<i64>().ok()?.checked_mul(1_000) } else { None }
}

fn of_parts(moment: &Value) -> Option<i64> {
    let part = |name: &str| moment.get(name)?.as_u64()?.try_into().ok();
    let year = moment.get("year")?.as_i64()?.try_into().ok()?;
    let day = NaiveDate::from_ymd_opt(year, part("month")?, part("day")?)?;
    let or_0 = |name: &str| part(name).unwrap_or(0);
    let at = day.and_hms_micro_opt(or_0("hour"), or_0("minute"), or_0("second"), or_0("microsecond"))?;
    Some(at.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_moment_is_written_as_it_is_read() {
        const AT: i64 = 1_795_600_000_123_456;
        for format in [TimeFormat::Rfc3339, TimeFormat::Parts] {
            assert_eq!(read(format, &written(format, AT)), Some(AT), "{format:?}");
        }
        assert_eq!(read(TimeFormat::EpochMs, &written(TimeFormat::EpochMs, AT)), Some(AT / 1_000 * 1_000));
        let day = json!({"__class__": "datetime", "year": 2026, "month": 11, "day": 26, "hour": 9});
        let text = json!("2026-11-26T09:00:00");
        assert_eq!(read(TimeFormat::Parts, &day), read(TimeFormat::Rfc3339, &text));
        for odd in
            [json!(null), json!("yesterday"), json!({"year": 2026, "month": 13, "day": 1}), json!(true)]
        {
            for format in [TimeFormat::Rfc3339, TimeFormat::Sql, TimeFormat::Parts, TimeFormat::EpochMs] {
                assert_eq!(read(format, &odd), None, "{format:?} {odd}");
            }
        }
    }

    #[test]
    fn each_form_is_written_as_it_says_and_cut_off_never_up() {
        const AT: i64 = 1_795_600_000_999_999;
        for (format, expected) in [
            (TimeFormat::Rfc3339, json!("2026-11-25T09:46:40.999999Z")),
            (TimeFormat::Rfc3339Ms, json!("2026-11-25T09:46:40.999Z")),
            (TimeFormat::Rfc3339S, json!("2026-11-25T09:46:40Z")),
            (TimeFormat::Plain, json!("2026-11-25T09:46:40")),
            (TimeFormat::Sql, json!("2026-11-25 09:46:40")),
            (TimeFormat::EpochMs, json!(1_795_600_000_999_i64)),
            (TimeFormat::EpochS, json!(1_795_600_000)),
        ] {
            let said = written(format, AT);
            assert_eq!(said, expected, "{format:?}");
            assert!(
                read(format, &said).is_some_and(|back| (AT - 999_999..=AT).contains(&back)),
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_text_is_read_in_every_form_that_systems_write() {
        const AT: i64 = 1_795_600_000_250_000;
        for text in [
            "2026-11-25T09:46:40.25Z",
            "2026-11-25T09:46:40.250+00:00",
            "2026-11-25T09:46:40.250+0000",
            "2026-11-25T01:46:40.250-0800",
            "2026-11-25T10:46:40.250+01:00",
            "2026-11-25 09:46:40.250000",
            "2026-11-25T09:46:40.250",
            "/Date(1795600000250)/",
            "/Date(1795600000250+0100)/",
            "/Date(1795600000250-0800)/",
        ] {
            assert_eq!(read(TimeFormat::Plain, &json!(text)), Some(AT), "{text}");
        }
        assert_eq!(read(TimeFormat::Sql, &json!("/Date(-1000)/")), Some(-1_000_000));
        for odd in [
            "/Date()/",
            "/Date(12",
            "/Date(12+1)/",
            "/Date(1 2)/",
            "2026-11-25",
            "1795600000",
            "/Date(12+01x0)/",
        ] {
            assert_eq!(read(TimeFormat::Sql, &json!(odd)), None, "{odd}");
        }
    }
}
