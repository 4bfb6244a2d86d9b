//! How a vendor signs its webhooks: `connectors/<system>/webhook.yaml`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::Diagnostic;

/// The most parts of what is signed.
const MAX_PARTS: usize = 16;
/// The longest name, prefix, and text that is signed, in characters.
const MAX_TEXT: usize = 128;

/// How a vendor's webhooks are verified, and answered: `connectors/<system>/webhook.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    title = "Webhooks of a connector",
    extend("oneOf" = [{"required": ["header"]}, {"required": ["query"]}])
)]
pub struct Signature {
    /// What kind of proof it is.
    pub verify: Verify,
    /// How the proof is written: hex unless given; a shared secret stands as it is unless given.
    pub encoding: Option<Encoding>,
    /// The header that holds it.
    #[schemars(pattern("^[A-Za-z0-9-]{1,128}$"))]
    pub header: Option<String>,
    /// The parameter of the webhook's address that holds it, where it stands in no header.
    #[schemars(length(min = 1, max = 128))]
    pub query: Option<String>,
    /// What stands before the proof, such as `Basic ` or `sha256=`; letter case aside.
    #[schemars(length(min = 1, max = 128))]
    pub prefix: Option<String>,
    /// Where the header is a list `name=value,…`: the names. Absent: all of it is the proof.
    pub fields: Option<Fields>,
    /// Where the time stands, if in a header of its own.
    pub timestamp: Option<TimestampHeader>,
    /// What is signed, in order: `{{body}}`, `{{timestamp}}`, `{{method}}`, `{{url}}`, `{{secret}}`, and any other text as it is.
    #[serde(default)]
    #[schemars(with = "Vec<String>", length(max = 16))]
    pub signed: Vec<Part>,
    /// How far the time may be from ours, such as `300s` or `5m`. Absent: no time is signed, and an old webhook is as good as a new one.
    #[serde(default, rename = "tolerance", deserialize_with = "seconds")]
    #[schemars(with = "Option<String>", pattern("^[0-9]+[sm]$"))]
    pub tolerance_s: Option<u32>,
    /// What the sender is answered.
    #[serde(default)]
    pub answer: Answer,
}

/// Kinds of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// HMAC-SHA256 of the parts, its key the secret.
    Hmac,
    /// SHA-256 of the parts, the secret one of them. Weaker than an HMAC: for systems that know no other way.
    HashConcat,
    /// The secret itself. It says who sent the webhook, and nothing about what was sent.
    SharedSecret,
}

/// How a proof is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
    /// As it is; of shared secrets only.
    Plain,
}

/// What a sender is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// 202 with what was accepted, 200 where nothing came of it, and a problem document for a refusal.
    #[default]
    Json,
    /// 200, or the status of the refusal, with nothing in it: for senders that count anything else as a failure.
    Empty,
}

/// Names in the header's list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// Of the time.
    pub timestamp: Option<String>,
    /// Of the proof; it may stand several times while a secret is rotated.
    pub signature: String,
}

/// A time in a header of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampHeader {
    /// The header.
    #[schemars(pattern("^[A-Za-z0-9-]{1,128}$"))]
    pub header: String,
    /// Its unit.
    #[serde(default)]
    pub unit: Unit,
}

