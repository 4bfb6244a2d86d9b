//! Breakages on purpose, to show that the tests would notice each of them. Only with the feature `mutants`, which no
//! program of ours enables; without it [`Core::is_broken`](crate::Core) is `false` and costs nothing.

/// One way in which the protocol could be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Requests leave without an Intent.
    NoIntent,
    /// A posting is marked as Committed before it is sent.
    MarkBeforeSend,
    /// An offset is stored as soon as its own record is settled, whatever stands before it.
    SuccessJumpsFailure,
    /// The offset stored is one too far.
    OffsetOneTooFar,
    /// Requests leave without a lease.
    NoLease,
    /// An Intent without an outcome is taken for a request that never left.
    AssumeNotSent,
    /// A range of records that an earlier owner may have sent is taken for one that it did not.
    ForgetRange,
    /// A key is trusted for ever.
    TrustKeyForEver,
    /// A look does not wait for the request's deadline.
    LookTooEarly,
    /// A version older than the one applied is sent.
    SendStale,
    /// A rejection is recorded without its dead letter.
    NoDeadLetter,
    /// What was left in the log is not read again.
    ForgetBacklog,
    /// More requests are in flight than the connection may take.
    NoLimit,
}

impl Mutant {
    /// Every mutant, with the invariants of which one must notice it.
    pub const ALL: [(Self, &'static [&'static str]); 13] = [
        (Self::NoIntent, &["INT-1"]),
        (Self::MarkBeforeSend, &["EFF-1", "EFF-2"]),
        (Self::SuccessJumpsFailure, &["OFF-1"]),
        (Self::OffsetOneTooFar, &["OFF-1"]),
        (Self::NoLease, &["OWN-1"]),
        (Self::AssumeNotSent, &["INT-1", "EFF-1", "EFF-2"]),
        (Self::ForgetRange, &["EFF-1"]),
        (Self::TrustKeyForEver, &["EFF-1"]),
        (Self::LookTooEarly, &["INT-1"]),
        (Self::SendStale, &["ORD-1"]),
        (Self::NoDeadLetter, &["DLQ-1"]),
        (Self::ForgetBacklog, &["LIV-1", "CON-1"]),
        (Self::NoLimit, &["BND-1"]),
    ];
}
