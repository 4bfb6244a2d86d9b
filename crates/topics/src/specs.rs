//! The set of all topic specifications, and the topics that it asks for.

use std::{collections::BTreeMap, fs, path::Path};

use event::{ObjectKind, TenantId};

use crate::{PlacementKind, Spec, TopicsError, names};

/// The specifications that the binary carries.
const EMBEDDED: [(&str, &str); 18] = [
    ("contact.yaml", include_str!("../../../topics/contact.yaml")),
    ("contract.yaml", include_str!("../../../topics/contract.yaml")),
    ("control.yaml", include_str!("../../../topics/control.yaml")),
    ("customer.yaml", include_str!("../../../topics/customer.yaml")),
    ("dlq.yaml", include_str!("../../../topics/dlq.yaml")),
    ("inventory_level.yaml", include_str!("../../../topics/inventory_level.yaml")),
    ("invoice.yaml", include_str!("../../../topics/invoice.yaml")),
    ("item_receipt.yaml", include_str!("../../../topics/item_receipt.yaml")),
    ("ledger.yaml", include_str!("../../../topics/ledger.yaml")),
    ("opportunity.yaml", include_str!("../../../topics/opportunity.yaml")),
    ("order.yaml", include_str!("../../../topics/order.yaml")),
    ("outcome.yaml", include_str!("../../../topics/outcome.yaml")),
    ("payment.yaml", include_str!("../../../topics/payment.yaml")),
    ("price.yaml", include_str!("../../../topics/price.yaml")),
    ("product.yaml", include_str!("../../../topics/product.yaml")),
    ("purchase_order.yaml", include_str!("../../../topics/purchase_order.yaml")),
    ("subscription.yaml", include_str!("../../../topics/subscription.yaml")),
    ("supplier.yaml", include_str!("../../../topics/supplier.yaml")),
];

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// The topic's name.
    pub name: String,
    /// Partitions.
    pub partitions: i32,
    /// Replicas of each partition.
    pub replication: i32,
    /// Topic configuration, by Kafka's names.
    pub configs: BTreeMap<String, String>,
}

/// All topic specifications: one for each canonical object, and those of dead letters, outcomes, commands and ledgers.
#[derive(Clone, Debug)]
pub struct Specs {
    objects: BTreeMap<ObjectKind, Spec>,
    dlq: Spec,
    outcome: Spec,
    control: Spec,
    ledger: Spec,
}

impl Specs {
    /// The specifications that the binary carries.
    ///
    /// # Errors
    /// As [`Specs::load`]; a test holds that the shipped ones are good.
    pub fn embedded() -> Result<Self, TopicsError> {
        Self::collect(EMBEDDED.into_iter().map(|(file, text)| (file.to_owned(), text.to_owned())))
    }

    /// The specifications of the `*.yaml` files in `dir`. A file that is absent there is taken from the binary.
    ///
    /// # Errors
    /// Where a file cannot be read, is not a specification, or breaks a rule; where two specify the same topic.
    pub fn load(dir: &Path) -> Result<Self, TopicsError> {
        let read = |path: &Path| {
            let path = path.to_owned();
            move |source| TopicsError::Read { path, source }
        };
        let mut files: BTreeMap<String, String> =
            EMBEDDED.into_iter().map(|(file, text)| (file.to_owned(), text.to_owned())).collect();
        for entry in fs::read_dir(dir).map_err(read(dir))? {
            let path = entry.map_err(read(dir))?.path();
            if path.extension().is_some_and(|e| e == "yaml") {
                let text = fs::read_to_string(&path).map_err(read(&path))?;
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.insert(name, text);
            }
        }
        Self::collect(files)
    }

    /// The same specifications for a cluster of fewer brokers: `replication` replicas, and one of them may be away.
    ///
    /// An explicit choice of whoever runs a small cluster: fewer replicas mean that losing a disk can lose records.
    #[must_use]
    pub fn with_replication(mut self, replication: i32) -> Self {
        let replication = replication.max(1);
        let others = [&mut self.dlq, &mut self.outcome, &mut self.control, &mut self.ledger];
        for spec in self.objects.values_mut().chain(others) {
            spec.replication = replication;
            spec.min_insync_replicas = spec.min_insync_replicas.min((replication - 1).max(1));
        }
        self
    }

