//! The tenants while they change: what is told of them becomes a new plan, on a thread of its own, since files are read and programs
//! compiled for it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use ahash::AHashSet;
use event::TenantId;
use kafka::{RangeReader, ReadError, Settings};
use tenancy::{
    Environment, InForce, Live, Tenant, Watch,
    revision::{Digests, Files},
};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};

use crate::{
    bound::{self, Others},
    engine::passed_over,
    message::{Message, Planned},
    plan::{Compiled, Compiler, Plan, PlanError, Standing},
    restore::chain,
};

/// How often the secrets behind references are read again, and what could not be carried out is tried again.
const LOOK: Duration = Duration::from_secs(5);
/// How long the topic must be quiet before a plan is made of what came.
const QUIET: Duration = Duration::from_millis(50);
/// How long one waits for that at most.
const SOON: Duration = Duration::from_millis(500);
/// The wait before brokers are asked again.
const RETRY: Duration = Duration::from_millis(500);

/// What the planner is told.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A record of the control topic, about a tenant.
    Record(control::Record),
    /// An event came of a tenant that is not known: the topic is to be read to its end before anybody says that there is none.
    CatchUp(u64),
}

/// Where the tenants come from.
enum Origin {
    /// A folder, read at the start.
    Folder { name: String, folders: BTreeMap<String, Files> },
    /// The control topic, read up to an offset.
    Control { live: Live, next: i64 },
}

/// Makes plans.
pub(crate) struct Planner {
    compiler: Compiler,
    origin: Origin,
    kafka: Settings,
    region: String,
    plan: Arc<Plan>,
    watch: Watch,
    /// What could not be carried out as it is configured, and why.
    troubles: BTreeMap<TenantId, String>,
    others: Others,
    /// Whether the folder's secrets could not be read again, which was said.
    failing: bool,
    /// Tenants whose dead-letter topics are there.
    lettered: AHashSet<TenantId>,
}

impl Planner {
    /// A planner for the tenants of a folder, with its plan.
    ///
    /// # Errors
    /// The first route that cannot be carried out.
    pub(crate) fn of_folder(
        mut compiler: Compiler,
        built: InForce,
        (name, folders): (String, BTreeMap<String, Files>),
        (kafka, region): (Settings, String),
    ) -> Result<Self, PlanError> {
        let plan = Arc::new(compiler.plan(&built.set)?);
        let origin = Origin::Folder { name, folders };
        Ok(Self::new(compiler, origin, (kafka, region), plan, built.watch))
    }

    /// A planner for what the control topic says. Its plan is empty until [`Planner::begin`].
    pub(crate) fn of_control(compiler: Compiler, kafka: (Settings, String)) -> Self {
        let origin = Origin::Control { live: Live::default(), next: 0 };
        Self::new(compiler, origin, kafka, Arc::default(), Watch::default())
    }

    /// What the control topic says before offset `next`. Nothing for a folder.
    pub(crate) fn know(&mut self, tenants: Live, next: i64) {
        if let Origin::Control { live, next: known } = &mut self.origin {
            live.renew(tenants);
            *known = next;
        }
    }

    /// Makes the first plan of it; a folder has its plan. Blocking.
    ///
    /// # Errors
    /// Where the brokers do not answer.
    pub(crate) fn begin(&mut self) -> Result<(), ReadError> {
        if self.is_live() { self.make(false) } else { Ok(()) }
    }

