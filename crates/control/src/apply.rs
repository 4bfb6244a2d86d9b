//! Writing tenants' configuration to the topic: one at a time, all or nothing (docs/adr/0021).

use std::{collections::BTreeMap, error::Error, sync::Arc};

use event::TenantId;
use kafka::{ReadError, Settings, SoleError, SoleWriter};
use tenancy::Revision;

use crate::{Desired, Order, Plan, Refusal, State, read::read};

/// A cause, of whatever kind.
type Cause = Box<dyn Error + Send + Sync>;

/// What was done.
#[derive(Debug)]
pub struct Applied {
    /// What was written; empty where there was nothing to do.
    pub written: Vec<Revision>,
    /// What the topic says now, read again afterwards.
    pub state: State,
}

/// Why it was not done, or is not known.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It must not be done. Nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Somebody else applied at the same moment, and came later. Nothing was written.
    #[error(
        "nothing was written: another `counterfoil tenants apply` in this region came in between; read the plan again"
    )]
    Raced(#[source] Cause),
    /// The topic has a record that this build cannot read, so it cannot tell what it would change. Nothing was written.
    #[error("the applied configuration of tenant `{tenant}` cannot be read by this build: {why}")]
    Unreadable {
        /// Whose.
        tenant: TenantId,
        /// Why not.
        why: String,
    },
    /// The topic cannot be read. Nothing was written.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The brokers did not take it.
    #[error("nothing was written")]
    NotWritten {
        /// The code of the cause.
        code: &'static str,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The brokers did not say what became of it, and cannot be asked.
    #[error(
        "it is not known whether the plan was applied, all of it or nothing: run `counterfoil tenants plan` again"
    )]
    Unknown(#[source] Cause),
    /// The brokers took it, and it could not be looked at.
    #[error("the plan was applied, but could not be read back: look with `counterfoil tenants list`")]
    NotReadBack(#[source] Cause),
}

impl ApplyError {
    /// The stable code, docs/errors/`<code>`.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Raced(_) => "CFG-0132",
            Self::Unknown(_) | Self::NotReadBack(_) => "CFG-0135",
            Self::Unreadable { .. } => "CFG-0137",
            Self::Read(_) => "TOP-0101",
            Self::NotWritten { code, .. } => code,
        }
    }
}

/// Reads what is in force. Unlike [`read`](crate::read()) it does not pass over a tenant's record that this build cannot read: whoever
/// plans must not overwrite what they cannot see. Blocking.
///
/// # Errors
/// Where the topic cannot be read, or such a record is on it.
pub fn read_whole(settings: &Settings, topic: &Arc<str>) -> Result<State, ApplyError> {
    let (state, _) = read(settings, topic, |_| ())?;
    match state.tenants.unreadable().iter().next() {
        None => Ok(state),
        Some((tenant, why)) => Err(ApplyError::Unreadable { tenant: tenant.clone(), why: why.clone() }),
    }
}

/// Carries an order out on the control topic of `region`. Blocking.
///
/// Whoever began before and has not written yet is shut out; then the topic is read, so that the plan is compared with what is really
/// the last state; then all records are written, or none.
///
/// # Errors
/// See [`ApplyError`].
pub fn apply(
    settings: &Settings,
    region: &str,
    topic: &Arc<str>,
    desired: &Desired,
    order: &Order,
) -> Result<Applied, ApplyError> {
    let name = writer_name(region);
    let writer = SoleWriter::claim(settings, &name).map_err(definite)?;
    let state = read_whole(settings, topic)?;
    let plan = Plan::new(&state, desired);
    if plan.is_empty() {
        return Ok(Applied { written: Vec::new(), state });
    }
    let (written, values): (Vec<Revision>, Vec<Vec<u8>>) = order.records(&plan)?.into_iter().unzip();
    let records: Vec<_> = written.iter().map(Revision::key).zip(values).collect();
    if let Err(error) = writer.write(topic, 0, &records) {
        let claim = || SoleWriter::claim(settings, &name).map(drop);
        settle(error, &written, claim, || read_whole(settings, topic))?;
    }
    let state = read_whole(settings, topic).map_err(|error| ApplyError::NotReadBack(error.into()))?;
    Ok(Applied { written, state })
}

/// The name under which one applies in a region at a time. The brokers remember it: do not change.
fn writer_name(region: &str) -> String {
    format!("counterfoil-apply-{region}")
}