/// Units of time since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
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
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let read: Self =
            serde_saphyr::from_str(text).map_err(|error| Diagnostic::definition_form(file, &error))?;
        match read.misfit() {
            None => Ok(read),
            Some((field, what)) => Err(Diagnostic::definition(file, text, field, what)),
        }
    }

    /// The JSON Schema of `webhook.yaml`, for editors; connectors/webhook.schema.json.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }

    /// How the proof is written.
    pub fn encoding(&self) -> Encoding {
        self.encoding.unwrap_or(match self.verify {
            Verify::SharedSecret => Encoding::Plain,
            Verify::Hmac | Verify::HashConcat => Encoding::Hex,
        })
    }

    /// Whether it signs where the webhook was sent.
    pub fn names_url(&self) -> bool {
        self.signed.contains(&Part::Url)
    }

    /// What does not fit together: the field, and why.
    fn misfit(&self) -> Option<(&'static str, &'static str)> {
        self.misplaced().or_else(|| self.missigned())
    }

    /// What does not fit of where the proof and the time stand.
    fn misplaced(&self) -> Option<(&'static str, &'static str)> {
        let names = [&self.header, &self.timestamp.as_ref().map(|time| time.header.clone())];
        let no_header =
            |name: &str| name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let texts = [&self.header, &self.query, &self.prefix].into_iter().flatten();
        let listed = |part: &Part| matches!(part, Part::Text(text) if text.len() > MAX_TEXT);
        if self.header.is_some() == self.query.is_some() {
            Some(("verify", "the proof stands either in a `header` or in the `query`: one of them"))
        } else if names.into_iter().flatten().any(|name| no_header(name)) {
            Some(("header", "a header's name has letters, digits and `-`"))
        } else if self.query.is_some() && self.fields.is_some() {
            Some(("fields", "`fields` are those of a `header`"))
        } else if self.prefix.is_some() && self.fields.is_some() {
            Some(("prefix", "a proof among `fields` has no `prefix`"))
        } else if texts.clone().any(|text| text.is_empty() || text.len() > MAX_TEXT) {
            Some(("verify", "`header`, `query` and `prefix` have 1 to 128 characters"))
        } else if self.signed.len() > MAX_PARTS || self.signed.iter().any(listed) {
            Some(("signed", "`signed` has at most 16 parts, each of at most 128 characters"))
        } else {
            None
        }
    }

    /// What does not fit of what is signed.
    fn missigned(&self) -> Option<(&'static str, &'static str)> {
        let in_fields = self.fields.as_ref().is_some_and(|fields| fields.timestamp.is_some());
        let timed = in_fields || self.timestamp.is_some();
        let signs = |part: &Part| self.signed.contains(part);
        let unknown = |part: &Part| matches!(part, Part::Text(text) if text.contains("{{"));
        let shared = self.verify == Verify::SharedSecret;
        match self.verify {
            _ if self.signed.iter().any(unknown) => Some((
                "signed",
                "`signed` knows {{body}}, {{timestamp}}, {{method}}, {{url}} and {{secret}}, each a part of its own",
            )),
            _ if in_fields && self.timestamp.is_some() => {
                Some(("timestamp", "the time stands either in `fields` or in `timestamp`"))
            }
            _ if self.encoding == Some(Encoding::Plain) && !shared => {
                Some(("encoding", "a digest is written in hex or base64"))
            }
            Verify::SharedSecret => (!self.signed.is_empty() || timed || self.fields.is_some())
                .then_some(("verify", "a shared secret signs nothing: no `signed`, `fields` or `timestamp`")),
            _ if !signs(&Part::Body) => {
                Some(("signed", "`signed` must have {{body}}: else anybody may change it"))
            }
            Verify::HashConcat if !signs(&Part::Secret) => Some(("signed", "`signed` must have {{secret}}")),
            Verify::Hmac if signs(&Part::Secret) => {
                Some(("signed", "the secret is the key of an hmac, no part of it"))
            }
            _ if signs(&Part::Timestamp) != timed => Some((
                "signed",
                "{{timestamp}} is signed, and `fields` or `timestamp` says where it stands: both or neither",
            )),
            _ if self.tolerance_s.is_some() != timed => {
                Some(("tolerance", "a time that is signed needs a `tolerance`, and no other has one"))
            }
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
            ("verify: hmca\nheader: x\n", "did you mean `hmac`?"),
            ("verify: hmac\nheeder: x\nsigned: [\"{{body}}\"]\n", "did you mean `header`?"),
            ("verify: shared_secret\n", "one of them"),
            ("verify: shared_secret\nheader: x\nquery: y\n", "one of them"),
            ("verify: shared_secret\nheader: x y\n", "a header's name"),
            (
                "verify: hmac\nquery: x\nfields: {signature: v}\nsigned: [\"{{body}}\"]\n",
                "those of a `header`",
            ),
            ("verify: hmac\nheader: x\nencoding: plain\nsigned: [\"{{body}}\"]\n", "hex or base64"),
            ("verify: hmac\nheader: x\nprefix: \"\"\nsigned: [\"{{body}}\"]\n", "1 to 128"),
            ("verify: shared_secret\nheader: x\nanswer: nothing\n", "nothing"),
        ];
        for (text, what) in wrong {
            let refused = Signature::parse("webhook.yaml", text).unwrap_err();
            assert!(refused.to_string().contains(what), "{text}: {refused}");
            assert_eq!(refused.code, "CFG-0206");
        }
        let time = "verify: hmac\nheader: x\nfields: {timestamp: t, signature: v}\n\
                    signed: [\"{{timestamp}}\", \"{{body}}\"]\ntolerance: 5m\n";
        assert_eq!(Signature::parse("webhook.yaml", time).unwrap().tolerance_s, Some(300));
        let many = format!("verify: hmac\nheader: x\nsigned: [{}]\n", "\"{{body}}\", ".repeat(17));
        let refused = Signature::parse("webhook.yaml", &many).unwrap_err();
        assert!(refused.to_string().contains("at most 16 parts"), "{refused}");
    }

    #[test]
    fn what_is_wrong_comes_with_its_line() {
        let place = |text: &str| {
            let refused = Signature::parse("webhook.yaml", text).unwrap_err();
            (refused.line, refused.column)
        };
        assert_eq!(place("# how\nverify: hmac\nheader: x\nsigned: [\"{{method}}\"]\n"), (4, 1));
        assert_eq!(place("# how\nverify: hmac\nheeder: x\n").0, 3);
        assert_eq!(place("# how\nheader: x\nverify: hmca\n").0, 3);
    }

    #[test]
    fn a_proof_is_written_as_its_kind_has_it() {
        let read = |text: &str| Signature::parse("webhook.yaml", text).unwrap();
        assert_eq!(read("verify: shared_secret\nquery: code\n").encoding(), Encoding::Plain);
        assert_eq!(read("verify: hmac\nheader: x\nsigned: [\"{{body}}\"]\n").encoding(), Encoding::Hex);
        let basic = "verify: shared_secret\nheader: Authorization\nprefix: \"Basic \"\nencoding: base64\n";
        assert_eq!((read(basic).encoding(), read(basic).answer), (Encoding::Base64, Answer::Json));
    }
}