    /// Whether tenants come and go.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.origin, Origin::Control { .. })
    }

    fn new(
        compiler: Compiler,
        origin: Origin,
        (kafka, region): (Settings, String),
        plan: Arc<Plan>,
        watch: Watch,
    ) -> Self {
        let (troubles, others, lettered) = (BTreeMap::new(), Others::default(), AHashSet::new());
        Self { compiler, origin, kafka, region, plan, watch, troubles, others, failing: false, lettered }
    }

    /// The plan as it was made last.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How many tenants' configurations cannot be carried out as they are.
    pub(crate) fn troubled(&self) -> usize {
        self.troubles.len()
    }

    /// How many tenants are delivered with other connectors than they were applied with.
    pub(crate) fn others(&self) -> usize {
        self.others.len()
    }

    /// Makes a plan whenever something has changed, until nobody can tell or listen any more. Blocking.
    pub(crate) fn run(mut self, asks: &Receiver<Ask>, report: &UnboundedSender<Message>) {
        loop {
            let caught = match asks.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if !self.is_due() => continue,
                Err(RecvTimeoutError::Timeout) => None,
                Ok(first) => self.take(first, asks),
            };
            let (before, counts) = (Arc::clone(&self.plan), (self.troubles.len(), self.others.len()));
            while let Err(error) = self.make(caught.is_some()) {
                warn!(error = chain(&error), "the configuration cannot be brought up to date, trying again");
                std::thread::sleep(RETRY);
                if report.is_closed() {
                    return;
                }
            }
            let same = self.plan.is_same(&before) && (self.troubles.len(), self.others.len()) == counts;
            if (caught.is_some() || !same) && report.send(Message::Planned(self.planned(caught))).is_err() {
                return;
            }
        }
    }

    fn planned(&self, caught: Option<u64>) -> Planned {
        Planned {
            plan: Arc::clone(&self.plan),
            caught,
            troubled: self.troubles.len(),
            others: self.others.len(),
        }
    }

    /// Takes in what came together. Returns the newest catch-up that was asked for.
    fn take(&mut self, first: Ask, asks: &Receiver<Ask>) -> Option<u64> {
        let (end, mut caught) = (Instant::now() + SOON, None);
        let mut next = Some(first);
        while let Some(ask) = next {
            match ask {
                Ask::CatchUp(number) => caught = Some(number),
                Ask::Record(record) => self.record(&record),
            }
            // Whoever waits for a catch-up holds a partition.
            let patience = if caught.is_some() { Duration::ZERO } else { QUIET };
            next = asks.recv_timeout(patience).ok().filter(|_| Instant::now() < end || caught.is_some());
        }
        caught
    }

    fn record(&mut self, record: &control::Record) {
        let Origin::Control { live, next } = &mut self.origin else { return };
        // Older ones are known from a catch-up.
        if record.offset < *next {
            return;
        }
        *next = record.offset + 1;
        if let Some(Err(error)) = live.take(&record.key, record.value.as_deref()) {
            warn!(code = "SNK-0040", error = chain(&error), "a record of the control topic is passed over");
        }
    }

    fn is_due(&self) -> bool {
        !self.troubles.is_empty() || !self.others.is_empty() || self.watch.has_changed(&Environment)
    }

    /// Makes the plan of what is known now, or of all that the topic says by now.
    fn make(&mut self, catch_up: bool) -> Result<(), ReadError> {
        if catch_up && let Origin::Control { live, next } = &mut self.origin {
            let topic = Arc::from(topics::names::control(&self.region));
            let (state, end) = control::read(&self.kafka, &topic, |error| passed_over(&error))?;
            live.renew(state.tenants);
            *next = end;
        }
        // A connector may have come, or its files changed, since the last time.
        self.compiler.look_again();
        let applied = match &self.origin {
            Origin::Control { live, .. } => bound::applied(live),
            Origin::Folder { .. } => BTreeMap::new(),
        };
        let (plan, ready) = ((*self.plan).clone(), Vec::new());
        let drafts = Drafts { compiler: &mut self.compiler, applied: &applied, plan, ready };
        let drafts = RefCell::new(drafts);
        let fits = |tenant: &Arc<Tenant>| drafts.borrow_mut().compile(tenant);
        let built = match &mut self.origin {
            Origin::Control { live, .. } => live.build(&Environment, &fits),
            Origin::Folder { name, folders } => match of_folder(name, folders, &fits) {
                Ok(built) => built,
                Err(why) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        warn!(
                            code = "SNK-0043",
                            why, "secrets cannot be read again, the former ones stay in force"
                        );
                    }
                    return Ok(());
                }
            },
        };
        self.failing = false;
        let Drafts { mut plan, ready, .. } = drafts.into_inner();
        if let Origin::Control { live, .. } = &self.origin {
            plan.knows_of(live.current().iter().map(|(tenant, state)| (tenant.clone(), state.revision)));
        }
        self.put(&mut plan, ready, &built);
        let mut troubles = built.troubles;
        self.letters(&mut plan, &built.removed, &mut troubles)?;
        plan.breaks(troubles.keys().filter(|t| built.set.tenant(t).is_none()).cloned().collect());
        if self.watch_again(built.watch) {
            info!("a secret was rotated");
        }
        self.complain(troubles);
        self.others.compare(&plan, &applied);
        self.plan = Arc::new(plan);
        Ok(())
    }

    fn put(&self, plan: &mut Plan, ready: Vec<(Arc<Tenant>, Compiled)>, built: &InForce) {
        let standing = |tenant: &TenantId| {
            if built.removed.contains(tenant) {
                Standing::Removed
            } else if built.held.contains(tenant) {
                Standing::Held
            } else {
                Standing::Open
            }
        };
        plan.keep(|tenant| built.set.tenant(tenant).is_some_and(|tenant| self.compiler.serves(tenant)));
        for (tenant, compiled) in ready {
            // Of several tries the one that is in force.
            if built.set.tenant(&tenant.id).is_some_and(|now| Arc::ptr_eq(now, &tenant)) {
                plan.put(&tenant.id, standing(&tenant.id), compiled);
            }
        }
        for tenant in built.set.iter() {
            plan.stand(&tenant.id, standing(&tenant.id));
        }
    }

    /// Without its topic a tenant's first refusal could not be kept, and would stop everybody's events: so its events wait.
    fn letters(
        &mut self,
        plan: &mut Plan,
        removed: &std::collections::BTreeSet<TenantId>,
        troubles: &mut BTreeMap<TenantId, String>,
    ) -> Result<(), ReadError> {
        if matches!(self.origin, Origin::Folder { .. }) {
            return Ok(()); // all of them were there at the start
        }
        let new: Vec<TenantId> = plan.tenants().filter(|t| !self.lettered.contains(*t)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let known = RangeReader::new(&self.kafka)?.topics()?;
        for tenant in new {
            let topic = topics::names::dlq(&self.region, Some(&tenant));
            if known.contains_key(&topic) {
                self.lettered.insert(tenant);
            } else {
                plan.stand(&tenant, Standing::Unlettered);
                if !removed.contains(&tenant) {
                    troubles.insert(tenant, format!("its dead-letter topic `{topic}` does not exist"));
                }
            }
        }
        Ok(())
    }

    /// Whether it was for a secret that the plan was made anew.
    fn watch_again(&mut self, watch: Watch) -> bool {
        let rotated = self.watch.has_changed(&Environment);
        self.watch = watch;
        rotated
    }

    fn complain(&mut self, troubles: BTreeMap<TenantId, String>) {
        for (tenant, why) in &troubles {
            if self.troubles.get(tenant) != Some(why) {
                warn!(code = "SNK-0043", %tenant, why, "a tenant's configuration cannot be carried out here");
            }
        }
        for tenant in self.troubles.keys().filter(|tenant| !troubles.contains_key(*tenant)) {
            info!(%tenant, "the tenant's configuration is in force");
        }
        self.troubles = troubles;
    }
}

