//! How a vendor signs its webhooks: `connectors/<system>/webhook.yaml`.

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::Diagnostic;

/// How a vendor signs its webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// What kind of proof it is.
    pub verify: Verify,
    /// How the proof stands in its header; of a shared secret as it is.
    #[serde(default)]
    pub encoding: Encoding,
    /// The header that holds it.
    pub header: String,
    /// Where the header is a list `name=value,…`: the names. Absent: all of it is the proof.
    pub fields: Option<Fields>,
    /// Where the time stands, if in a header of its own.
    pub timestamp: Option<TimestampHeader>,
    /// What is signed, in order.
    #[serde(default)]
    pub signed: Vec<Part>,
    /// How far the time may be from ours, seconds. Absent: no time is signed, and an old webhook is as good as a new one.
    #[serde(default, rename = "tolerance", deserialize_with = "seconds")]
    pub tolerance_s: Option<u32>,
}

/// Kinds of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// HMAC-SHA256 of the parts, its key the secret.
    Hmac,
    /// SHA-256 of the parts, the secret one of them.
    HashConcat,
    /// The secret itself.
    SharedSecret,
}

/// How a proof is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hexadecimal.
    #[default]
    Hex,
    /// Base64 with padding.
    Base64,
}

/// Names in the header's list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Of the time.
    pub timestamp: Option<String>,
    /// Of the proof; it may stand several times while a secret is rotated.
    pub signature: String,
}

/// A time in a header of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampHeader {
    /// The header.
    pub header: String,
    /// Its unit.
    #[serde(default)]
    pub unit: Unit,
}

/// Units of time since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Unit {
    /// Seconds.
    #[default]
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Part {
    /// `{{body}}`: the raw bytes.
    Body,
    /// `{{timestamp}}`, as it stands in its header.
    Timestamp,
    /// `{{method}}`.
    Method,
    /// `{{url}}`: the address that the vendor was given, as the connection says.
    Url,
    /// `{{secret}}`.
    Secret,
    /// Anything else, as it is.
    Text(String),
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        match text.as_str() {
            "{{body}}" => Self::Body,
            "{{timestamp}}" => Self::Timestamp,
            "{{method}}" => Self::Method,
            "{{url}}" => Self::Url,
            "{{secret}}" => Self::Secret,
            _ => Self::Text(text),
        }
    }
}

impl Signature {
    /// Reads `file`, whose content is `text`.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let refused = |message: String| Diagnostic::definition(file, message);
        let read: Self = serde_saphyr::from_str(text).map_err(|error| refused(error.to_string()))?;
        match read.misfit() {
            None => Ok(read),
            Some(what) => Err(refused(what.to_owned())),
        }
    }

    /// Whether it signs where the webhook was sent.
    pub fn names_url(&self) -> bool {
        self.signed.contains(&Part::Url)
    }

    /// What does not fit together.
    fn misfit(&self) -> Option<&'static str> {
        let in_fields = self.fields.as_ref().is_some_and(|fields| fields.timestamp.is_some());
        let timed = in_fields || self.timestamp.is_some();
        let signs = |part: &Part| self.signed.contains(part);
        let unknown = |part: &Part| matches!(part, Part::Text(text) if text.contains("{{"));
        match self.verify {
            _ if self.signed.iter().any(unknown) => {
                Some("`signed` knows {{body}}, {{timestamp}}, {{method}}, {{url}} and {{secret}}")
            }
            _ if in_fields && self.timestamp.is_some() => {
                Some("the time stands either in `fields` or in `timestamp`")
            }
            Verify::SharedSecret => (!self.signed.is_empty() || timed || self.fields.is_some())
                .then_some("a shared secret signs nothing: no `signed`, `fields` or `timestamp`"),
            _ if !signs(&Part::Body) => Some("`signed` must have {{body}}: else anybody may change it"),
            Verify::HashConcat if !signs(&Part::Secret) => Some("`signed` must have {{secret}}"),
            Verify::Hmac if signs(&Part::Secret) => Some("the secret is the key of an hmac, no part of it"),
            _ if signs(&Part::Timestamp) != timed => Some(
                "{{timestamp}} is signed, and `fields` or `timestamp` says where it stands: both or neither",
            ),
            _ if self.tolerance_s.is_some() != timed => Some("a time that is signed needs a `tolerance`"),
            _ => None,
        }
    }
}

/// A duration such as `300s` or `5m`.
fn seconds<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u32>, D::Error> {
    let text = String::deserialize(input)?;
    let of = |unit: &str, seconds: u32| text.strip_suffix(unit)?.parse::<u32>().ok()?.checked_mul(seconds);
    let found = of("s", 1).or_else(|| of("m", 60)).filter(|seconds| (1..=86_400).contains(seconds));
    found
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("`{text}` is no duration, write for example 300s")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let wrong = [
            ("verify: hmac\nheader: x\nsigned: [\"{{time}}\", \"{{body}}\"]\n", "`signed` knows"),
            ("verify: hmac\nheader: x\nsigned: [\"{{method}}\"]\n", "must have {{body}}"),
            ("verify: hmac\nheader: x\nsigned: [\"{{body}}\", \"{{secret}}\"]\n", "no part of it"),
            ("verify: hash_concat\nheader: x\nsigned: [\"{{body}}\"]\n", "must have {{secret}}"),
            ("verify: hmac\nheader: x\nsigned: [\"{{body}}\"]\ntolerance: 5m\n", "needs a `tolerance`"),
            ("verify: hmac\nheader: x\nsigned: [\"{{timestamp}}\", \"{{body}}\"]\n", "both or neither"),
            ("verify: shared_secret\nheader: x\nsigned: [\"{{body}}\"]\n", "signs nothing"),
            ("verify: hmac\nheader: x\nsigned: [\"{{body}}\"]\ntolerance: soon\n", "300s"),
            ("verify: hmca\nheader: x\n", "hmca"),
        ];
        for (text, what) in wrong {
            let refused = Signature::parse("webhook.yaml", text).unwrap_err();
            assert!(refused.to_string().contains(what), "{text}: {refused}");
            assert_eq!(refused.code, "CFG-0206");
        }
        let time = "verify: hmac\nheader: x\nfields: {timestamp: t, signature: v}\n\
                    signed: [\"{{timestamp}}\", \"{{body}}\"]\ntolerance: 5m\n";
        assert_eq!(Signature::parse("webhook.yaml", time).unwrap().tolerance_s, Some(300));
    }
}
