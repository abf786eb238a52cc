//! Where an encoder runs on a device, pictures are decoded and scaled there, too, and stay in its memory; where something of it
//! is missing or fails they go through system memory, and the API says which, where and why.

use std::{fs, thread};

use serde_json::Value;

use crate::harness::{Publish, Server, fake_hardware, get, poll_until, probe, seconds};

const TRANSCODE: &str = "[apps.live]\n\
    pipelines = [{ template = \"transcode\", params = { height = 180 }, publish_to = \"small/{name}\" }]\n[apps.small]\n";

fn config(missing: &[&str], encoder: &[&str], decoder: &[&str], apps: &str) -> String {
    let (row, kit) = (fake_hardware::row("", encoder), fake_hardware::kit(missing, decoder));
    format!("{row}{kit}{apps}")
}

fn pipeline(server: &Server) -> Option<Value> {
    let (_, text) = get(&server.http("api/v1/pipelines"))?;
    let all: Value = serde_json::from_str(&text).ok()?;
    all["pipelines"].as_array()?.first().cloned()
}

/// The pipeline, as soon as each of its stages has had pictures.
fn at_work(server: &Server) -> Value {
    poll_until(seconds(40), "all stages to work", || {
        let pipeline = pipeline(server)?;
        let stages = pipeline["stages"].as_array()?.clone();
        let is_known = |stage: &Value| stage["memory"].is_string() && stage["frames"].as_u64() > Some(2);
        (!stages.is_empty() && stages.iter().all(is_known)).then_some(pipeline)
    })
}

/// What is said of a stage, by its name or by its element's.
fn stage<'a>(pipeline: &'a Value, name: &str, element: Option<&str>) -> &'a Value {
    let stages = pipeline["stages"].as_array().expect("a list");
    let is_it = |stage: &&Value| stage["name"] == name && element.is_none_or(|element| stage["element"] == element);
    stages
        .iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("{name} is not in {pipeline:#}"))
}

fn memories(pipeline: &Value) -> Vec<&str> {
    let stages = pipeline["stages"].as_array().expect("a list").iter();
    stages
        .map(|stage| stage["memory"].as_str().unwrap_or_default())
        .collect()
}

fn graph(server: &Server, pipeline: &Value) -> String {
    let path = format!("api/v1/pipelines/{}/graph", pipeline["id"]);
    let (status, graph) = get(&server.http(&path)).expect("an answer");
    assert_eq!(status, 200, "{graph}");
    graph
}

#[test]
fn from_the_decoder_to_the_encoder() {
    let server = Server::with_fake_hardware(&config(&[], &[], &[], TRANSCODE));
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    let seen = poll_until(seconds(40), "the rendition", || probe(&server.rtmp("small/x"), 1).ok());
    assert!(seen.tracks.contains(&"h264 320x180".to_owned()), "{:?}", seen.tracks);
    let pipeline = at_work(&server);
    assert_eq!(pipeline["kit"], "fake");
    assert_eq!(
        memories(&pipeline),
        ["system", "FakeMemory", "FakeMemory", "system", "system"],
        "{pipeline:#}"
    );
    let all = pipeline["stages"].as_array().expect("a list");
    assert!(
        all.iter()
            .all(|stage| stage["copied"] == false && stage["why"].is_null()),
        "{pipeline:#}"
    );
    let graph = graph(&server, &pipeline);
    for (element, is_there) in [("FakeDecoder", true), ("FakeScaler", true), ("MillScale", false)] {
        assert_eq!(graph.contains(element), is_there, "{element}");
    }
}

#[test]
fn and_back_where_the_scaler_is_missing() {
    let server = Server::with_fake_hardware(&config(&["fakehwscale"], &[], &[], TRANSCODE));
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    let pipeline = at_work(&server);
    assert_eq!(pipeline["encoders"]["v"], "fakehwh264enc");
    assert_eq!(stage(&pipeline, "decode", None)["memory"], "FakeMemory");
    let scale = stage(&pipeline, "scale", None);
    assert_eq!(
        (&scale["memory"], &scale["copied"]),
        (&"system".into(), &true.into()),
        "{pipeline:#}"
    );
    assert_eq!(
        scale["why"],
        "no fakehwscale-that-is-missing is installed, or its device is not there; on Debian and Ubuntu: apt install fake-hardware"
    );
}

#[test]
fn from_the_scaler_on_where_the_decoder_is_missing() {
    let server = Server::with_fake_hardware(&config(&["fakehwh264dec"], &[], &[], TRANSCODE));
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    let pipeline = at_work(&server);
    let decode = stage(&pipeline, "decode", None);
    assert_eq!(decode["memory"], "system", "{pipeline:#}");
    let why = decode["why"].as_str().unwrap_or_default();
    assert!(
        why.starts_with("no fakehwh264dec-that-is-missing is installed"),
        "{why}"
    );
    let scale = stage(&pipeline, "scale", None);
    assert_eq!(
        (&scale["memory"], &scale["copied"]),
        (&"FakeMemory".into(), &true.into()),
        "{pipeline:#}"
    );
}

