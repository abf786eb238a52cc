//! A server that has an element which fails on command.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::Server;

const LIBRARY: &str = "libgstfaulty.so";

/// A template that hands pictures on and fails as its parameter `fault` says, `after` so many of them.
const TEMPLATE: &str = r#"
summary = "Hands on what it gets, and fails"
output = "stream"
isolation = "process"
[params]
fault = { type = "string", default = "", sets = "bad:fault" }
after = { type = "int", default = 50, sets = "bad:after" }
[launch]
video = "in.video ! parser ! faulty name=bad ! out.video"
audio = "in.audio ! out.audio"
"#;

/// A running server with the template `faulty`.
pub(crate) fn faulty_server(config: &str) -> Server {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let templates = shared.join("faulty-templates");
    fs::create_dir_all(&templates).expect("a folder for the template");
    fs::write(templates.join("faulty.toml"), TEMPLATE).expect("the template is written");
    let config = format!("templates.paths = [{:?}]\n{config}", templates.display().to_string());
    Server::with_environment(
        &config,
        &[
            ("GST_PLUGIN_PATH", plugin_folder(shared).into()),
            // One registry for all tests: looking through all plugins anew takes seconds.
            ("GST_REGISTRY", shared.join("faulty-registry.bin").into()),
        ],
    )
}

/// A folder with nothing but the library, which cargo builds beside everything else that the tests depend on.
fn plugin_folder(shared: &Path) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_streammill"));
    let library = program.with_file_name("deps").join(LIBRARY);
    assert!(library.exists(), "{} was not built", library.display());
    let folder = shared.join("faulty-plugins");
    fs::create_dir_all(&folder).expect("a folder for the plugin");
    // Another test may have been faster.
    let _ = symlink(&library, folder.join(LIBRARY));
    folder
}
