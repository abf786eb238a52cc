//! Every shipped template gets real media through: whole, without sound, without pictures, in each of its variants.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use streammill::{
    config::Config,
    pipeline::{self, library::Library, plan::Plan},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_shipped_template_gets_the_canned_clip_through() {
    pipeline::start().unwrap();
    let (library, problems) = Library::load(&[]);
    assert!(problems.is_empty(), "{problems:?}");
    let problems: Vec<_> = library.check().await.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The TOML in a page of the documentation: templates, and configurations.
fn examples(page: &str) -> (Vec<String>, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text
        .split("```toml")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let blocks = blocks.map(|block| block.split_once('\n').unwrap().1.to_owned());
    blocks.partition(|block| block.lines().any(|line| line.starts_with("summary =")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_template_in_the_documentation_works() {
    pipeline::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (templates, configurations) = examples("templates.md");
    for (name, text) in ["thumb", "second", "third"].iter().zip(&templates) {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    let (library, problems) = Library::load(&[folder.path().to_owned()]);
    assert!(problems.is_empty(), "{problems:?}");
    assert!(templates.len() >= 2);
    for entry in library.iter().filter(|entry| entry.path.is_some()) {
        let problem = entry.check(None).await;
        assert!(problem.is_none(), "{}", problem.unwrap());
    }
    let shipped = examples("shipped-templates.md").1;
    assert!(configurations.len() + shipped.len() >= 4);
    for text in configurations.iter().chain(&shipped) {
        let config: Config = toml::from_str(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let plan = Plan::new(&config, &library);
        assert!(plan.is_ok(), "{text}\n{plan:?}");
    }
}
