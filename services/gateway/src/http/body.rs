//! A request's body, whole, within its limits.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::problem::{Problem, codes};

/// Reads the body.
///
/// # Errors
/// [`codes::BODY_TOO_LARGE`] beyond `limit` bytes, [`codes::BODY_INCOMPLETE`] after `deadline` or a broken connection.
pub(super) async fn read(body: Body, limit: usize, deadline: Duration) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(codes::BODY_TOO_LARGE, format!("a body may have at most {limit} bytes"));
    // Said before the first byte is read, where the client announces the length.
    if http_body::Body::size_hint(&body).lower() > limit as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(deadline, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(codes::BODY_INCOMPLETE, "the connection broke")),
        Err(_) => {
            Err(Problem::new(codes::BODY_INCOMPLETE, format!("the body must arrive within {deadline:?}")))
        }
    }
}
