//! The contracts that are built into the program, see schemas/.

use std::sync::OnceLock;

use apache_avro::Schema;
use event::{Envelope, ObjectKind};
use serde_json::Value;

use crate::{
    Invalid, bundle,
    encode::encode,
    envelope,
    invalid::{Path, Problems, code},
    parse::{self, ParsedSchema},
    shape::{self, Shape},
    wire,
};

/// The types that the others share.
const COMMON: [&str; 8] = [
    include_str!("../../../schemas/common/Envelope.avsc"),
    include_str!("../../../schemas/common/Money.avsc"),
    include_str!("../../../schemas/common/Quantity.avsc"),
    include_str!("../../../schemas/common/Address.avsc"),
    include_str!("../../../schemas/common/Tax.avsc"),
    include_str!("../../../schemas/common/Discount.avsc"),
    include_str!("../../../schemas/common/PaymentMethod.avsc"),
    include_str!("../../../schemas/common/BankAccount.avsc"),
];
const OUTCOME: &str = include_str!("../../../schemas/outcome.v1.avsc");

const fn source(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Customer => include_str!("../../../schemas/customer.v1.avsc"),
        ObjectKind::Contact => include_str!("../../../schemas/contact.v1.avsc"),
        ObjectKind::Supplier => include_str!("../../../schemas/supplier.v1.avsc"),
        ObjectKind::Product => include_str!("../../../schemas/product.v1.avsc"),
        ObjectKind::Price => include_str!("../../../schemas/price.v1.avsc"),
        ObjectKind::Opportunity => include_str!("../../../schemas/opportunity.v1.avsc"),
        ObjectKind::Order => include_str!("../../../schemas/order.v1.avsc"),
        ObjectKind::Subscription => include_str!("../../../schemas/subscription.v1.avsc"),
        ObjectKind::Contract => include_str!("../../../schemas/contract.v1.avsc"),
        ObjectKind::Invoice => include_str!("../../../schemas/invoice.v1.avsc"),
        ObjectKind::Payment => include_str!("../../../schemas/payment.v1.avsc"),
        ObjectKind::PurchaseOrder => include_str!("../../../schemas/purchase_order.v1.avsc"),
        ObjectKind::ItemReceipt => include_str!("../../../schemas/item_receipt.v1.avsc"),
        ObjectKind::InventoryLevel => include_str!("../../../schemas/inventory_level.v1.avsc"),
    }
}

/// All contracts of this build.
#[derive(Debug)]
pub struct Contracts {
    objects: Vec<ObjectContract>,
    outcome: OutcomeContract,
}

/// The contract of one canonical object's events.
pub struct ObjectContract {
    /// The object.
    pub kind: ObjectKind,
    /// The Avro schema, self-contained, as it is registered.
    pub json: String,
    pub(crate) schema: ParsedSchema,
    data: Shape,
}

/// The contract of outcome events.
pub struct OutcomeContract {
    /// The Avro schema, self-contained, as it is registered.
    pub json: String,
    pub(crate) schema: ParsedSchema,
}

impl ObjectContract {
    pub(crate) const fn shape(&self) -> &Shape {
        &self.data
    }
}

impl std::fmt::Debug for ObjectContract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectContract").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutcomeContract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutcomeContract").finish_non_exhaustive()
    }
}

impl Contracts {
    /// The contracts of this build.
    #[expect(
        clippy::expect_used,
        reason = "the texts are part of the program; each test of this crate compiles them"
    )]
    pub fn embedded() -> &'static Self {
        static CONTRACTS: OnceLock<Contracts> = OnceLock::new();
        CONTRACTS.get_or_init(|| Self::compile().expect("the embedded schemas are valid"))
    }

    fn compile() -> Result<Self, Box<dyn std::error::Error>> {
        let objects = ObjectKind::ALL.into_iter().map(ObjectContract::compile).collect::<Result<_, _>>()?;
        let json = bundle::bundle(OUTCOME, &COMMON)?;
        let schema = parse::parse(&json, &[])?;
        Ok(Self { objects, outcome: OutcomeContract { json, schema } })
    }

    /// The contract of an object's events.
    pub fn object(&self, kind: ObjectKind) -> &ObjectContract {
        &self.objects[kind as usize]
    }

    /// The contract of outcome events.
    pub fn outcome(&self) -> &OutcomeContract {
        &self.outcome
    }

    /// Every subject of a region with the schema to register under it.
    pub fn subjects(&self, region: &str) -> impl Iterator<Item = (String, &str)> {
        let region = region.to_owned();
        let outcome = (outcome_subject(&region), self.outcome.json.as_str());
        let objects = self.objects.iter().map(move |o| (object_subject(&region, o.kind), o.json.as_str()));
        objects.chain(std::iter::once(outcome))
    }

    /// The current schema of each line of history, by the name of its folder, such as `invoice.v1`.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (String, &str)> {
        let objects = self.objects.iter().map(|o| (format!("{}.v1", o.kind), o.json.as_str()));
        objects.chain(std::iter::once(("outcome.v1".to_owned(), self.outcome.json.as_str())))
    }
}

/// The subject of an object's events: its topic's name and `-value`, see docs/naming.md.
pub fn object_subject(region: &str, kind: ObjectKind) -> String {
    format!("cf.{region}.{}.{}.v1-value", kind.domain(), kind.name().replace('_', "-"))
}

/// The subject of outcome events.
pub fn outcome_subject(region: &str) -> String {
    format!("cf.{region}.platform.outcome.v1-value")
}

impl ObjectContract {
    fn compile(kind: ObjectKind) -> Result<Self, Box<dyn std::error::Error>> {
        let json = bundle::bundle(source(kind), &COMMON)?;
        let schema = parse::parse(&json, &[])?;
        let names = schema.names()?;
        let data = match &schema.root {
            Schema::Record(record) => record.fields.iter().find(|f| f.name == "data").map(|f| &f.schema),
            _ => None,
        };
        let data = data.ok_or_else(|| format!("{kind}: there is no record with a field `data`"))?;
        let data = shape::compile(data, &names, &Path::root("data"))?;
        Ok(Self { kind, json, data, schema })
    }

    /// Checks an event against the contract and gives its record value in the Confluent wire format.
    ///
    /// # Errors
    /// [`Invalid`] with every problem of envelope and data, up to a limit.
    pub fn encode(&self, schema_id: u32, envelope: &Envelope, data: &Value) -> Result<Vec<u8>, Invalid> {
        let mut out = wire::header(schema_id, 640);
        let mut problems = Problems::default();
        envelope::check(envelope, &mut problems);
        envelope::put(&mut out, envelope);
        let root = Path::root("data");
        encode(&self.data, data, &root, &mut out, &mut problems);
        self.check_agreement(envelope, data, &mut problems);
        problems.into_result().map(|()| out)
    }

    /// Envelope and data must speak of the same thing.
    fn check_agreement(&self, envelope: &Envelope, data: &Value, problems: &mut Problems) {
        if envelope.event_type.object() != self.kind {
            let message = || format!("`{}` is not an event of {}", envelope.event_type, self.kind);
            problems.add(&Path::root("type"), code::CONTRADICTION, message);
        }
        match data.get("id").and_then(Value::as_str) {
            Some(id) if id != envelope.entity => {
                let message = || "differs from the entity of the envelope".to_owned();
                problems.add(&Path::root("data").field("id"), code::CONTRADICTION, message);
            }
            _ => {}
        }
    }
}
