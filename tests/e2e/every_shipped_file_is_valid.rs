//! The configurations and templates in the repository, those of the README too, are accepted by the server they ship
//! with.

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
        let output = output_of(command, seconds(90));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", file.display());
    }
}

#[test]
fn every_template_is_listed_with_its_elements_installed() {
    let output = output_of(streammill(&["templates"]), seconds(90));
    let list = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{list}");
    for file in shipped("pipelines") {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(&name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in:\n{list}"));
        assert!(!line.contains("missing"), "{line}");
    }
}

#[test]
fn the_samples_of_the_readme_pass_the_check() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the README");
    let samples: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let [server, template, its_use] = samples[..] else {
        panic!("the README has {} samples in TOML", samples.len());
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a sample is written");
    fs::create_dir(folder.path().join("templates")).expect("a folder");
    write("studio.toml", server);
    write("templates/grey.toml", template);
    write("grey.toml", its_use);
    for file in ["studio.toml", "grey.toml"] {
        let mut command = streammill(&["check", "-c", file]);
        command.current_dir(folder.path());
        let output = output_of(command, seconds(60));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{file}: {said}");
    }
}
