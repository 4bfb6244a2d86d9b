//! The mark of an event that was let in soon after its tenant had changed: the sink must know as much before it takes the event in.

/// The header that says under which revision of its tenant an event was let in.
pub const REVISION_HEADER: &str = "cf-tenant-revision";

/// The header's value.
pub fn revision_stamp(revision: u64) -> [u8; 8] {
    revision.to_be_bytes()
}

/// The revision that a header's value names; none if it is no such value.
pub fn revision_in(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stamped_is_read() {
        assert_eq!(revision_in(&revision_stamp(7)), Some(7));
        assert_eq!((revision_in(b"7"), revision_in(&[])), (None, None));
    }
}
