//! Who is asking.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use tenancy::{Tenant, TenantSet};

use crate::problem::{Problem, codes};

/// The tenant whose key the request carries, as `Authorization: Bearer <key>` or `X-Api-Key: <key>`.
///
/// # Errors
/// [`codes::UNAUTHENTICATED`]; the same whether the key is absent or not known.
pub(super) fn tenant<'a>(tenants: &'a TenantSet, headers: &HeaderMap) -> Result<&'a Arc<Tenant>, Problem> {
    let key = bearer(headers).or_else(|| headers.get("x-api-key")?.to_str().ok());
    key.and_then(|key| tenants.by_api_key(key)).ok_or_else(|| {
        Problem::new(
            codes::UNAUTHENTICATED,
            "give the tenant's key as `Authorization: Bearer …` or `X-Api-Key: …`",
        )
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}
