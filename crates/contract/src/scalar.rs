//! Decimals, dates and instants between JSON text and Avro numbers.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};
use serde_json::Number;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: what RFC 3339 can write.
const INSTANTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
/// Days from 0001-01-01 (chrono's common era) to 1970-01-01 (Avro's epoch).
const EPOCH_FROM_CE: i32 = 719_163;
/// A binary64 keeps this many decimal digits; a JSON number with more may already have been rounded.
const EXACT_DIGITS: usize = 15;

/// Why a text is not a decimal of the wanted shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalError {
    /// Not `-?digits[.digits]`.
    Syntax,
    /// More digits behind the point than the field has.
    Scale,
    /// More digits than the field has.
    Precision,
    /// A JSON number that has too many digits to be exact.
    Inexact,
}

/// Reads `text` as an integer of 10^-scale units with at most `precision` digits.
pub(crate) fn parse_decimal(text: &str, precision: u32, scale: u32) -> Result<i128, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let numeric = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !numeric(whole) || !numeric(fraction) {
        return Err(DecimalError::Syntax);
    }
    let fraction = fraction.trim_end_matches('0');
    let padding = (scale as usize).checked_sub(fraction.len()).ok_or(DecimalError::Scale)?;
    let mut unscaled: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', padding)) {
        unscaled = unscaled
            .checked_mul(10)
            .and_then(|u| u.checked_add(i128::from(digit - b'0')))
            .ok_or(DecimalError::Precision)?;
    }
    if unscaled >= limit(precision) {
        return Err(DecimalError::Precision);
    }
    Ok(if negative { -unscaled } else { unscaled })
}

/// The same from a JSON number, provided that it cannot have lost digits.
pub(crate) fn decimal_of_number(number: &Number, precision: u32, scale: u32) -> Result<i128, DecimalError> {
    // `{}` of an f64 never uses an exponent, serde_json's own text does.
    let text = match number.as_f64() {
        Some(float) if !number.is_i64() && !number.is_u64() => format!("{float}"),
        _ => number.to_string(),
    };
    let significant = text.bytes().filter(u8::is_ascii_digit).skip_while(|b| *b == b'0').count();
    if significant > EXACT_DIGITS {
        Err(DecimalError::Inexact)
    } else {
        parse_decimal(&text, precision, scale)
    }
}

/// Whether `unscaled` has at most `precision` digits.
pub(crate) fn fits(unscaled: i128, precision: u32) -> bool {
    unscaled.unsigned_abs() < limit(precision).unsigned_abs()
}

fn limit(precision: u32) -> i128 {
    10i128.checked_pow(precision).unwrap_or(i128::MAX)
}

/// The shortest text of `unscaled` · 10^-scale that has at least `digits` digits behind the point.
pub(crate) fn format_decimal(unscaled: i128, scale: u32, digits: u32) -> String {
    let (scale, digits) = (scale as usize, digits as usize);
    let mut text = format!("{:0width$}", unscaled.unsigned_abs(), width = scale + 1);
    text.insert(text.len() - scale, '.');
    while text.ends_with('0') && text.len() - text.find('.').unwrap_or(0) - 1 > digits {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    if unscaled < 0 {
        text.insert(0, '-');
    }
    text
}

/// RFC 3339 to microseconds since 1970-01-01 UTC. Digits below the microsecond are cut off.
pub(crate) fn parse_instant(text: &str) -> Option<i64> {
    let micros = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
    is_instant(micros).then_some(micros)
}

/// Whether RFC 3339 can write this instant.
pub(crate) fn is_instant(micros: i64) -> bool {
    INSTANTS.contains(&micros)
}

/// `2026-11-22T10:00:00.000000Z`, or nothing if the year has not four digits.
pub(crate) fn format_instant(micros: i64) -> Option<String> {
    let instant = is_instant(micros).then(|| DateTime::from_timestamp_micros(micros)).flatten()?;
    Some(instant.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// `YYYY-MM-DD` to days since 1970-01-01.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    if !shape {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    let year = i32::try_from(number(0..4)?).ok().filter(|y| *y >= 1)?;
    let date = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?;
    Some(date.num_days_from_ce() - EPOCH_FROM_CE)
}

/// Days since 1970-01-01 to `YYYY-MM-DD`, or nothing if the year has not four digits.
pub(crate) fn format_date(days: i32) -> Option<String> {
    let date = NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_FROM_CE)?)?;
    (1..=9999).contains(&date.year()).then(|| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        assert_eq!(parse_decimal("119.00", 20, 6), Ok(119_000_000));
        assert_eq!(parse_decimal("-0.5", 20, 6), Ok(-500_000));
        assert_eq!(
            parse_decimal("1.2300000000", 20, 6),
            Ok(1_230_000),
            "zeros behind the scale lose nothing"
        );
        assert_eq!(parse_decimal("1.2345678", 20, 6), Err(DecimalError::Scale));
        assert_eq!(parse_decimal("99999999999999.999999", 20, 6), Ok(99_999_999_999_999_999_999));
        assert_eq!(parse_decimal("100000000000000", 20, 6), Err(DecimalError::Precision));
        assert_eq!(parse_decimal(&"9".repeat(60), 20, 6), Err(DecimalError::Precision));
        for bad in ["", "-", ".5", "5.", "1,5", "1e3", "+1", " 1", "NaN", "--1", "1.2.3", "١"] {
            assert_eq!(parse_decimal(bad, 20, 6), Err(DecimalError::Syntax), "{bad}");
        }
    }

    #[test]
    fn decimal_text_is_canonical() {
        assert_eq!(format_decimal(119_000_000, 6, 2), "119.00");
        assert_eq!(format_decimal(3_000_000, 6, 0), "3");
        assert_eq!(format_decimal(-500_000, 6, 2), "-0.50");
        assert_eq!(format_decimal(1, 6, 2), "0.000001");
        assert_eq!(format_decimal(-7, 0, 0), "-7");
    }

    #[test]
    fn json_numbers_only_while_exact() {
        let number =
            |text: &str| serde_json::from_str::<Number>(text).map(|n| decimal_of_number(&n, 20, 6)).ok();
        assert_eq!(number("119"), Some(Ok(119_000_000)));
        assert_eq!(number("0.1"), Some(Ok(100_000)));
        assert_eq!(number("1e2"), Some(Ok(100_000_000)));
        assert_eq!(number("123456789012345"), Some(Err(DecimalError::Precision)));
        assert_eq!(number("1234567890123456"), Some(Err(DecimalError::Inexact)));
        assert_eq!(number("0.1234567890123456"), Some(Err(DecimalError::Inexact)));
    }

    #[test]
    fn dates_and_instants() {
        assert_eq!(parse_date("1970-01-02"), Some(1));
        assert_eq!(parse_date("2024-02-29").and_then(format_date).as_deref(), Some("2024-02-29"));
        for bad in
            ["2023-02-29", "2026-1-2", "2026-13-01", "0000-01-01", "20260101", "2026-01-01T00", "+026-01-01"]
        {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
        assert_eq!(parse_instant("1970-01-01T01:00:00.0000019+01:00"), Some(1));
        assert_eq!(format_instant(0).as_deref(), Some("1970-01-01T00:00:00.000000Z"));
        assert_eq!(format_instant(i64::MAX), None);
        for edge in [*INSTANTS.start(), *INSTANTS.end()] {
            assert_eq!(format_instant(edge).and_then(|t| parse_instant(&t)), Some(edge));
        }
        assert_eq!(parse_instant("2026-11-22"), None);
        assert_eq!(parse_instant("2026-11-22T10:00:00"), None, "an instant needs its offset");
    }
}
