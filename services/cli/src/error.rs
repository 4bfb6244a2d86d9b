//! What can go wrong in a command itself, and how every error gets its code.

use std::{io, path::PathBuf, time::Duration};

use event::EventId;

/// Why a command could not do its work; [`CommandError::code`] names its page in docs/errors.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The folder of the tenants, or a tenant's file in it, cannot be read.
    #[error("cannot read {}", path.display())]
    Tenants {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A tenant's file does not say who it is.
    #[error("{} does not describe a tenant", path.display())]
    Tenant {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A tenant's file says another name than its folder.
    #[error("{} describes tenant `{found}`, its folder says `{folder}`", path.display())]
    TenantName {
        /// The file.
        path: PathBuf,
        /// The tenant in it.
        found: String,
        /// The folder's name.
        folder: String,
    },
    /// A pause is about something that the configuration does not have.
    #[error("there is no {what} `{name}`; there are: {have}")]
    Unknown {
        /// Tenant, connection or route.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The names that there are.
        have: String,
    },
    /// The API key is no reference, or the reference leads nowhere.
    #[error("the API key cannot be had from `{reference}`: {reason}")]
    Key {
        /// The reference; not shown where it may be the key itself.
        reference: String,
        /// Why not.
        reason: String,
    },
    /// The file of events cannot be read.
    #[error("cannot read {file}")]
    Input {
        /// The file.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written, or is there already.
    #[error("cannot write {}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The gateway's address is no HTTP URL.
    #[error("`{0}` is not the URL of a gateway")]
    Url(String),
    /// The cluster has changed since the plan was read.
    #[error(
        "the plan is stale: {given} was given, the plan is now {now}; read it again with `counterfoil topics plan`"
    )]
    StalePlan {
        /// The hash that was given.
        given: String,
        /// The hash of the plan now.
        now: String,
    },
    /// The tenants' configuration has problems, which were printed.
    #[error("{} has {problems} problem{}; nothing was compared or written", dir.display(), if *problems == 1 { "" } else { "s" })]
    NotValid {
        /// The folder.
        dir: PathBuf,
        /// How many.
        problems: usize,
    },
    /// What `--plan` names is neither a hash nor a plan's file.
    #[error("`{file}` is no hash of a plan, and cannot be read as the file of one")]
    PlanFile {
        /// What was given.
        file: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The gateway did not take a batch in time.
    #[error(
        "gave up at {place} after {after:?} without progress ({last}); send the file again later: what was accepted is not doubled"
    )]
    GaveUp {
        /// The file and line of the first event that was not accepted.
        place: String,
        /// How long it was tried.
        after: Duration,
        /// The last answer.
        last: String,
    },
    /// The gateway refuses whatever this sender sends.
    #[error("the gateway refuses at {place}: {detail}")]
    Refused {
        /// The file and line of the first event of the request.
        place: String,
        /// The gateway's code.
        code: String,
        /// The gateway's words.
        detail: String,
    },
    /// No such event is in doubt.
    #[error("event {0} is not in doubt: it never was, it was decided, or its outcome events are gone")]
    NotInDoubt(EventId),
    /// The event is in doubt more than once.
    #[error("event {event} is in doubt on several routes: {routes}; say which with --route")]
    SeveralInDoubt {
        /// The event.
        event: EventId,
        /// The routes.
        routes: String,
    },
    /// What the event said is not to be had any more.
    #[error("the record of event {event} is no longer in {topic}; its retention is over")]
    RecordGone {
        /// The event.
        event: EventId,
        /// The topic.
        topic: String,
    },
    /// The topic does not exist.
    #[error("the cluster has no topic {topic}")]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// What answered is no gateway, or one that does not keep to its interface.
    #[error("the answer at {place} is not a gateway's: {what}")]
    Answer {
        /// The file and line of the first event of the request.
        place: String,
        /// What was seen.
        what: String,
    },
}

impl CommandError {
    /// The stable code, docs/errors/`<code>`.md.
    pub fn code(&self) -> &str {
        match self {
            Self::Tenants { .. } => "CFG-0301",
            Self::Tenant { .. } | Self::TenantName { .. } => "CFG-0302",
            Self::Key { .. } => "CFG-0303",
            Self::Input { .. } => "CFG-0304",
            Self::Url(_) => "CFG-0305",
            Self::Output { .. } => "CFG-0308",
            Self::Unknown { .. } => "CFG-0309",
            Self::NotValid { .. } => "CFG-0134",
            Self::PlanFile { .. } => "CFG-0138",
            Self::StalePlan { .. } => "TOP-0006",
            Self::GaveUp { .. } => "GTW-0050",
            Self::Refused { code, .. } => code,
            Self::Answer { .. } => "GTW-0051",
            Self::NotInDoubt(_) | Self::SeveralInDoubt { .. } => "CFG-0306",
            Self::RecordGone { .. } | Self::NoTopic { .. } => "CFG-0307",
        }
    }
}

/// Puts an error under its code, so that the one line on the terminal begins with it.
pub fn coded<E>(code: &str, error: E) -> anyhow::Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    anyhow::Error::new(error).context(code.to_owned())
}

/// Errors that know their code.
macro_rules! coded_by_code {
    ($($name:ident: $error:ty;)*) => {
        $(
            #[doc = concat!("[`coded`] for [`", stringify!($error), "`].")]
            pub fn $name(error: $error) -> anyhow::Error {
                let code = error.code().to_owned();
                coded(&code, error)
            }
        )*
    };
}

coded_by_code! {
    command: CommandError;
    config: service_kit::config::ConfigError;
    topics: topics::TopicsError;
    admin: kafka::AdminError;
    refusal: ::control::Refusal;
    apply: ::control::ApplyError;
    registry: contract::RegistryError;
    history: contract::history::HistoryError;
    gateway: gateway::StartError;
    sink: sink::StartError;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    /// The codes of this crate, where they stand in its source.
    const SOURCES: [&str; 2] = [include_str!("error.rs"), include_str!("commands/send/report.rs")];

    #[test]
    fn every_code_has_its_page() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        let is_code = |word: &&str| {
            let (family, number) = word.split_once('-').unwrap_or_default();
            ["CFG", "TOP", "GTW"].contains(&family) && number.len() == 4 && number.parse::<u16>().is_ok()
        };
        let words =
            SOURCES.into_iter().flat_map(|text| text.split(|c: char| c != '-' && !c.is_ascii_alphanumeric()));
        let codes: std::collections::BTreeSet<&str> = words.filter(is_code).collect();
        assert!(codes.len() > 10, "{codes:?}");
        for code in codes {
            let page = std::fs::read_to_string(docs.join(format!("{code}.md"))).unwrap();
            assert!(page.starts_with(&format!("# {code}: ")), "{code}.md");
        }
    }
}