    /// The specification of an object's topic.
    pub fn object(&self, object: ObjectKind) -> Option<&Spec> {
        self.objects.get(&object)
    }

    /// Every specification, objects first.
    pub fn iter(&self) -> impl Iterator<Item = &Spec> {
        self.objects.values().chain([&self.dlq, &self.outcome, &self.control, &self.ledger])
    }

    /// All topics of `region`: each object's with its ledger, outcomes, commands, and the dead letters of `tenants` and of the
    /// unknown tenant; by name.
    ///
    /// # Errors
    /// Where the region or a tenant cannot stand in a topic name.
    pub fn all_for(&self, region: &str, tenants: &[TenantId]) -> Result<Vec<TopicPlan>, TopicsError> {
        names::check_region(region)?;
        tenants.iter().try_for_each(names::check_tenant)?;
        let mut topics = Vec::with_capacity(2 * self.objects.len() + tenants.len() + 3);
        for (object, spec) in &self.objects {
            let input = TopicPlan::new(spec, names::object_topic(region, *object), 1);
            topics.push(TopicPlan::new(&self.ledger, names::ledger(&input.name), input.partitions));
            topics.push(input);
        }
        topics.push(TopicPlan::new(&self.outcome, names::outcome(region), 1));
        topics.push(TopicPlan::new(&self.control, names::control(region), 1));
        topics.push(TopicPlan::new(&self.dlq, names::dlq(region, None), 1));
        topics.extend(tenants.iter().map(|t| TopicPlan::new(&self.dlq, names::dlq(region, Some(t)), 1)));
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics.dedup();
        Ok(topics)
    }

    fn collect(files: impl IntoIterator<Item = (String, String)>) -> Result<Self, TopicsError> {
        let mut by_topic: BTreeMap<String, (String, Spec)> = BTreeMap::new();
        for (file, text) in files {
            let spec = Spec::parse(&file, &text)?;
            if let Some((first, spec)) = by_topic.insert(spec.topic.clone(), (file.clone(), spec)) {
                return Err(TopicsError::Duplicate { topic: spec.topic, first, second: file });
            }
        }
        let mut objects = BTreeMap::new();
        let (mut dlq, mut outcome, mut control, mut ledger) = (None, None, None, None);
        for (_, spec) in by_topic.into_values() {
            match (spec.object, spec.placement) {
                (Some(object), _) => drop(objects.insert(object, spec)),
                (None, PlacementKind::PerTenant) => dlq = Some(spec),
                (None, PlacementKind::PerInput) => ledger = Some(spec),
                (None, PlacementKind::Pooled) if spec.topic == names::control("{region}") => {
                    control = Some(spec)
                }
                (None, PlacementKind::Pooled) => outcome = Some(spec),
            }
        }
        if let Some(object) = ObjectKind::ALL.into_iter().find(|o| !objects.contains_key(o)) {
            return Err(TopicsError::MissingObject(object));
        }
        Ok(Self {
            objects,
            dlq: dlq.ok_or(TopicsError::MissingTemplate("dlq.yaml"))?,
            outcome: outcome.ok_or(TopicsError::MissingTemplate("outcome.yaml"))?,
            control: control.ok_or(TopicsError::MissingTemplate("control.yaml"))?,
            ledger: ledger.ok_or(TopicsError::MissingTemplate("ledger.yaml"))?,
        })
    }
}

impl TopicPlan {
    /// `inherited` partitions where the specification leaves the count to the input topic.
    fn new(spec: &Spec, name: String, inherited: i32) -> Self {
        Self {
            name,
            partitions: spec.partitions.unwrap_or(inherited),
            replication: spec.replication,
            configs: spec.configs(),
        }
    }
}
