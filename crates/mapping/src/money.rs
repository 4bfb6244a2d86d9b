//! Decimal text, without a detour over binary fractions.

/// The most digits of an amount, on both sides of the point together.
const MAX_DIGITS: usize = 30;

/// Shifts the point of `text` (an integer or decimal of minor units, as vendors count cents) `places` to the left.
pub(crate) fn from_minor(text: &str, places: usize) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !numeric(whole) || !numeric(fraction) || digits.len() > MAX_DIGITS || places > 9 {
        return None;
    }
    let padded = format!("{whole:0>width$}", width = places + 1);
    let (major, minor) = padded.split_at(padded.len() - places);
    let fraction = fraction.trim_end_matches('0');
    let point = if places + fraction.len() > 0 { "." } else { "" };
    Some(format!("{sign}{major}{point}{minor}{fraction}"))
}

/// Whether `text` is a plain decimal such as `-119.00`.
pub(crate) fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let numeric = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    numeric(whole) && numeric(fraction) && digits.len() <= MAX_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_become_decimals() {
        let cases = [
            ("26835", 2, "268.35"),
            ("5", 2, "0.05"),
            ("0", 2, "0.00"),
            ("-5", 2, "-0.05"),
            ("-26835", 2, "-268.35"),
            ("500", 0, "500"),
            ("5120", 3, "5.120"),
            ("1050.5", 2, "10.505"),
            ("1050.0", 0, "1050"),
            ("9223372036854775807", 2, "92233720368547758.07"),
            ("007", 2, "0.07"),
        ];
        for (text, places, expected) in cases {
            assert_eq!(from_minor(text, places).as_deref(), Some(expected), "{text} {places}");
        }
        for bad in
            ["", "-", ".5", "1e3", "1,0", "--1", "+1", "1.2.3", " 1", "1234567890123456789012345678901"]
        {
            assert_eq!(from_minor(bad, 2), None, "{bad}");
        }
        assert_eq!(from_minor("1", 10), None);
    }

    #[test]
    fn decimals_are_recognised() {
        assert!(["0", "1.0", "-119.00"].into_iter().all(is_decimal));
        assert!(!["", "-", "1.", ".1", "1e3", "1,00", "NaN", "+1"].into_iter().any(is_decimal));
    }
}
