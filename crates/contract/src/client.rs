//! A client of any registry that speaks the Confluent API.

use std::{fmt, time::Duration};

use reqwest::{Client, StatusCode, Url, header::CONTENT_TYPE};
use schema_registry_converter::{
    async_impl::schema_registry::{
        SrSettings, get_referenced_schema, get_schema_by_id, perform_sr_call, post_schema,
    },
    error::SRCError,
    schema_registry_common::{
        RawError, RegisteredReference, RegisteredSchema, SchemaType, SrCall, SuppliedSchema,
    },
};
use serde::Deserialize;
use serde_json::json;

use crate::{Compatibility, UnusableSchema, WriterSchema};

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// How long one call may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A schema may refer to this many others, directly and indirectly.
const MAX_REFERENCES: usize = 64;

/// A schema registry. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct RegistryClient {
    settings: SrSettings,
    http: Client,
    base: Url,
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("RegistryClient").field("host", &self.base.host_str()).finish_non_exhaustive()
    }
}

/// Why a call to the registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry answers, and has no schema of this id. Permanent.
    #[error("the registry has no schema {0}")]
    NotFound(u32),
    /// The registry cannot be reached, or its answer is not one of a registry. To be retried.
    #[error("the registry is not available: {message}")]
    Unavailable {
        /// What was seen.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<SRCError>,
    },
    /// The schema must not follow the versions that the subject has.
    #[error("the registry refuses the schema for {subject} as incompatible: {message}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// The registry's words.
        message: String,
    },
    /// The registry refuses the request itself.
    #[error("the registry refuses the request for {subject}: {message}")]
    Refused {
        /// The subject.
        subject: String,
        /// The registry's words.
        message: String,
    },
    /// The schema is registered, but this build cannot read by it. Permanent for this build.
    #[error("schema {id} cannot be used")]
    Unusable {
        /// Its id.
        id: u32,
        /// Why.
        #[source]
        source: UnusableSchema,
    },
    /// The registry's address is no HTTP URL.
    #[error("`{0}` is not the URL of a registry")]
    Url(String),
}

impl RegistryError {
    /// The stable code; see docs/errors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "REG-0001",
            Self::Unavailable { .. } => "REG-0002",
            Self::Incompatible { .. } => "REG-0003",
            Self::Refused { .. } => "REG-0004",
            Self::Unusable { .. } => "REG-0005",
            Self::Url(_) => "REG-0006",
        }
    }

    /// Whether the same call may succeed later. Such an event waits; it never goes to the dead-letter queue.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), source: None }
    }
}

/// What a registry thinks of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It could be registered.
    Compatible,
    /// It could not; the registry's reasons.
    Incompatible(Vec<String>),
    /// The subject has no versions yet.
    NoSubject,
}