#[test]
fn for_all_rungs_of_a_ladder_but_the_one_in_software() {
    let apps = "[apps.live]\npipelines = [{ template = \"ladder\", publish_to = \"abr/{name}_{output}\" }]\n\
        [apps.live.templates.ladder]\n\
        ladder = [{ height = 360, bitrate = \"800k\" }, { height = 180, bitrate = \"300k\" }, { height = 90, bitrate = \"100k\" }]\n\
        [apps.abr]\n";
    let config = format!(
        "[encoders]\nlimits = {{ fakehwh264enc = 2 }}\n{}",
        config(&[], &[], &[], apps)
    );
    let server = Server::with_fake_hardware(&config);
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    let pipeline = at_work(&server);
    let encoders = pipeline["encoders"].as_object().expect("a table");
    let in_software: Vec<_> = encoders
        .iter()
        .filter(|(role, element)| role.starts_with('v') && *element != "fakehwh264enc")
        .map(|(role, _)| role.as_str())
        .collect();
    let [software] = in_software[..] else {
        panic!("{pipeline:#}")
    };
    let decoders = pipeline["stages"].as_array().expect("a list").iter();
    assert_eq!(decoders.filter(|stage| stage["name"] == "decode").count(), 1);
    assert_eq!(stage(&pipeline, "decode", None)["memory"], "FakeMemory");
    for role in ["v_360", "v_180", "v_90"] {
        let scale = stage(&pipeline, "scale", Some(role));
        let is_software = role == software;
        let memory = if is_software { "system" } else { "FakeMemory" };
        assert_eq!(
            (&scale["memory"], &scale["copied"]),
            (&memory.into(), &is_software.into()),
            "{pipeline:#}"
        );
        let why = scale["why"].as_str().unwrap_or_default();
        assert_eq!(
            why.ends_with("takes pictures from system memory"),
            is_software,
            "{role}: {why}"
        );
    }
    let graph = graph(&server, &pipeline);
    assert!(!graph.contains("MillScale"), "all rungs are scaled there");
    for height in [360, 180, 90] {
        probe(&server.rtmp(&format!("abr/x_{height}")), 1).expect("every rung plays");
    }
}

/// Has something fail in mid-stream, and answers with the pipeline that goes on. Players see no gap of two seconds.
fn goes_on(config: &str, has_changed: impl Fn(&Value) -> bool) -> Value {
    let server = Server::with_fake_hardware(config);
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    let small = server.rtmp("small/x");
    poll_until(seconds(40), "the rendition", || probe(&small, 1).ok());
    assert_eq!(memories(&at_work(&server))[1], "FakeMemory");
    let player = thread::spawn(move || probe(&small, 8));
    poll_until(seconds(20), "the player", || {
        let (_, stream) = get(&server.http("api/v1/streams/small/x"))?;
        let stream: Value = serde_json::from_str(&stream).ok()?;
        (stream["viewers"].as_u64() > Some(0)).then_some(())
    });
    fs::write(server.folder().join("now"), "").expect("the sign to fail");
    poll_until(seconds(20), "the pipeline to change", || {
        pipeline(&server).filter(&has_changed)
    });
    let after = at_work(&server);
    let seen = player.join().expect("no panic").expect("it played through");
    let pictures = seen.video();
    let gaps = pictures.windows(2).map(|pair| pair[1].dts - pair[0].dts);
    let gap = gaps.fold(0.0, f64::max);
    assert!(gap < 2.0, "nothing to see for {gap} s");
    let span = pictures.last().map_or(0.0, |last| last.dts - pictures[0].dts);
    assert!(span > 5.0, "it ended after {span} s");
    after
}

#[test]
fn until_the_encoder_fails_and_software_goes_on_in_system_memory() {
    let config = config(&[], &["fault=fail@{dir}/now"], &[], TRANSCODE);
    let after = goes_on(&config, |pipeline| pipeline["encoders"]["v"] != "fakehwh264enc");
    assert!(after["kit"].is_null());
    assert_eq!(memories(&after), ["system"; 5], "{after:#}");
    assert!(
        after["warning"]
            .as_str()
            .unwrap_or_default()
            .contains("encoder fakehwh264enc has failed"),
        "{after:#}"
    );
}

#[test]
fn unless_the_decoder_never_works() {
    let server = Server::with_fake_hardware(&config(&[], &[], &["fault=fail"], TRANSCODE));
    let _publisher = Publish::new().to(&server.rtmp("live/x"));
    let pipeline = at_work(&server);
    assert_eq!(
        (&pipeline["kit"], &pipeline["encoders"]["v"]),
        (&Value::Null, &"fakehwh264enc".into())
    );
    assert_eq!(pipeline["restarts"], 1, "{pipeline:#}");
    assert_eq!(memories(&pipeline), ["system"; 5], "{pipeline:#}");
}

#[test]
fn until_the_decoder_fails_and_the_encoder_goes_on_without_the_kit() {
    let config = config(&[], &[], &["fault=fail@{dir}/now"], TRANSCODE);
    let after = goes_on(&config, |pipeline| pipeline["kit"].is_null());
    assert_eq!(after["encoders"]["v"], "fakehwh264enc");
    assert_eq!(memories(&after), ["system"; 5], "{after:#}");
    assert!(
        after["warning"]
            .as_str()
            .unwrap_or_default()
            .contains("the kit fake has failed"),
        "{after:#}"
    );
}
