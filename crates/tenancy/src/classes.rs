//! What a connection says of the class of its target: of all of it, or of single objects.

use std::collections::BTreeMap;

use crate::{
    fields::Fields,
    node::Value,
    policy::TargetClass,
    problem::{Position, code},
};

/// What a connection says of the class of its target, in the place of what its connector says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Of everything.
    pub all: Option<TargetClass>,
    /// Of an object, `customer`, or of an operation, `invoice.void`; with where the file says so.
    pub each: BTreeMap<String, (TargetClass, Position)>,
}

impl Classes {
    /// What is said of `<object>` or `<object>.<operation>`.
    pub fn of(&self, name: &str) -> Option<TargetClass> {
        let object = name.split('.').next().unwrap_or(name);
        let said = self.each.get(name).or_else(|| self.each.get(object));
        said.map(|(class, _)| *class).or(self.all)
    }
}

/// Reads `class`: a word, or a map from objects to words.
pub(crate) fn read(fields: &Fields<'_>) -> Option<Classes> {
    let Some(node) = fields.get("class") else { return Some(Classes::default()) };
    let Value::Map(entries) = &node.value else {
        return Some(Classes { all: fields.choice("class")?, each: BTreeMap::new() });
    };
    if entries.is_empty() {
        fields.report.add(code::BAD_VALUE, node.at, "`class` is empty");
        return None;
    }
    // Read each of them before giving up, so that each wrong one is reported.
    let read: Vec<_> = entries
        .iter()
        .map(|(name, at, node)| Some((name.clone(), (fields.choice_in("class", node)?, *at))))
        .collect();
    let each: Option<BTreeMap<_, _>> = read.into_iter().collect();
    Some(Classes { all: None, each: each? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_counts() {
        let of = |name: &str, class| (name.to_owned(), (class, Position::default()));
        let each = [of("invoice", TargetClass::Keyed), of("invoice.void", TargetClass::Neither)];
        let classes = Classes { all: Some(TargetClass::Upsert), each: each.into() };
        assert_eq!(classes.of("invoice"), Some(TargetClass::Keyed));
        assert_eq!(classes.of("invoice.void"), Some(TargetClass::Neither));
        assert_eq!(classes.of("invoice.send"), Some(TargetClass::Keyed));
        assert_eq!(classes.of("customer"), Some(TargetClass::Upsert));
        assert_eq!(Classes::default().of("customer"), None);
    }
}
