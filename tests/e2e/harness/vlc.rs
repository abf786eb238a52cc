//! VLC, which does not run as root and is somebody else there.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use super::program;

/// VLC without a window, with a home in `folder`, which it can read.
pub(crate) fn cvlc(arguments: &str, folder: &Path) -> Command {
    let home = folder.join("vlc");
    fs::create_dir_all(&home).expect("a home for VLC");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).expect("anybody's home");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("a way to it");
    let is_root = fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t"));
    let line = format!("cvlc {arguments}");
    let mut vlc = match is_root {
        true => program(&format!("setpriv --reuid=65534 --regid=65534 --clear-groups {line}")),
        false => program(&line),
    };
    vlc.env("HOME", &home);
    vlc
}
