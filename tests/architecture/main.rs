//! The rules of the layers and of the paper, read off the sources.
//!
//! Nothing here starts the server: the tests read the repository and fail on what a reviewer would otherwise have to
//! notice. Each checker is tested on bad samples of its own, because a rule that cannot fail guards nothing.

mod arrows;
mod files;
mod links;
mod paths;

use std::{fs, path::Path};

/// The files below `folders` that end in `suffix`, as (path in the repository, content).
fn sources(folders: &[&str], suffix: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(
                name.as_str(),
                "target" | "node_modules" | ".git" | "corpus" | "artifacts"
            ) {
                let entries = fs::read_dir(&path).expect("a folder of the repository can be listed");
                waiting.extend(entries.map(|entry| entry.expect("a readable entry").path()));
            }
        } else if name.ends_with(suffix) {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            let place = path
                .strip_prefix(root)
                .expect("below the root")
                .to_string_lossy()
                .into_owned();
            found.push((place, text));
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {suffix} file below {folders:?}");
    found
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_arrow_between_the_parts_points_the_right_way() {
    let files = sources(
        &[
            "src",
            "crates/rtmp/src",
            "crates/media/src",
            "crates/local-socket/src",
            "plugins/src",
            "benches",
        ],
        ".rs",
    );
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|(file, text)| arrows::wrong_arrows(file, text))
        .collect();
    assert_none(&wrong);
}

#[test]
fn every_module_of_the_server_says_what_it_stands_on() {
    let files = sources(&["src"], ".rs");
    let unknown = arrows::unknown_layers(files.iter().map(|(file, _)| file.as_str()));
    assert_none(&unknown);
}

#[test]
fn every_source_file_has_one_subject_and_says_which() {
    let files = sources(&["src", "crates", "plugins", "benches", "tests", "fuzz"], ".rs");
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|(file, text)| files::complaints(file, text))
        .collect();
    assert_none(&wrong);
}

#[test]
fn every_relative_link_in_the_documentation_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = sources(&["."], ".md");
    let broken: Vec<String> = pages
        .iter()
        .flat_map(|(page, text)| links::broken_links(&root.join(page), text))
        .collect();
    assert_none(&broken);
}

#[test]
fn every_promise_is_compiled_in() {
    let promises = sources(&["tests/e2e"], ".rs");
    let main = &promises
        .iter()
        .find(|(file, _)| file == "tests/e2e/main.rs")
        .expect("tests/e2e/main.rs")
        .1;
    let forgotten: Vec<String> = promises
        .iter()
        .filter_map(|(file, _)| file.strip_prefix("tests/e2e/")?.strip_suffix(".rs"))
        .filter(|module| !module.contains('/') && *module != "main" && !main.contains(&format!("mod {module};")))
        .map(|module| format!("tests/e2e/{module}.rs is not in tests/e2e/main.rs, so it never runs"))
        .collect();
    assert_none(&forgotten);
}
