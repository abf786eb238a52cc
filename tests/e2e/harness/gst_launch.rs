//! `gst-launch-1.0` with our plugin, as it is for whoever puts the shared library on GStreamer's path.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

const LIBRARY: &str = "libgststreammill.so";

/// `gst-launch-1.0` with a pipeline in words, split at spaces, that looks for servers in `runtime_dir`.
pub(crate) fn gst_launch(runtime_dir: &Path, pipeline: &str) -> Command {
    let mut command = bare_gst_launch(runtime_dir);
    command.args(pipeline.split_whitespace());
    command
}

/// The same without a pipeline.
pub(crate) fn bare_gst_launch(runtime_dir: &Path) -> Command {
    // One registry for all tests: looking through all plugins anew takes seconds.
    let registry = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gst-registry.bin");
    let mut command = Command::new("gst-launch-1.0");
    command
        .arg("-e")
        .env("GST_PLUGIN_PATH", plugin_folder())
        .env("GST_REGISTRY", registry)
        .env("XDG_RUNTIME_DIR", runtime_dir)
        .env_remove("STREAMMILL_SOCKET");
    command
}

/// A folder with nothing but the library, which cargo builds beside everything else that the server depends on.
fn plugin_folder() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_streammill"));
    let library = program.with_file_name("deps").join(LIBRARY);
    assert!(library.exists(), "{} was not built", library.display());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gst-plugins");
    std::fs::create_dir_all(&folder).expect("a folder for the plugin");
    let link = folder.join(LIBRARY);
    // Another test may have been faster.
    let _ = symlink(&library, &link);
    assert_eq!(
        std::fs::read_link(&link).ok(),
        Some(library),
        "another library is in the way"
    );
    folder
}
