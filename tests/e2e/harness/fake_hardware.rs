//! Encoders that call themselves hardware and fail on command, for servers and commands under test.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// What makes GStreamer find the plugin. It is built beside the tests, because they depend on its crate.
pub(crate) fn environment() -> [(&'static str, OsString); 2] {
    let tests = std::env::current_exe().expect("a test knows its own program");
    let library = tests.with_file_name("libgstfakehardware.so");
    assert!(library.exists(), "{} has not been built", library.display());
    // A folder for it alone: GStreamer looks into every library that it finds, and there are many beside it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fake-hardware");
    fs::create_dir_all(&folder).expect("a folder");
    let link = folder.join("libgstfakehardware.so");
    match symlink(&library, &link) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => panic!("{}: {error}", link.display()),
        _ => {}
    }
    // A registry of its own: the usual one belongs to whoever sits at this machine.
    let registry: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fake-hardware.registry");
    [("GST_PLUGIN_PATH", folder.into()), ("GST_REGISTRY", registry.into())]
}

/// The row of the encoder map for `fakehw{number}h264enc`; `settings` are set on it in any case.
pub(crate) fn row(number: &str, settings: &[&str]) -> String {
    format!(
        "[encoders.elements.fakehw{number}h264enc]\ncodec = \"h264\"\nclass = \"nvidia\"\ndevice = \"device-path\"\n\
         bitrate = {{ to = \"bitrate\", unit = \"kbit/s\" }}\ngop = {{ to = \"gop-size\" }}\nb_frames = \"b-frames\"\n\
         memory = \"FakeMemory\"\nalways = {settings:?}\n"
    )
}

/// The kit of what shares a memory with `fakehwh264enc`, except for what is `missing`; `decoder` is set on its decoder.
pub(crate) fn kit(missing: &[&str], decoder: &[&str]) -> String {
    let list = |element: &'static str| match missing.contains(&element) {
        true => format!("[\"{element}-that-is-missing\"]"),
        false => format!("[\"{element}\"]"),
    };
    format!(
        "[encoders.kits.fake]\nmemory = \"FakeMemory\"\nclasses = [\"nvidia\"]\npackage = \"fake-hardware\"\n\
         decoders.h264 = {}\nscalers = {}\nupload = {}\ndownload = {}\nsets.fakehwh264dec = {decoder:?}\n",
        list("fakehwh264dec"),
        list("fakehwscale"),
        list("fakehwupload"),
        list("fakehwdownload")
    )
}
