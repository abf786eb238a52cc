//! The configurations and templates in the repository are accepted by the server they ship with.

use std::{fs, path::Path, path::PathBuf};

use crate::harness::{output_of, seconds, streammill};

fn shipped(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("a shipped folder");
    let files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "toml"))
        .collect();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_configuration_passes_the_check() {
    for file in shipped("config") {
        let mut command = streammill(&["check", "-c"]);
        command.arg(&file).current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = output_of(command, seconds(20));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", file.display());
    }
}

#[test]
fn every_template_is_listed_with_its_elements_installed() {
    let output = output_of(streammill(&["templates"]), seconds(20));
    let list = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{list}");
    for file in shipped("pipelines") {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(&name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in:\n{list}"));
        assert!(!line.contains("missing"), "{line}");
    }
}
