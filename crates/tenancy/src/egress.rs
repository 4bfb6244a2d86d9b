//! Where a connection may lead besides public addresses.

use ipnet::IpNet;

use crate::{
    fields::Fields,
    node::{Node, Value},
    problem::{Report, code},
};

/// The most networks of one connection.
const MAX_NETWORKS: usize = 64;

/// Where a connection may lead besides public addresses. By default nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// To loopback and private networks.
    pub allow_private: bool,
    /// To these networks, link-local ones included.
    pub allow: Vec<IpNet>,
}

/// Reads `egress`.
pub(crate) fn read(report: Report<'_>, fields: &Fields<'_>) -> Option<Egress> {
    let Some(node) = fields.get("egress") else { return Some(Egress::default()) };
    let fields = Fields::open(report, node, &["allow_private", "allow"])?;
    let allow_private = fields.flag("allow_private");
    let allow = match fields.get("allow") {
        Some(_) => networks(&fields),
        None => Some(Vec::new()),
    };
    Some(Egress { allow_private: allow_private?, allow: allow? })
}

fn networks(fields: &Fields<'_>) -> Option<Vec<IpNet>> {
    let items = fields.list("allow")?;
    if items.len() > MAX_NETWORKS {
        let message = format!("`allow` may hold at most {MAX_NETWORKS} networks, not {}", items.len());
        fields.report.add(code::BAD_VALUE, fields.at, message);
        return None;
    }
    let read: Vec<Option<IpNet>> = items.iter().map(|node| network(fields, node)).collect();
    read.into_iter().collect()
}

fn network(fields: &Fields<'_>, node: &Node) -> Option<IpNet> {
    let (text, at) = fields.as_text("allow", node)?;
    let parsed = text.parse::<IpNet>().ok();
    if parsed.is_none() {
        let message = format!("`{text}` is not a network");
        let hint = "write an address and a length, for example 10.20.0.0/16".to_owned();
        fields.report.add_with(code::BAD_VALUE, at, message, Some(hint));
    }
    parsed
}

impl Fields<'_> {
    /// Yes or no; no if absent.
    fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name).map(|node| (&node.value, node.at)) {
            None => Some(false),
            Some((Value::Bool(flag), _)) => Some(*flag),
            Some((other, at)) => {
                let message = format!("`{name}` must be true or false, found {}", other.kind());
                self.report.add(code::WRONG_TYPE, at, message);
                None
            }
        }
    }
}
