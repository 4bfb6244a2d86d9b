//! From a request's JSON to a draft of an event: everything but the object itself, which is its contract's to check.

mod batch;
mod cloud;
mod content;
mod draft;
mod reader;

pub use batch::{Form, Incoming, MediaType};
pub use cloud::binary_event;
pub use draft::{Draft, is_traceparent, salvage};
pub use reader::Wrong;
