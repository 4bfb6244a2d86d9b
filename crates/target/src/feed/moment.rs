//! Moments as systems write them.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, SecondsFormat, Timelike as _, Utc};
use serde_json::{Value, json};

use crate::definition::TimeFormat;

/// As the system writes it.
pub(super) fn written(format: TimeFormat, micros: i64) -> Value {
    let at = DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    match format {
        TimeFormat::Rfc3339 => at.to_rfc3339_opts(SecondsFormat::Micros, true).into(),
        TimeFormat::EpochMs => at.timestamp_millis().into(),
        TimeFormat::Parts => json!({
            "year": at.year(), "month": at.month(), "day": at.day(), "hour": at.hour(), "minute": at.minute(),
            "second": at.second(), "microsecond": at.timestamp_subsec_micros(),
        }),
    }
}

/// Microseconds since 1970 of what the system has written; none where it is no moment.
pub(super) fn read(format: TimeFormat, moment: &Value) -> Option<i64> {
    match format {
        TimeFormat::EpochMs => moment.as_i64()?.checked_mul(1_000),
        TimeFormat::Rfc3339 => {
            let text = moment.as_str()?;
            let naive = || text.parse::<NaiveDateTime>().ok().map(|naive| naive.and_utc());
            let at = DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()).or_else(naive)?;
            Some(at.timestamp_micros())
        }
        TimeFormat::Parts => {
            let part = |name: &str| moment.get(name)?.as_u64()?.try_into().ok();
            let day = NaiveDate::from_ymd_opt(
                moment.get("year")?.as_i64()?.try_into().ok()?,
                part("month")?,
                part("day")?,
            )?;
            let or_0 = |name: &str| part(name).unwrap_or(0);
            let at =
                day.and_hms_micro_opt(or_0("hour"), or_0("minute"), or_0("second"), or_0("microsecond"))?;
            Some(at.and_utc().timestamp_micros())
        }
    }
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
            for format in [TimeFormat::Rfc3339, TimeFormat::Parts, TimeFormat::EpochMs] {
                assert_eq!(read(format, &odd), None, "{format:?} {odd}");
            }
        }
    }
}
