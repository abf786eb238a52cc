//! Which part may name which. The tables are the rule; `docs/ARCHITECTURE.md` gives the reasons.

use crate::paths::{Path, paths};

/// The server's modules, and the ones each may use. What is not listed here does not exist yet: a new module has to
/// say what it stands on.
const LAYERS: &[(&str, &[&str])] = &[
    ("shutdown", &[]),
    ("telemetry", &[]),
    ("hub", &[]),
    ("config", &["hub"]),
    ("output", &["hub"]),
    ("callback", &["config"]),
    ("rtmp", &["hub", "config", "callback"]),
    ("pipeline", &["hub", "output", "config"]),
    ("http", &["hub", "output", "pipeline", "config"]),
    (
        "server",
        &[
            "shutdown", "hub", "config", "callback", "output", "rtmp", "pipeline", "http",
        ],
    ),
    ("report", &["config", "pipeline", "rtmp"]),
    ("main", &["config", "pipeline", "report", "server", "telemetry"]),
    ("lib", &[]),
];

/// Names that only some places may use: the paths, the places, and the reason given to whoever breaks the rule.
const CONFINED: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "gst",
            "gst_app",
            "gst_audio",
            "gst_video",
            "gst_base",
            "glib",
            "gio",
            "gstreamer",
            "gstreamer_app",
            "gstreamer_audio",
            "gstreamer_video",
            "gstfmp4",
            "gststreammill",
        ],
        &["src/pipeline", "plugins"],
        "GStreamer lives in src/pipeline and plugins",
    ),
    (&["warp"], &["src/http"], "only src/http speaks HTTP"),
    (
        &["streammill_rtmp"],
        &["src/rtmp", "plugins", "benches", "crates/rtmp"],
        "only the RTMP front end speaks RTMP",
    ),
    (
        &["streammill_local_socket"],
        &["src/rtmp", "plugins", "crates/local-socket"],
        "the two ends of the local socket ask where it is, nobody else",
    ),
    (
        &["anyhow"],
        &["src/main.rs", "benches"],
        "an error type says what can go wrong; anyhow is for the binary's edge",
    ),
];

/// What the two pure cores must do without.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "the cores do no I/O"),
    ("tokio_util", "the cores do no I/O"),
    ("std::net", "the cores do no I/O"),
    ("std::fs", "the cores do no I/O"),
    ("std::thread", "the cores are driven by their caller"),
    ("std::time::Instant", "the cores read no clock"),
    ("std::time::SystemTime", "the cores read no clock"),
    ("rand", "randomness is handed in"),
    ("getrandom", "randomness is handed in"),
    ("streammill", "the cores know no server"),
];

/// The wrong arrows in one file; `file` is its path in the repository.
pub(crate) fn wrong_arrows(file: &str, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for path in paths(source) {
        let written = path.segments.join("::");
        if let Some(reason) = complaint(file, &path) {
            wrong.push(format!("{file}:{}: `{written}`: {reason}", path.line));
        }
    }
    wrong
}

fn complaint(file: &str, path: &Path) -> Option<String> {
    for (names, places, reason) in CONFINED {
        if names.iter().any(|name| reaches(path, name)) && !places.iter().any(|place| within(file, place)) {
            return Some((*reason).to_owned());
        }
    }
    let core = ["rtmp", "media"]
        .into_iter()
        .find(|core| within(file, &format!("crates/{core}")));
    if let Some(core) = core {
        let sibling = if core == "rtmp" {
            "streammill_media"
        } else {
            "streammill_rtmp"
        };
        if reaches(path, sibling) {
            return Some("the two cores do not know each other".to_owned());
        }
        let impure = IMPURE.iter().find(|(name, _)| reaches(path, name));
        return impure.map(|(_, reason)| (*reason).to_owned());
    }
    let module = file.strip_prefix("src/")?.trim_end_matches(".rs");
    let mut module: Vec<&str> = module.split('/').filter(|part| *part != "mod").collect();
    let layer = module[0];
    if layer == "main" || layer == "lib" {
        module.clear();
    }
    module.extend(path.inside.iter().map(String::as_str));
    let target = layer_named(path, module)?;
    let Some((_, may_use)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return Some(format!("`{layer}` has no row in the table of layers"));
    };
    if target == layer || may_use.contains(&target.as_str()) || !LAYERS.iter().any(|(name, _)| *name == target) {
        return None;
    }
    Some(format!("`{layer}` may not use `{target}`"))
}

/// Whether `path` names the item `name` or something in it, or imports a module so that it could.
fn reaches(path: &Path, name: &str) -> bool {
    let name: Vec<&str> = name.split("::").collect();
    let mut segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
    let is_glob = segments.last() == Some(&"*");
    if is_glob {
        segments.pop();
    }
    let opens_the_way = path.import && (segments.len() > 1 || is_glob) && name.starts_with(&segments);
    segments.starts_with(&name) || opens_the_way
}

fn within(file: &str, place: &str) -> bool {
    file == place || file.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'))
}

