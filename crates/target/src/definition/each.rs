//! A step that is made for each element of a list, such as the lines of an order.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{ItemAnswers, OnExisting, Request};

/// A step that is made for each element of a list of the payload.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// The field of the payload that has the list. The write and the change send the payload without it.
    pub list: String,
    /// How a look tells which of the elements are there.
    pub found: Elements,
    /// What to do with an element that is there and says something else, and with one that the payload does not have: `verify` (in
    /// doubt), `overwrite` (`change` writes over the one, `remove` removes the other) or `skip` (they stay as they are).
    #[serde(default = "verify")]
    pub on_existing: OnExisting,
    /// The most elements in one request, which names them `{{items}}`. 1: each has its own, which names it `{{each}}`.
    #[serde(default = "one")]
    pub at_once: u32,
    /// What each of them is in that list; absent means the element.
    pub item: Option<Value>,
    /// Where the answer to several says of each what became of it, in their order; absent: an answer that is ok is so for all.
    pub answers: Option<ItemAnswers>,
    /// How an element that is there is written over; `{{id}}` is its own id, `{{each}}` what it should be. Absent: by the request of the
    /// step, which is an upsert then.
    pub change: Option<OneElement>,
    /// How an element is removed that the payload does not have; `{{id}}` is its own id. It goes before others are written.
    pub remove: Option<OneElement>,
}

/// The elements of a document that stand at the target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Elements {
    /// The request that lists them; `{{id}}` is the document's own id. Absent: they stand in what the look for the document has found.
    pub request: Option<Request>,
    /// The status that says that they were listed.
    #[serde(default = "super::object::ok")]
    pub found: u16,
    /// The status that says that there are none.
    pub absent: Option<u16>,
    /// Where the list of them stands.
    pub items: String,
    /// Where the id of one stands, for `change` and `remove`.
    pub id: Option<String>,
    /// What tells which is which: path in the element of the payload → path in the one that stands there, which can say
    /// `{{conn.<value>}}`. One that has nothing there is somebody else's, and stays as it is.
    pub by: BTreeMap<String, String>,
    /// What must be the same: path in the element of the payload → path in the one that stands there. Empty: it is enough that it is there.
    #[serde(default)]
    pub compare: BTreeMap<String, String>,
    /// What stands in an answer that does not list all of them: nothing is made of such a one.
    pub more: Option<String>,
}

/// A request for one element that is there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneElement {
    /// The request.
    pub request: Request,
    /// The statuses that say that it is done.
    pub ok: Vec<u16>,
}

fn verify() -> OnExisting {
    OnExisting::Verify
}

fn one() -> u32 {
    1
}
