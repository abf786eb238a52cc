//! OBS Studio publishes as its users have it publish: a profile with a custom server, and the stream button.

use std::{fs, process::Command};

use serde_json::Value;

use crate::harness::{Process, Server, get, poll_until, probe, program, seconds};

/// The files of a profile whose first start is behind it, with one scene of one colour.
fn prepare_home(server: &Server) -> std::path::PathBuf {
    let home = server.folder().join("home");
    let config = home.join(".config/obs-studio");
    let profile = config.join("basic/profiles/mill");
    fs::create_dir_all(&profile).expect("a folder for the profile");
    fs::create_dir_all(config.join("basic/scenes")).expect("a folder for the scenes");
    let write = |path: std::path::PathBuf, text: &str| fs::write(path, text).expect("a file of the profile");
    write(
        config.join("global.ini"),
        "[General]\nFirstRun=true\nLastVersion=486539266\nEnableAutoUpdates=false\nInfoIncrement=99\n\
         [Basic]\nProfile=mill\nProfileDir=mill\nSceneCollection=mill\nSceneCollectionFile=mill\n\
         [BasicWindow]\nWarnBeforeStartingStream=false\n",
    );
    write(
        profile.join("basic.ini"),
        "[General]\nName=mill\n[Video]\nBaseCX=320\nBaseCY=180\nOutputCX=320\nOutputCY=180\nFPSCommon=30\n\
         [Output]\nMode=Simple\n[SimpleOutput]\nStreamEncoder=x264\nVBitrate=500\nABitrate=96\nUseAdvanced=true\n\
         Preset=ultrafast\nx264Settings=keyint=30\n",
    );
    let application = server.rtmp("live");
    write(
        profile.join("service.json"),
        &format!(
            r#"{{"type":"rtmp_custom","settings":{{"server":"{application}","key":"obs","use_auth":false,"bwtest":false}}}}"#
        ),
    );
    write(
        config.join("basic/scenes/mill.json"),
        r#"{"name":"mill","current_scene":"Scene","current_program_scene":"Scene","scene_order":[{"name":"Scene"}],"sources":[
            {"id":"scene","versioned_id":"scene","name":"Scene","settings":{"id_counter":1,"items":[
                {"name":"Colour","id":1,"visible":true,"pos":{"x":0.0,"y":0.0},"scale":{"x":1.0,"y":1.0}}]}},
            {"id":"color_source","versioned_id":"color_source_v3","name":"Colour",
             "settings":{"color":4278255360,"width":320,"height":180}}]}"#,
    );
    home
}

#[test]
fn over_rtmp_and_leaves_when_it_is_closed() {
    let server = Server::start("[apps.live]\n");
    let home = prepare_home(&server);
    // It says the number of the display it has taken.
    let screen = Process::start("Xvfb", program("Xvfb -displayfd 1 -screen 0 1024x768x24 -nolisten tcp"));
    let display = poll_until(seconds(20), "a display", || {
        screen.log().iter().find_map(|line| line.parse::<u32>().ok())
    });
    let mut obs = Command::new("obs");
    obs.args([
        "--multi",
        "--startstreaming",
        "--disable-updater",
        "--disable-missing-files-check",
    ])
    .args(["--profile", "mill", "--collection", "mill"])
    .env("DISPLAY", format!(":{display}"))
    .env("HOME", &home)
    .env("XDG_CONFIG_HOME", home.join(".config"))
    .env("LIBGL_ALWAYS_SOFTWARE", "1");
    let obs = Process::start("OBS", obs);

    let stream = || -> Option<Value> {
        let (_, text) = get(&server.http("api/v1/streams"))?;
        let streams: Value = serde_json::from_str(&text).ok()?;
        let stream = streams["streams"].as_array()?.first()?.clone();
        (stream["live"] == true && stream["tracks"].as_array()?.len() == 2).then_some(stream)
    };
    let stream_seen = poll_until(seconds(60), "OBS's stream", stream);
    assert_eq!(
        (&stream_seen["app"], &stream_seen["name"]),
        (&"live".into(), &"obs".into())
    );

    let url = server.rtmp("live/obs");
    let seen = poll_until(seconds(30), &url, || {
        probe(&url, 3).ok().filter(|seen| seen.tracks.len() == 2)
    });
    assert_eq!(seen.tracks, ["aac 48000", "h264 320x180"], "{}", server.log());
    seen.assert_rises_for(1.5);

    drop(obs);
    poll_until(seconds(30), "the end of OBS's stream", || {
        stream().is_none().then_some(())
    });
}
