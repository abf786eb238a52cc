//! A template that is edited is used by whatever begins after that. Pipelines that run keep what they began with, and an edit
//! that is no good changes nothing and is told.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Process, Publish, Server, get, output_of, poll_until, probe, program, seconds, streammill};

/// A template for renditions so many lines high.
fn rendition(height: u32) -> String {
    format!(
        "summary = \"{height} lines\"\noutput = \"stream\"\n[encoders.v]\ncodec = \"h264\"\nbitrate = \"300k\"\n[launch]\n\
         video = \"in.video ! parser ! decoder ! millscale ! video/x-raw,height={height} ! encoder name=v ! h264parse ! out.video\"\n"
    )
}

/// A server, and the folder with its own template, which makes renditions of 90 lines.
fn server() -> (Server, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("mine.toml"), rendition(90)).expect("a template");
    let server = Server::start(&format!(
        "[templates]\npaths = [{:?}]\n\
         [apps.live]\npipelines = [{{ template = \"mine\", publish_to = \"small/{{name}}\" }}]\n[apps.small]\n",
        folder.path()
    ));
    (server, folder)
}

fn template(list: &Value, name: &str) -> Value {
    let mut all = list["templates"].as_array().expect("a list").iter();
    all.find(|template| template["name"] == name)
        .cloned()
        .unwrap_or_default()
}

/// Waits until what the server says of a template is as it should be.
fn wait_for(server: &Server, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    poll_until(seconds(30), what, || {
        let (_, text) = get(&server.http("api/v1/templates"))?;
        let found = template(&serde_json::from_str(&text).ok()?, name);
        is_so(&found).then_some(found)
    })
}

fn assert_height(server: &Server, stream: &str, lines: u32) {
    let seen = poll_until(seconds(30), "the rendition", || probe(&server.rtmp(stream), 1).ok());
    let size = format!("h264 {}x{lines}", lines * 16 / 9);
    assert!(seen.tracks.contains(&size), "{stream}: {:?}", seen.tracks);
}

fn publish(server: &Server, stream: &str) -> Process {
    Publish::new().size("320x180").without_audio().to(&server.rtmp(stream))
}

#[test]
fn what_runs_keeps_what_it_began_with_until_it_is_started_anew() {
    let (server, folder) = server();
    let file = folder.path().join("mine.toml");
    let _first = publish(&server, "live/first");
    assert_height(&server, "small/first", 90);
    fs::write(&file, rendition(72)).expect("another template");
    wait_for(&server, "mine", "the edited template", |mine| {
        mine["summary"] == "72 lines"
    });
    let _second = publish(&server, "live/second");
    assert_height(&server, "small/second", 72);
    assert_height(&server, "small/first", 90);

    let (_, text) = get(&server.http("api/v1/streams/live/first")).expect("an answer");
    let stream: Value = serde_json::from_str(&text).expect("JSON");
    let restart = server.http(&format!("api/v1/pipelines/{}/restart", stream["pipelines"][0]["id"]));
    let mut ask = program("curl -sf -X POST");
    ask.arg(&restart);
    assert!(output_of(ask, seconds(10)).status.success());
    poll_until(seconds(30), "the first one anew", || {
        let seen = probe(&server.rtmp("small/first"), 1).ok()?;
        seen.tracks.contains(&"h264 128x72".to_owned()).then_some(())
    });
}

#[test]
fn a_bad_edit_changes_nothing_and_says_where_it_is_wrong() {
    let (server, folder) = server();
    let file = folder.path().join("mine.toml");
    for (text, line, reason) in [
        (rendition(72).replace("[launch]", "[lunch]"), 6, "unknown field `lunch`"),
        (
            rendition(72).replace("millscale", "milscale"),
            7,
            "element milscale is not installed",
        ),
        // Only running it shows this.
        (
            rendition(72).replace("height=72", "height=72,format=GRAY8"),
            6,
            "with video",
        ),
    ] {
        fs::write(&file, &text).expect("a bad template");
        let mine = wait_for(&server, "mine", reason, |mine| {
            mine["problem"].as_str().is_some_and(|problem| problem.contains(reason))
        });
        assert_eq!(mine["summary"], "90 lines", "{mine}");
        let place = format!("{}:{line}:", file.display());
        assert!(
            mine["problem"]
                .as_str()
                .is_some_and(|problem| problem.starts_with(&place)),
            "{mine}"
        );
        poll_until(seconds(10), "the log to say so", || {
            server.log().contains("the one before stays").then_some(())
        });
    }
    let _publisher = publish(&server, "live/a");
    assert_height(&server, "small/a", 90);
    // The same hangup that makes certificates fresh.
    fs::write(&file, rendition(54)).expect("a good template");
    server.signal("HUP");
    let mine = wait_for(&server, "mine", "the good edit", |mine| mine["summary"] == "54 lines");
    assert_eq!(mine["problem"], Value::Null);
}

#[test]
fn a_file_that_is_added_is_a_template_and_its_removal_ends_nothing() {
    let (server, folder) = server();
    let folder = folder.path();
    fs::write(folder.join("other.toml"), rendition(54)).expect("another template");
    wait_for(&server, "other", "the new template", |other| {
        other["summary"] == "54 lines"
    });
    let _publisher = publish(&server, "live/a");
    assert_height(&server, "small/a", 90);
    let mut order = program("curl -sf -X POST -H Content-Type:application/json");
    order.args(["-d", "{\"template\": \"other\", \"publish_to\": \"small/other\"}"]);
    order.arg(server.http("api/v1/streams/live/a/pipelines"));
    assert!(output_of(order, seconds(10)).status.success());
    assert_height(&server, "small/other", 54);
    fs::remove_file(folder.join("other.toml")).expect("the file is removed");
    wait_for(&server, "other", "its end", Value::is_null);
    assert_height(&server, "small/other", 54);
    // What the configuration uses cannot go.
    fs::remove_file(folder.join("mine.toml")).expect("the file is removed");
    poll_until(seconds(30), "the complaint that it is missed", || {
        let (_, text) = get(&server.http("api/v1/templates"))?;
        text.contains("there is no template 'mine'").then_some(())
    });
    let _other = publish(&server, "live/b");
    assert_height(&server, "small/b", 90);
}

#[test]
fn a_template_is_drawn_and_the_schema_is_printed() {
    let output = output_of(streammill(&["templates", "transcode", "--graph"]), seconds(60));
    let picture = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && picture.contains("<svg") && picture.contains("millscale"),
        "{picture}"
    );
    let server = Server::start("[apps.live]\n");
    let (status, same) = get(&server.http("api/v1/templates/transcode/graph")).expect("an answer");
    assert!(
        status == 200 && same.contains("<svg") && same.contains("millscale"),
        "{status} {same}"
    );
    let (status, text) = get(&server.http("api/v1/templates/transcod/graph")).expect("an answer");
    assert!(
        status == 404 && text.contains("did you mean 'transcode'?"),
        "{status} {text}"
    );
    let output = output_of(streammill(&["templates", "--schema"]), seconds(30));
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(schema["title"], "streammill template");
}
