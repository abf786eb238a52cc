//! A mistake in the configuration is reported with its file, its place, its key and the key that was probably meant.

use std::{fs, process::Output};

use crate::harness::{output_of, seconds, streammill};

fn check(config: &str) -> (Output, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("studio.toml");
    fs::write(&file, config).expect("the configuration is written");
    let mut command = streammill(&["check", "-c"]);
    command.arg(&file);
    let output = output_of(command, seconds(90));
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, said)
}

#[track_caller]
fn assert_refused(config: &str, words: &[&str]) {
    let (output, said) = check(config);
    assert!(!output.status.success(), "accepted: {config}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[test]
fn an_unknown_key_comes_with_its_nearest_neighbour() {
    assert_refused(
        "[rtmp]\nlistne = [\"127.0.0.1:1935\"]\n",
        &["studio.toml", "listne", "listen"],
    );
    assert_refused("[app.live]\n", &["studio.toml", "app", "apps"]);
    assert_refused(
        "[apps.live]\npipelins = [\"hls\"]\n",
        &["studio.toml", "pipelins", "pipelines"],
    );
}

#[test]
fn a_wrong_value_is_named_with_its_key() {
    assert_refused("[http]\nlisten = [\"not an address\"]\n", &["studio.toml", "listen"]);
    assert_refused("[shutdown]\ndeadline = \"soon\"\n", &["studio.toml", "deadline"]);
}

#[test]
fn a_syntax_error_has_a_line() {
    assert_refused("[rtmp]\nlisten = [\n", &["studio.toml:2"]);
}

#[test]
fn an_unknown_template_is_named() {
    assert_refused(
        "[apps.live]\npipelines = [\"hsl\"]\n",
        &["studio.toml:2", "apps.live.pipelines", "'hsl'", "'hls'"],
    );
}

#[test]
fn a_parameter_out_of_bounds_is_named() {
    let config = "[apps.live]\npipelines = [{ template = \"transcode\", params = { height = 1 }, publish_to = \"small/{name}\" }]\n[apps.small]\n";
    assert_refused(config, &["apps.live.pipelines", "transcode", "height", "64"]);
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_with_the_cause() {
    let config = "[rtmp]\ntls_listen = [\"127.0.0.1:0\"]\n[tls]\ncertificates = [{ cert = \"/nowhere/own.pem\", key = \"own.key\" }]\n";
    let words = ["studio.toml:4", "tls.certificates", "/nowhere/own.pem", "No such file"];
    assert_refused(config, &words);
}

#[test]
fn a_right_configuration_is_accepted() {
    let (output, said) = check("[apps.live]\npipelines = [\"hls\"]\n");
    assert!(output.status.success(), "{said}");
}
