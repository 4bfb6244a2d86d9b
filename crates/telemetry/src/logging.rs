//! The process-wide log subscriber.

use std::{env, io};

use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One readable line per event.
    #[default]
    Text,
    /// One JSON object per line, for log pipelines.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter is not of the form `level,target=level,…`.
    #[error("the log filter `{filter}` is not valid")]
    Filter {
        /// The filter that was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// A subscriber is already in place.
    #[error("logging is already set up in this process")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends log lines to standard error, filtered by `RUST_LOG` where it is set, otherwise by `filter`
/// (for example `info,rdkafka=warn`).
///
/// # Errors
/// When the filter cannot be parsed, or when logging was set up before in this process.
pub fn init(format: Format, filter: &str) -> Result<(), InitError> {
    let filter = match env::var("RUST_LOG") {
        Ok(text) if !text.is_empty() => text,
        _ => filter.to_owned(),
    };
    let directives = EnvFilter::try_new(&filter).map_err(|source| InitError::Filter { filter, source })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(directives).with(lines).try_init().map_err(InitError::Twice)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_filter_is_named() {
        // RUST_LOG, where the developer has set it, would win over the argument.
        if env::var_os("RUST_LOG").is_none() {
            let error = init(Format::Text, "info,=,=").unwrap_err();
            assert!(error.to_string().contains("`info,=,=`"), "{error}");
        }
    }
}
