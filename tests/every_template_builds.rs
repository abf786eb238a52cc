//! Every shipped template gets real media through: whole, without sound, without pictures, in each of its variants.

#![allow(clippy::unwrap_used)]

use streammill::pipeline::{self, library::Library};

#[tokio::test(flavor = "multi_thread")]
async fn every_shipped_template_gets_the_canned_clip_through() {
    pipeline::start().unwrap();
    let (library, problems) = Library::load(&[]);
    assert!(problems.is_empty(), "{problems:?}");
    let problems: Vec<_> = library.check().await.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