/// What is compiled while the tenants are put together.
struct Drafts<'a> {
    compiler: &'a mut Compiler,
    /// The connectors that tenants were applied with.
    applied: &'a BTreeMap<TenantId, Digests>,
    plan: Plan,
    ready: Vec<(Arc<Tenant>, Compiled)>,
}

impl Drafts<'_> {
    /// Whether a tenant can be carried out; the reason if not. One that has not changed can.
    /// What is applied counts: a connector whose files have only been changed is not taken up.
    fn compile(&mut self, tenant: &Arc<Tenant>) -> Result<(), String> {
        let as_it_was = self.plan.has(&tenant.id, &tenant.print) && !self.has_applied_now(tenant);
        if !self.compiler.serves(tenant) || as_it_was {
            return Ok(());
        }
        let compiled = self.compiler.tenant(&mut self.plan, tenant).map_err(|error| chain(&error))?;
        self.ready.push((Arc::clone(tenant), compiled));
        Ok(())
    }
}

impl Drafts<'_> {
    /// Whether a tenant that is delivered with other connectors than it was applied with could be with those: their files are here
    /// by now.
    fn has_applied_now(&mut self, tenant: &Tenant) -> bool {
        let Some(applied) = self.applied.get(&tenant.id) else { return false };
        self.plan.connectors_of(&tenant.id) != Some(applied)
            && self.compiler.digests(tenant).as_ref() == Some(applied)
    }
}

/// The tenants of a folder with its secrets as they are now.
fn of_folder(
    name: &str,
    folders: &BTreeMap<String, Files>,
    fits: &dyn Fn(&Arc<Tenant>) -> Result<(), String>,
) -> Result<InForce, String> {
    let built = InForce::of_folder(name, folders, &Environment).map_err(|error| error.to_string())?;
    for tenant in built.set.iter() {
        fits(tenant)?;
    }
    Ok(built)
}