/// The server's module that `path`, written in `module`, leads to.
fn layer_named(path: &Path, mut module: Vec<&str>) -> Option<String> {
    if path.global {
        return None;
    }
    let mut rest = path.segments.iter();
    match rest.next()?.as_str() {
        "crate" | "streammill" => module.clear(),
        "self" => {}
        "super" => {
            module.pop();
        }
        // Any other first name is a crate, or was brought in by a `use` that has been looked at.
        _ => return None,
    }
    for segment in rest {
        if segment != "super" {
            return Some(
                module
                    .first()
                    .map_or_else(|| segment.clone(), |layer| (*layer).to_owned()),
            );
        }
        module.pop();
    }
    module.first().map(|layer| (*layer).to_owned())
}

/// The modules under `src` that the table of layers does not know.
pub(crate) fn unknown_layers<'a>(files: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut unknown: Vec<String> = files
        .filter_map(|file| file.strip_prefix("src/"))
        .map(|file| {
            file.split('/')
                .next()
                .unwrap_or(file)
                .trim_end_matches(".rs")
                .to_owned()
        })
        .filter(|layer| !LAYERS.iter().any(|(name, _)| name == layer))
        .collect();
    unknown.dedup();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_wrong(file: &str, source: &str) -> bool {
        !wrong_arrows(file, source).is_empty()
    }

    #[test]
    fn the_cores_may_not_know_each_other_nor_the_world() {
        for source in [
            "use streammill_media::Frame;",
            "use tokio::net::TcpStream;",
            "use std::time::Instant;",
            "use std::{io, time::{Duration, SystemTime}};",
            "use std::time;",
            "use std::time::*;",
            "fn now() { let _ = std::time::Instant::now(); }",
            "use gst::prelude::*;",
            "extern crate tokio;",
            "mod tests { use rand::Rng; }",
        ] {
            assert!(is_wrong("crates/rtmp/src/chunk/reader.rs", source), "{source}");
        }
        assert!(is_wrong("crates/media/src/lib.rs", "use streammill_rtmp::amf;"));
        assert!(!is_wrong(
            "crates/rtmp/src/lib.rs",
            "use std::{io::Read, time::Duration};\nuse bytes::Bytes;"
        ));
    }

    #[test]
    fn gstreamer_http_and_rtmp_stay_where_they_belong() {
        assert!(is_wrong("src/hub/mod.rs", "use gst::Buffer;"));
        assert!(is_wrong(
            "src/output/hls.rs",
            "fn f(x: gst_app::AppSink) {} use gst_app::AppSink;"
        ));
        assert!(is_wrong("src/server.rs", "use ::warp::Filter;"));
        assert!(is_wrong(
            "src/output/flv.rs",
            "use streammill_rtmp::chunk::shared_form;"
        ));
        assert!(is_wrong("src/rtmp/connection.rs", "use anyhow::Result;"));
        assert!(!is_wrong("src/pipeline/bridge.rs", "use gst::prelude::*;"));
        assert!(!is_wrong("plugins/src/millsrc.rs", "use glib::Object;"));
        assert!(!is_wrong("src/http/mod.rs", "use warp::Filter;"));
        assert!(!is_wrong("src/rtmp/play.rs", "use streammill_rtmp::chunk;"));
    }

    #[test]
    fn a_wrong_arrow_is_found_however_it_is_written() {
        for (file, source) in [
            ("src/hub/live.rs", "use crate::rtmp::Listener;"),
            ("src/hub/live.rs", "use super::super::rtmp::Listener;"),
            ("src/hub/mod.rs", "use super::rtmp;"),
            ("src/hub/mod.rs", "mod tests { use super::super::rtmp::Listener; }"),
            ("src/hub/live.rs", "fn f() { crate::config::load(); }"),
            ("src/rtmp/mod.rs", "use crate::{hub::Hub, server::Server};"),
            ("src/http/mod.rs", "use streammill::server::Server;"),
            ("src/output/hls/store.rs", "use crate::http::Route;"),
        ] {
            assert!(is_wrong(file, source), "{file}: {source}");
        }
    }

    #[test]
    fn a_right_arrow_is_left_alone() {
        for (file, source) in [
            ("src/rtmp/mod.rs", "use crate::hub::Hub;"),
            (
                "src/rtmp/connection.rs",
                "use super::publish;\nmod tests { use super::*; use super::super::play; }",
            ),
            ("src/config/load.rs", "use ::config::File;"),
            ("src/main.rs", "use streammill::{config, server};"),
            ("src/lib.rs", "pub mod hub;\npub mod http;"),
        ] {
            assert_eq!(wrong_arrows(file, source), [""; 0], "{file}");
        }
    }

    #[test]
    fn a_module_without_a_row_is_reported() {
        let files = [
            "src/hub/mod.rs",
            "src/astrology/mod.rs",
            "src/astrology/stars.rs",
            "crates/rtmp/src/lib.rs",
        ];
        assert_eq!(unknown_layers(files.into_iter()), ["astrology"]);
    }
}