impl RegistryClient {
    /// A client of the registry at `url`, such as `http://127.0.0.1:8081` or `…/apis/ccompat/v7`.
    ///
    /// # Errors
    /// [`RegistryError::Url`] if it is no HTTP URL.
    pub fn new(url: &str) -> Result<Self, RegistryError> {
        let bad = || RegistryError::Url(url.to_owned());
        let base = Url::parse(url.trim_end_matches('/')).map_err(|_| bad())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(bad());
        }
        let mut settings = SrSettings::new_builder(base.as_str().trim_end_matches('/').to_owned());
        let mut http = Client::builder().timeout(TIMEOUT);
        if is_loopback(&base) {
            settings.no_proxy();
            http = http.no_proxy();
        }
        let settings = settings.set_timeout(TIMEOUT).build().map_err(|_| bad())?;
        Ok(Self { settings, http: http.build().map_err(|_| bad())?, base })
    }

    /// Registers a schema under a subject, or finds it there, and gives its id.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`], [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn register(&self, subject: &str, json: &str) -> Result<u32, RegistryError> {
        let schema = SuppliedSchema::new(None, SchemaType::Avro, json.to_owned());
        let registered = post_schema(&self.settings, subject.to_owned(), schema).await;
        registered.map(|r| r.id).map_err(|e| refusal(subject, e))
    }

    /// The id under which exactly this schema is registered under the subject.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn latest_id(&self, subject: &str, json: &str) -> Result<Option<u32>, RegistryError> {
        let body = json!({"schema": json, "schemaType": "AVRO"}).to_string();
        match perform_sr_call(&self.settings, SrCall::PostForVersion(subject, &body)).await {
            Ok(found) => Ok(found.id),
            Err(error) if matches!(api_code(&error), Some(40401..=40403)) => Ok(None),
            Err(error) => Err(refusal(subject, error)),
        }
    }

    /// Whether the schema could follow the versions of the subject at the subject's level.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn check(&self, subject: &str, json: &str) -> Result<Checked, RegistryError> {
        #[derive(Deserialize)]
        struct Answer {
            is_compatible: bool,
            #[serde(default)]
            messages: Vec<String>,
        }
        match perform_sr_call(&self.settings, SrCall::GetLatest(subject)).await {
            Ok(_) => {}
            Err(error) if matches!(api_code(&error), Some(40401 | 40402)) => return Ok(Checked::NoSubject),
            Err(error) => return Err(refusal(subject, error)),
        }
        // Without a version: against as many versions as the subject's level asks for.
        let mut url = self.url(&["compatibility", "subjects", subject, "versions"]);
        url.set_query(Some("verbose=true"));
        let body = json!({"schema": json, "schemaType": "AVRO"}).to_string();
        let answer: Answer = self.call(subject, self.http.post(url).body(body)).await?;
        Ok(if answer.is_compatible { Checked::Compatible } else { Checked::Incompatible(answer.messages) })
    }

    /// Sets the level at which the registry checks new versions of the subject.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] or [`RegistryError::Unavailable`].
    pub async fn set_compatibility(&self, subject: &str, level: Compatibility) -> Result<(), RegistryError> {
        let body = json!({"compatibility": level.name()}).to_string();
        let request = self.http.put(self.url(&["config", subject])).body(body);
        let _: serde_json::Value = self.call(subject, request).await?;
        Ok(())
    }

    /// The schema of an id, made ready to read by. Asks the registry each time; see [`crate::Decoder`] for a cache.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] and [`RegistryError::Unusable`] are permanent, [`RegistryError::Unavailable`] is not.
    pub async fn writer_schema(&self, id: u32) -> Result<WriterSchema, RegistryError> {
        let registered =
            get_schema_by_id(id, &self.settings).await.map_err(|error| match api_code(&error) {
                Some(40403) => RegistryError::NotFound(id),
                _ => unavailable(error),
            })?;
        let references = self.references(&registered).await?;
        WriterSchema::new(id, &registered.schema, &references)
            .map_err(|source| RegistryError::Unusable { id, source })
    }

    /// The texts of all schemas that `schema` refers to, directly or not.
    async fn references(&self, schema: &RegisteredSchema) -> Result<Vec<String>, RegistryError> {
        let mut waiting: Vec<RegisteredReference> = schema.references.clone();
        let mut seen = std::collections::BTreeMap::new();
        while let Some(reference) = waiting.pop() {
            let key = (reference.subject.clone(), reference.version);
            if seen.contains_key(&key) || seen.len() >= MAX_REFERENCES {
                continue;
            }
            let found = get_referenced_schema(&self.settings, &reference).await.map_err(unavailable)?;
            waiting.extend(found.references);
            seen.insert(key, found.schema);
        }
        Ok(seen.into_values().collect())
    }

    /// Whether the registry answers.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    pub async fn ping(&self) -> Result<(), RegistryError> {
        let _: Vec<String> = self.call("", self.http.get(self.url(&["subjects"]))).await?;
        Ok(())
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// For what schema_registry_converter has no call.
    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        subject: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<T, RegistryError> {
        let failed = |e: reqwest::Error| {
            unavailable(SRCError::retryable_with_cause(e.without_url(), "the call failed"))
        };
        let response = request.header(CONTENT_TYPE, MEDIA_TYPE).send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(failed);
        }
        let message = match response.json::<RawError>().await {
            Ok(error) => error.message,
            Err(_) => {
                return Err(RegistryError::unavailable(format!("it answered {status} without an API error")));
            }
        };
        if status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED)
        {
            return Err(RegistryError::unavailable(format!("it answered {status}: {message}")));
        }
        Err(RegistryError::Refused { subject: subject.to_owned(), message })
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|a| a.is_loopback())
    })
}

/// The registry's own error code, if the registry itself spoke. A proxy's 404 has none.
fn api_code(error: &SRCError) -> Option<u32> {
    let raw = std::error::Error::source(error)?.downcast_ref::<RawError>()?;
    (raw.error_code != 0).then_some(raw.error_code)
}

fn api_message(error: &SRCError) -> String {
    let raw = std::error::Error::source(error).and_then(|s| s.downcast_ref::<RawError>());
    raw.map_or_else(|| error.error.clone(), |r| r.message.clone())
}

/// Whatever is not a clear statement about the schema itself may be better later.
fn unavailable(error: SRCError) -> RegistryError {
    RegistryError::Unavailable { message: error.error.clone(), source: Some(error) }
}

fn refusal(subject: &str, error: SRCError) -> RegistryError {
    let (subject, message) = (subject.to_owned(), api_message(&error));
    match api_code(&error) {
        Some(409 | 40901) => RegistryError::Incompatible { subject, message },
        Some(400 | 422 | 42201..=42299) => RegistryError::Refused { subject, message },
        _ => unavailable(error),
    }
}
