//! The programs that make events of records: `connectors/<connector>/changes/<object>.vrl`, or the webhook's, `webhook.vrl`.

use std::{
    io::{self, Read as _},
    path::Path,
};

use mapping::{Program, connectors};

use crate::SourceError;

/// The largest program, in bytes.
const MAX: u64 = 256 * 1024;

/// The program of an object: of the folder `dir` if it has one, else of the binary.
pub(crate) fn load(dir: Option<&Path>, connector: &str, object: &str) -> Result<Program, SourceError> {
    compile(dir, &format!("{connector}/changes/{object}.vrl"))
}

/// The program of the connector's webhooks.
pub(crate) fn webhook(dir: Option<&Path>, connector: &str) -> Result<Program, SourceError> {
    compile(dir, &format!("{connector}/webhook.vrl"))
}

fn compile(dir: Option<&Path>, file: &str) -> Result<Program, SourceError> {
    let (name, text) = match in_folder(dir, file)? {
        Some(found) => found,
        None => embedded(file)?,
    };
    Program::compile(&name, &text).map_err(SourceError::Program)
}

/// The name and the text of a program of the folder; none if it has none.
fn in_folder(dir: Option<&Path>, file: &str) -> Result<Option<(String, String)>, SourceError> {
    let Some(path) = dir.map(|dir| dir.join(file)) else { return Ok(None) };
    let name = path.display().to_string();
    match read(&path) {
        Ok(text) => Ok(Some((name, text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SourceError::File { path: name, source }),
    }
}

fn embedded(file: &str) -> Result<(String, String), SourceError> {
    let text = connectors::embedded_file(file).ok_or_else(|| SourceError::Setup {
        poll: format!("connectors/{file}"),
        what: "there is no such program in the binary; the setting `connectors` names a folder with more"
            .into(),
    })?;
    Ok((format!("connectors/{file}"), text.to_owned()))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX {
        return Err(std::io::Error::other("it is larger than 256 KiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn recorded(name: &str) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors/tryton/changes/tests");
        serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
    }

    fn events(record: Value) -> Vec<Value> {
        let program = load(None, "tryton", "order").unwrap();
        let modified = 1_795_600_000_123_456_i64;
        program.run(json!({"headers": {}, "body": record, "source": "erp", "modified": modified})).unwrap()
    }

    /// The record is one that Tryton gave.
    #[test]
    fn a_sale_becomes_an_order() {
        let found = events(recorded("order.json"));
        assert_eq!(found, [recorded("order.expected.json")], "{:#}", found[0]);
    }

    #[test]
    fn a_sale_of_nobody_elses_has_an_id_and_a_cancelled_one_says_so() {
        let mut record = recorded("order.json");
        record["reference"] = Value::Null;
        record["state"] = json!("cancelled");
        let event = events(record.clone()).remove(0);
        assert_eq!(event["type"], "order.cancelled");
        assert_eq!(event["data"]["id"], json!(format!("tryton-{}", record["id"])));
        assert_eq!(event["data"]["status"], "CANCELLED");
    }

    #[test]
    fn what_is_not_there_is_told_by_its_place() {
        let error = load(None, "tryton", "invoice").unwrap_err();
        assert!(error.to_string().contains("tryton/changes/invoice.vrl"), "{error}");
    }

    #[test]
    fn a_record_that_stands_for_a_webhook_has_its_program() {
        assert_eq!(webhook(None, "shopify").unwrap().name(), "connectors/shopify/webhook.vrl");
        let error = webhook(None, "tryton").unwrap_err();
        assert!(error.to_string().contains("tryton/webhook.vrl"), "{error}");
    }

    #[test]
    fn a_program_of_the_folder_comes_before_that_of_the_binary() {
        let folder = tempfile::tempdir().unwrap();
        let load = |object: &str| load(Some(folder.path()), "tryton", object);
        assert_eq!(load("order").unwrap().name(), "connectors/tryton/changes/order.vrl");
        assert_eq!(load("invoice").unwrap_err().code(), "SRC-0001");
        let own = folder.path().join("tryton/changes/order.vrl");
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        std::fs::write(&own, "null").unwrap();
        assert_eq!(load("order").unwrap().name(), own.display().to_string());
    }
}
