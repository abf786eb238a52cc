//! The format as a JSON schema, for editors.

/// A JSON schema (draft 2020-12) of template files, and of files with fragments.
pub const SCHEMA: &str = include_str!("../../../docs/template.schema.json");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::BTreeSet, path::Path};

    use boon::{Compiler, Schemas};
    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::{
        super::{Case, Launch, Template, When, fragment::Fragments},
        *,
    };
    use crate::pipeline::{encoder::Role, params::Param};

    fn whether_it_fits(text: &str) -> Result<(), String> {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource("schema.json", serde_json::from_str(SCHEMA).unwrap())
            .unwrap();
        let schema = compiler.compile("schema.json", &mut schemas).unwrap();
        let document: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        let document = serde_json::to_value(document).unwrap();
        schemas.validate(&document, schema).map_err(|error| error.to_string())
    }

    #[test]
    fn every_shipped_file_fits() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
        let folders = [root.clone(), root.join("fragments")];
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let mut count = 0;
        for file in files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            let text = std::fs::read_to_string(&file).unwrap();
            whether_it_fits(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let named = text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("#:schema "))
                .unwrap();
            assert!(
                file.parent().unwrap().join(named).is_file(),
                "{}: {named}",
                file.display()
            );
            count += 1;
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn what_is_no_template_does_not_fit() {
        let launch = "[launch]\nvideo = 'in.video ! fakesink'";
        let good = format!("summary = 's'\noutput = 'none'\n{launch}");
        assert_eq!(whether_it_fits(&good), Ok(()));
        for bad in [
            format!("output = 'none'\n{launch}"),
            format!("summary = 's'\noutput = 'nowhere'\n{launch}"),
            format!("summary = 's'\noutput = 'none'\nversion = 2\n{launch}"),
            format!("summary = 's'\noutput = 'none'\nonchange = 'rotate'\n{launch}"),
            format!("{good}\n[params]\nn = {{ type = 'int' }}"),
            format!("{good}\n[params]\nn = {{ type = 'enum', default = 'a' }}"),
            format!("{good}\n[params]\nn = {{ type = 'int', default = 1, sets = 'sink' }}"),
            format!("{good}\n[encoders.v]\ncodec = 'h256'"),
            format!("{good}\n[encoders.v]\ncodec = 'h264'\nbitrate = {{ parm = 'x' }}"),
            "summary = 's'\noutput = 'none'\n[[cases]]\nvideo = 'x'".to_owned(),
            "summary = 's'\noutput = 'none'\n[[cases]]\nwhen = { video = 'aac' }\nvideo = 'x'".to_owned(),
        ] {
            assert!(whether_it_fits(&bad).is_err(), "{bad}");
        }
    }

    /// The keys that a type reads, as it says itself when it meets another one.
    fn keys_of<T: DeserializeOwned>() -> BTreeSet<String> {
        let Err(error) = toml::from_str::<T>("no-such-key = 1") else {
            panic!("it takes any key")
        };
        let list = error.message().split_once("expected").unwrap().1.to_owned();
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn it_has_the_keys_that_are_read_and_no_others() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        for (name, keys) in [
            ("template", keys_of::<Template>()),
            ("param", keys_of::<Param>()),
            ("role", keys_of::<Role>()),
            ("launch", keys_of::<Launch>()),
            ("case", keys_of::<Case>()),
            ("when", keys_of::<When>()),
            ("sheet", Fragments::sheet_keys()),
        ] {
            let properties = schema["$defs"][name]["properties"].as_object().unwrap();
            let told: BTreeSet<String> = properties.keys().cloned().collect();
            assert_eq!(told, keys, "{name}");
        }
    }

    impl Fragments {
        fn sheet_keys() -> BTreeSet<String> {
            let (_, problems) = Self::read(&[("x.toml".into(), "no-such-key = 1".to_owned())]);
            let message = problems[0].to_string();
            let list = message.split_once("expected").unwrap().1;
            list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        }
    }
}
