//! Drivers crash, hang and run out of sessions, and the operator is told which; the others work on.

use std::fs;

use serde_json::Value;

use crate::harness::{Server, fake_hardware, get, output_of, poll_until, probe, seconds, streammill};

/// A machine whose first three cards are out of order, each in its way.
fn broken_cards() -> String {
    let rows = [
        fake_hardware::row("1", &["fault=fail"]),
        fake_hardware::row("2", &["fault=hang"]),
        fake_hardware::row("3", &["fault=abort@2"]),
        fake_hardware::row("", &[]),
    ];
    format!(
        "[encoders]\nprobe_timeout = \"3s\"\nforbid = [\"openh264enc\"]\n{}{}",
        rows.concat(),
        fake_hardware::kit(&["fakehwscale"], &[])
    )
}

/// Runs `streammill encoders` and answers with what it says.
fn encoders(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("streammill.toml");
    fs::write(&file, broken_cards()).expect("the configuration is written");
    let mut command = streammill(&["encoders", "-c"]);
    command.arg(&file).args(arguments).envs(fake_hardware::environment());
    let output = output_of(command, seconds(60));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_command_says_of_every_encoder_whether_it_works_and_why_not() {
    let table = encoders(&[]);
    let line = |element: &str| {
        let line = table
            .lines()
            .find(|line| line.split_whitespace().next() == Some(element));
        line.unwrap_or_else(|| panic!("{element} is not in:\n{table}"))
    };
    for (element, said) in [
        ("fakehw1h264enc", "broken: Failed to open session"),
        ("fakehw2h264enc", "broken: it did not answer within 3s and was killed"),
        ("fakehw3h264enc", "broken: its probe was ended by signal 6 (abort)"),
        ("fakehwh264enc", "fake0   h264   nvidia    0         works"),
        ("x264enc", "works"),
        ("openh264enc", "forbidden: the configuration forbids openh264enc"),
        ("avenc_aac", "works"),
    ] {
        assert!(line(element).contains(said), "{element}: {}", line(element));
    }
    let order = ["fakehwh264enc", "x264enc"].map(|element| table.find(element));
    assert!(
        order.is_sorted() && table.contains("not installed, or without a device: nvh264enc"),
        "{table}"
    );
    let kit = line("fake:");
    for said in [
        "fakehwh264enc in FakeMemory; decodes h264; does not scale",
        "; not installed, or not for this device: fakehwscale-that-is-missing (package fake-hardware)",
    ] {
        assert!(kit.contains(said), "{kit}");
    }
}

#[test]
fn the_same_is_there_as_json() {
    let status: Value = serde_json::from_str(&encoders(&["--json"])).expect("JSON");
    assert_eq!(of(&status, "fakehw2h264enc")["state"], "broken");
    let good = of(&status, "fakehwh264enc");
    assert_eq!((&good["state"], &good["device"]), (&"works".into(), &"fake0".into()));
    assert_eq!((&good["codec"], &good["class"]), (&"h264".into(), &"nvidia".into()));
    let kit = status["kits"].as_array().and_then(|kits| kits.first()).expect("a kit");
    assert_eq!((&kit["kit"], &kit["memory"]), (&"fake".into(), &"FakeMemory".into()));
    assert_eq!((&kit["decodes"][0], &kit["scaler"]), (&"h264".into(), &Value::Null));
}

/// What is said of an element.
fn of<'a>(status: &'a Value, element: &str) -> &'a Value {
    let all = status["encoders"].as_array().expect("a list");
    let found = all.iter().find(|encoder| encoder["element"] == element);
    found.unwrap_or_else(|| panic!("{element} is not in {status:#}"))
}

fn status(server: &Server) -> Value {
    let (code, body) = get(&server.http("api/v1/encoders")).expect("an answer");
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Two pictures with a clock, each with an encoder.
const TWO_SOURCES: &str = "[apps.live]\n\
     [sources.a]\ntemplate = \"demo\"\npublish_to = \"live/a\"\n[sources.b]\ntemplate = \"demo\"\npublish_to = \"live/b\"\n";

/// Waits until both streams play, and answers with how many sessions these elements have.
fn sessions_when_both_play<const N: usize>(server: &Server, elements: [&str; N]) -> [u64; N] {
    for stream in ["live/a", "live/b"] {
        let url = server.rtmp(stream);
        poll_until(seconds(40), &url, || {
            probe(&url, 1).ok().filter(|seen| seen.tracks.len() == 2)
        });
    }
    let status = status(server);
    elements.map(|element| of(&status, element)["sessions"].as_u64().expect("a number"))
}

#[test]
fn hardware_that_works_is_taken_first_and_a_limit_of_the_configuration_is_kept() {
    let config = format!("{}\n{TWO_SOURCES}", broken_cards());
    let config = config.replace("forbid = ", "limits = { \"nvidia/fake0\" = 1 }\nforbid = ");
    let server = Server::with_fake_hardware(&config);
    let elements = [
        "fakehw1h264enc",
        "fakehw2h264enc",
        "fakehw3h264enc",
        "fakehwh264enc",
        "x264enc",
    ];
    assert_eq!(sessions_when_both_play(&server, elements), [0, 0, 0, 1, 1]);
    let status = status(&server);
    assert_eq!(of(&status, "fakehwh264enc")["sessions_allowed"], 1);
    assert_eq!(of(&status, "fakehw3h264enc")["state"], "broken");
    assert!(
        status["software_cores"].as_f64().is_some_and(|cores| cores > 0.0),
        "{status:#}"
    );
}

#[test]
fn a_limit_that_only_the_driver_knows_is_learned_and_the_next_encoder_taken() {
    let row = fake_hardware::row("", &["max-sessions=1", "sessions-dir={dir}"]);
    let server = Server::with_fake_hardware(&format!("{row}\n{TWO_SOURCES}"));
    assert_eq!(sessions_when_both_play(&server, ["fakehwh264enc", "x264enc"]), [1, 1]);
    let status = status(&server);
    let fake = of(&status, "fakehwh264enc");
    assert_eq!(
        (&fake["sessions_learned"], &fake["sessions_allowed"]),
        (&1.into(), &1.into())
    );
    assert!(
        fake["last_error"]
            .as_str()
            .is_some_and(|error| error.contains("out of memory")),
        "{fake:#}"
    );
}