/// What an error of the writer means; it is none if the records are there all the same.
fn settle(
    error: SoleError,
    written: &[Revision],
    claim: impl FnOnce() -> Result<(), SoleError>,
    read: impl FnOnce() -> Result<State, ApplyError>,
) -> Result<(), ApplyError> {
    let SoleError::Unknown { decided, .. } = error else { return Err(definite(error)) };
    // A claim of our own ends what was left undecided. Whoever it shuts out by that is told so.
    let ended = if decided { Ok(()) } else { claim().map_err(definite) };
    let Ok(state) = ended.and_then(|()| read()) else { return Err(ApplyError::Unknown(error.into())) };
    match landed(state.tenants.current(), written) {
        Some(true) => Ok(()),
        Some(false) if decided => Err(ApplyError::Raced(error.into())),
        Some(false) => Err(ApplyError::NotWritten { code: "TOP-0101", source: error.into() }),
        None => Err(ApplyError::Unknown(error.into())),
    }
}

/// An error after which it is known that nothing was written.
fn definite(error: SoleError) -> ApplyError {
    match error {
        SoleError::Settings(source) => ApplyError::NotWritten { code: source.code(), source: source.into() },
        SoleError::NotWritten(source) => {
            ApplyError::NotWritten { code: source.code(), source: source.into() }
        }
        fenced @ SoleError::Fenced(_) => ApplyError::Raced(fenced.into()),
        unknown @ SoleError::Unknown { .. } => ApplyError::Unknown(unknown.into()),
    }
}

/// Whether the topic has what one transaction was to write: all of it, nothing, or none where later revisions hide it.
fn landed(current: &BTreeMap<TenantId, Arc<Revision>>, written: &[Revision]) -> Option<bool> {
    written.iter().find_map(|written| match current.get(&written.tenant) {
        None => Some(false),
        Some(current) if **current == *written => Some(true),
        Some(current) if current.revision <= written.revision => Some(false),
        Some(_) => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tenancy::revision::Files;

    use super::*;

    fn revision(tenant: &str, number: u64, operator: &str) -> Revision {
        let id: TenantId = tenant.parse().unwrap();
        let first = Revision::after(None, id.clone(), Files::new(), operator.into(), 7);
        (1..number).fold(first, |before, _| {
            Revision::after(Some(&before), id.clone(), Files::new(), operator.into(), 7)
        })
    }

    /// What is said of a commit without an answer, if a claim ends so and the topic then has these.
    fn settled(decided: bool, claim: bool, there: &[Revision]) -> Result<(), ApplyError> {
        let unknown = |decided| SoleError::Unknown { decided, source: "no answer".into() };
        let claim = move || if claim { Ok(()) } else { Err(unknown(false)) };
        let read = || {
            let mut state = State::default();
            for revision in there {
                state.take(&revision.key(), Some(&revision.value().unwrap())).unwrap();
            }
            Ok(state)
        };
        settle(unknown(decided), &[revision("acme", 2, "ann")], claim, read)
    }

    #[test]
    fn a_commit_without_an_answer_is_settled_by_looking() {
        let (before, ours) = (revision("acme", 1, "ann"), revision("acme", 2, "ann"));
        let (theirs, later) = (revision("acme", 2, "bob"), revision("acme", 3, "bob"));
        assert!(settled(false, true, std::slice::from_ref(&ours)).is_ok());
        assert!(settled(true, false, &[ours]).is_ok(), "what is decided needs no claim");
        for (decided, claim, there, code) in [
            (true, true, theirs, "CFG-0132"),
            (false, true, before.clone(), "TOP-0101"),
            (false, false, before, "CFG-0135"),
            (true, true, later, "CFG-0135"),
        ] {
            let error = settled(decided, claim, &[there]).unwrap_err();
            assert_eq!(error.code(), code, "{error:?}");
        }
    }

    #[test]
    fn what_became_of_a_transaction_is_seen_unless_it_is_hidden() {
        let current = |revisions: &[Revision]| -> BTreeMap<TenantId, Arc<Revision>> {
            revisions.iter().map(|r| (r.tenant.clone(), Arc::new(r.clone()))).collect()
        };
        let ours = [revision("acme", 2, "ann"), revision("globex", 1, "ann")];
        let before = revision("acme", 1, "ann");
        let theirs = revision("acme", 2, "bob");
        let later = revision("acme", 3, "bob");
        for (there, landed) in [
            (current(&ours), Some(true)),
            (current(std::slice::from_ref(&before)), Some(false)),
            (current(&[]), Some(false)),
            (current(&[theirs]), Some(false)),
            (current(&[later.clone(), ours[1].clone()]), Some(true)),
            (current(std::slice::from_ref(&later)), Some(false)),
            (current(&[later, revision("globex", 2, "bob")]), None),
        ] {
            assert_eq!(super::landed(&there, &ours), landed, "{there:?}");
        }
    }
}
