//! What the gateway would find wrong with an event that a webhook program makes, without a gateway.

use contract::Contracts;
use event::{RecordKey, TenantId};
use serde_json::Value;

use crate::{
    incoming::Draft,
    intake::contract_errors,
    problem::{FieldError, field_codes},
};

/// What is wrong with an event that comes of a webhook; nothing: it would be accepted.
pub fn faults(event: &Value) -> Vec<FieldError> {
    let draft = match Draft::read(event, Some("webhook")) {
        Ok(draft) => draft,
        Err(wrong) => return wrong,
    };
    let Ok(tenant) = "acme".parse::<TenantId>() else { return Vec::new() };
    let (kind, object) = (draft.event_type.object(), draft.object);
    let envelope = draft.envelope(&tenant, 0);
    if let Err(invalid) = Contracts::embedded().object(kind).encode(0, &envelope, object) {
        return contract_errors(invalid);
    }
    match RecordKey::new(tenant, kind, &envelope.entity) {
        Ok(_) => Vec::new(),
        Err(error) => vec![FieldError {
            index: 0,
            path: "data.id".to_owned(),
            code: field_codes::VALUE.to_owned(),
            message: error.to_string(),
        }],
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_door_would_refuse_is_found() {
        let good = json!({
            "type": "customer.created", "source": "shop", "source_version": 1, "id": "evt_1",
            "occurred_at": "2026-11-22T10:00:00Z", "data": {"id": "c-1", "name": "Ada"},
        });
        assert_eq!(faults(&good), []);
        let paths = |pointer: &str, value: Value| {
            let mut event = good.clone();
            *event.pointer_mut(pointer).unwrap() = value;
            faults(&event).into_iter().map(|fault| fault.path).collect::<Vec<_>>()
        };
        assert_eq!(paths("/type", json!("customer.changed")), ["type"]);
        assert_eq!(paths("/data/name", json!(7)), ["data.name"]);
        assert_eq!(paths("/data/id", json!("")), ["data.id"]);
        assert_eq!(paths("/occurred_at", json!("yesterday")), ["occurred_at"]);
    }
}
