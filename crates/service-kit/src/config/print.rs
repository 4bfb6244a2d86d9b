//! Settings as text, without secrets.

use serde::Serialize;
use toml::Value;

const REDACTED: &str = "<redacted>";

/// The effective settings as TOML. Values of keys whose name says secret, token, password or key material are replaced,
/// unless they are references (`env:NAME`, `file:/path`), and so are credentials inside URLs.
///
/// # Errors
/// When the settings have no TOML form.
pub fn print_config(settings: &impl Serialize) -> Result<String, toml::ser::Error> {
    let mut value = Value::try_from(settings)?;
    redact(&mut value, false);
    toml::to_string_pretty(&value)
}

/// Whether one of the keys on the way to a value says that the value is a secret.
pub(super) fn is_secret(path: &[impl AsRef<str>]) -> bool {
    const WORDS: [&str; 8] =
        ["secret", "token", "password", "passwd", "credential", "api_key", "user.info", "jaas.config"];
    path.iter().any(|key| {
        let key = key.as_ref().to_ascii_lowercase();
        WORDS.iter().any(|word| key.contains(word)) || key.ends_with(".pem")
    })
}

fn redact(value: &mut Value, secret: bool) {
    match value {
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                redact(value, secret || is_secret(&[key]));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redact(value, secret)),
        Value::String(text) if secret && is_reference(text) => {}
        Value::String(text) if !secret => *text = without_user_info(text),
        other if secret => *other = Value::String(REDACTED.to_owned()),
        _ => {}
    }
}

fn is_reference(text: &str) -> bool {
    text.is_empty() || text.starts_with("env:") || text.starts_with("file:/")
}

/// `https://user:word@host/` becomes `https://<redacted>@host/`.
fn without_user_info(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://{REDACTED}{}", &rest[user.len()..]),
        None => text.to_owned(),
    }
}
