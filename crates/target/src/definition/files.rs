//! Where definitions are: in the program, and in a folder that lies over it.

use std::{borrow::Cow, fs, io, path::Path};

use include_dir::{Dir, File, include_dir};

use super::{Connector, DefinitionError};

/// The connectors of this repository, part of the program: `<name>.yaml` is a definition.
static EMBEDDED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../connectors");

impl Connector {
    /// The definition `name`: of the folder `dir` if it has one, else the one that is part of the program.
    ///
    /// # Errors
    /// Nobody has it, or it cannot be read. A folder that is not there is an error, whatever is asked for.
    pub fn load(dir: Option<&Path>, name: &str) -> Result<Self, DefinitionError> {
        Self::parse(name, &Self::text(dir, name)?)
    }

    /// What [`Connector::load`] reads: YAML.
    ///
    /// # Errors
    /// As there.
    pub fn text(dir: Option<&Path>, name: &str) -> Result<Cow<'static, str>, DefinitionError> {
        let Some(dir) = dir else { return embedded_text(name).map(Cow::Borrowed) };
        let file = dir.join(format!("{name}.yaml"));
        match fs::read_to_string(&file) {
            Ok(yaml) => Ok(Cow::Owned(yaml)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && dir.is_dir() => {
                embedded_text(name).map(Cow::Borrowed)
            }
            Err(source) => Err(DefinitionError::File { path: file.display().to_string(), source }),
        }
    }

    /// A definition that is part of the program.
    pub fn embedded(name: &str) -> Result<Self, DefinitionError> {
        Self::parse(name, embedded_text(name)?)
    }

    /// The names of the definitions that are part of the program, in order.
    pub fn embedded_names() -> Vec<&'static str> {
        let stem = |file: &'static File<'_>| {
            let yaml = file.path().extension().is_some_and(|extension| extension == "yaml");
            file.path().file_stem()?.to_str().filter(|_| yaml)
        };
        let mut names: Vec<_> = EMBEDDED.files().filter_map(stem).collect();
        names.sort_unstable();
        names
    }
}

fn embedded_text(name: &str) -> Result<&'static str, DefinitionError> {
    let yaml = EMBEDDED.get_file(format!("{name}.yaml")).and_then(File::contents_utf8);
    let Some(yaml) = yaml else {
        let known = Connector::embedded_names().join(", ");
        let what = format!("there is no such target connector; the embedded ones are {known}");
        return Err(DefinitionError::Value { name: name.to_owned(), what });
    };
    Ok(yaml)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_lies_over_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let load = |name: &str| Connector::load(Some(dir.path()), name);
        let sandbox = EMBEDDED.get_file("sandbox.yaml").and_then(File::contents_utf8).unwrap();
        let renamed = |name: &str| {
            let changed = sandbox.replace("connector: sandbox", &format!("connector: {name}"));
            fs::write(
                dir.path().join(format!("{name}.yaml")),
                changed.replace("revision: 1", "revision: 77"),
            )
            .unwrap();
        };
        renamed("own");
        renamed("stripe");
        let revisions = ["own", "stripe", "sandbox"].map(|name| load(name).unwrap().revision);
        assert_eq!(revisions, [77, 77, 1]);
        assert!(load("nobody").unwrap_err().to_string().contains("no such target connector"));
        // A definition that is there and cannot be read does not give way to the one below it.
        fs::write(dir.path().join("sandbox.yaml"), "connector: sandbox\n").unwrap();
        assert!(matches!(load("sandbox"), Err(DefinitionError::Yaml { .. })));
        let nowhere = dir.path().join("none");
        assert!(matches!(Connector::load(Some(&nowhere), "stripe"), Err(DefinitionError::File { .. })));
    }
}
