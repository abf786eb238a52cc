//! What a current ffmpeg publishes over Enhanced RTMP comes out of every output with its codecs intact.

use crate::harness::{Certificate, Server, current_ffmpeg, get, poll_until, seconds};

const CONFIG: &str = "[apps.live]\npipelines = [\"hls\"]\n";
const HEVC: &str = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=error:keyint=25:bframes=2";
const AV1: &str = "-c:v libsvtav1 -preset 12 -pix_fmt yuv420p -g 25 -svtav1-params pred-struct=1";
const H264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25";

fn assert_comes_back(server: &Server, url: &str, tracks: &[&str]) {
    let mut said = String::new();
    let seen = poll_until(seconds(40), url, || match current_ffmpeg::decode(url) {
        Ok(seen) if seen.len() == tracks.len() => Some(seen),
        Ok(_) => None,
        Err(error) => {
            said = error;
            None
        }
    });
    assert_eq!(seen, tracks, "{said}\n{}", server.log());
}

#[test]
fn h264_and_aac_over_rtmp_and_rtmps() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = Certificate::issue(folder.path(), "own", &["localhost"]);
    let server = Server::start(&format!(
        "rtmp.tls_listen = [\"127.0.0.1:0\"]\ntls.certificates = [{}]\n[apps.live]\n",
        own.in_configuration()
    ));
    for (number, listener) in server.rtmp_listeners().iter().enumerate() {
        let url = format!("{listener}/live/test{number}");
        let _publisher = current_ffmpeg::publish(&format!("-map 0 -map 1 {H264} -c:a aac"), &url);
        assert_comes_back(&server, &url, &["audio aac", "video h264"]);
    }
}

#[test]
fn hevc_and_aac() {
    let server = Server::start(CONFIG);
    let _publisher = current_ffmpeg::publish(&format!("-map 0 -map 1 {HEVC} -c:a aac"), &server.rtmp("live/test"));
    for url in [
        server.rtmp("live/test"),
        server.http("live/test.flv"),
        server.http("live/test.m3u8"),
    ] {
        assert_comes_back(&server, &url, &["audio aac", "video hevc"]);
    }
    let (_, playlist) = get(&server.http("live/test.m3u8")).expect("a playlist");
    assert!(playlist.contains("CODECS=\"hvc1.1.6.L"), "{playlist}");
}

#[test]
fn av1_and_opus() {
    let server = Server::start(CONFIG);
    let _publisher = current_ffmpeg::publish(&format!("-map 0 -map 1 {AV1} -c:a libopus"), &server.rtmp("live/test"));
    for url in [
        server.rtmp("live/test"),
        server.http("live/test.flv"),
        server.http("live/test.m3u8"),
    ] {
        assert_comes_back(&server, &url, &["audio opus", "video av1"]);
    }
    let (_, playlist) = get(&server.http("live/test.m3u8")).expect("a playlist");
    assert!(
        playlist.contains("CODECS=\"av01.0.") && playlist.contains(",opus\""),
        "{playlist}"
    );
}

#[test]
fn vp9_and_flac_over_rtmp_and_flv() {
    let server = Server::start("[apps.live]\n");
    let encoders = "-map 0 -map 1 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt yuv420p -g 25 -c:a flac";
    let _publisher = current_ffmpeg::publish(encoders, &server.rtmp("live/test"));
    for url in [server.rtmp("live/test"), server.http("live/test.flv")] {
        assert_comes_back(&server, &url, &["audio flac", "video vp9"]);
    }
}

#[test]
fn h264_with_ac3_and_with_eac3_over_rtmp_and_flv() {
    for codec in ["ac3", "eac3"] {
        let server = Server::start("[apps.live]\n");
        let encoders = format!("-map 0 -map 1 {H264} -c:a {codec}");
        let _publisher = current_ffmpeg::publish(&encoders, &server.rtmp("live/test"));
        for url in [server.rtmp("live/test"), server.http("live/test.flv")] {
            assert_comes_back(&server, &url, &[&format!("audio {codec}"), "video h264"]);
        }
    }
}

#[test]
fn several_tracks_of_several_codecs() {
    let server = Server::start(CONFIG);
    let encoders = format!("-map 0 -map 1 -map 2 {H264} -c:a:0 aac -c:a:1 libopus");
    let _publisher = current_ffmpeg::publish(&encoders, &server.rtmp("live/test"));
    let all = ["audio aac", "audio opus", "video h264"];
    assert_comes_back(&server, &server.rtmp("live/test?tracks=all"), &all);
    assert_comes_back(&server, &server.http("live/test.flv?tracks=all"), &all);
    assert_comes_back(&server, &server.http("live/test.m3u8"), &all);
    // Who asks for nothing gets what every player can tell apart.
    let first = ["audio aac", "video h264"];
    assert_comes_back(&server, &server.rtmp("live/test"), &first);
    assert_comes_back(&server, &server.http("live/test.flv"), &first);
}

#[test]
fn hevc_is_transcoded_for_players_of_h264() {
    let config = "[apps.live]\npipelines = [{ template = \"transcode\", params = { height = 90 }, publish_to = \"small/{name}\" }]\n[apps.small]\n";
    let server = Server::start(config);
    let _publisher = current_ffmpeg::publish(&format!("-map 0 -map 1 {HEVC} -c:a libopus"), &server.rtmp("live/test"));
    assert_comes_back(&server, &server.rtmp("small/test"), &["audio aac", "video h264"]);
}
