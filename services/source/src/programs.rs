//! The programs that make events of records: `connectors/<connector>/changes/<object>.vrl`.

use std::{io::Read as _, path::Path};

use mapping::Program;

use crate::SourceError;

/// The largest program, in bytes.
const MAX: u64 = 256 * 1024;
/// The programs that are part of the binary.
const EMBEDDED: &[(&str, &str, &str)] =
    &[("tryton", "order", include_str!("../../../connectors/tryton/changes/order.vrl"))];

/// The program of an object, of the folder `dir` or of the binary.
pub(crate) fn load(dir: Option<&Path>, connector: &str, object: &str) -> Result<Program, SourceError> {
    let file = format!("{connector}/changes/{object}.vrl");
    let (name, text) = match dir {
        Some(dir) => {
            let path = dir.join(&file);
            let name = path.display().to_string();
            let text = read(&path).map_err(|source| SourceError::File { path: name.clone(), source })?;
            (name, text)
        }
        None => {
            let found = EMBEDDED.iter().find(|(c, o, _)| (*c, *o) == (connector, object));
            let (_, _, text) = found.ok_or_else(|| SourceError::Setup {
                poll: format!("connectors/{file}"),
                what: "there is no such program in the binary; the setting `connectors` names a folder with more".into(),
            })?;
            (format!("connectors/{file}"), (*text).to_owned())
        }
    };
    Program::compile(&name, &text).map_err(SourceError::Program)
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX {
        return Err(std::io::Error::other("it is larger than 256 KiB"));
    }
    Ok(text)
}
