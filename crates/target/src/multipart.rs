//! Requests in the body of a request, and answers in the body of its answer: `multipart/mixed` (RFC 2046) with parts of
//! `application/http`, as OData's `$batch` has them. What is read here may come from anybody: everything has a limit, and what is not
//! whole is an error, since a reader that takes what it finds would take a broken answer for a short one.

mod read;
mod write;

pub(crate) use self::{
    read::{Entity, Part, Response, entities, is_multipart, lacks_type, responses},
    write::{Grouping, message, write},
};

#[cfg(test)]
mod tests;
