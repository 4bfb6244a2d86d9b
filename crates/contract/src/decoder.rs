//! Schemas by id, fetched once.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{RegistryClient, RegistryError, WriterSchema};

/// More ids than this are not kept; a registry of ours has a few dozen.
const MAX_CACHED: usize = 4096;

/// Finds the schema of a record. Only success is cached: a registry that is down for a moment, or an id that a
/// replica of it has not seen yet, must not turn good records into poison.
#[derive(Debug)]
pub struct Decoder {
    client: RegistryClient,
    schemas: RwLock<HashMap<u32, Arc<WriterSchema>>>,
}

impl Decoder {
    /// A decoder with an empty cache.
    pub fn new(client: RegistryClient) -> Self {
        Self { client, schemas: RwLock::default() }
    }

    /// The registry behind it.
    pub fn client(&self) -> &RegistryClient {
        &self.client
    }

    /// The schema of an id, if it was fetched before. Never blocks on the network.
    pub fn cached(&self, id: u32) -> Option<Arc<WriterSchema>> {
        self.schemas.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The schema of an id, from the cache or the registry.
    ///
    /// # Errors
    /// [`RegistryError`]; see [`RegistryError::is_retryable`].
    pub async fn fetch(&self, id: u32) -> Result<Arc<WriterSchema>, RegistryError> {
        if let Some(schema) = self.cached(id) {
            return Ok(schema);
        }
        let schema = Arc::new(self.client.writer_schema(id).await?);
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        if schemas.len() >= MAX_CACHED {
            schemas.clear();
        }
        schemas.insert(id, Arc::clone(&schema));
        Ok(schema)
    }
}
