//! A current ffmpeg, which writes and reads Enhanced RTMP; the distribution's does not.

use std::{path::PathBuf, process::Command};

use super::{Process, output_of, seconds};

/// What `scripts/install-ffmpeg` has put there.
fn path() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let path = target.join("tools/ffmpeg-current");
    assert!(
        path.exists(),
        "{} is missing; run scripts/install-ffmpeg",
        path.display()
    );
    path
}

fn command(arguments: &str) -> Command {
    let mut command = Command::new(path());
    command
        .args(["-hide_banner", "-nostdin", "-nostats"])
        .args(arguments.split_whitespace());
    command
}

/// Unlike older ones it asks who signed a certificate.
fn trust(url: &str) -> &'static [&'static str] {
    match url.starts_with("rtmps:") {
        true => &["-tls_verify", "0"],
        false => &[],
    }
}

/// Publishes a moving picture and two tones to `url`, encoded as `encoders` says, until it is dropped. The inputs are 0 for
/// the picture and 1 and 2 for the tones.
pub(crate) fn publish(encoders: &str, url: &str) -> Process {
    let mut publish = command(
        "-loglevel warning -re -f lavfi -i testsrc2=size=320x180:rate=25 \
         -re -f lavfi -i sine=frequency=440:sample_rate=48000 -re -f lavfi -i sine=frequency=880:sample_rate=48000",
    );
    publish.args(encoders.split_whitespace());
    publish.args(["-ac", "2", "-flvflags", "no_duration_filesize", "-f", "flv"]);
    publish.args(trust(url)).arg(url);
    Process::start("the publishing current ffmpeg", publish)
}

/// The tracks of `url` as `video hevc` and `audio aac`, sorted, of which it has decoded two seconds without complaint.
pub(crate) fn decode(url: &str) -> Result<Vec<String>, String> {
    let mut decode = command("-loglevel info");
    decode.args(trust(url)).args(["-i", url]);
    decode.args("-map 0:v -map 0:a -t 2 -f null -".split_whitespace());
    let output = output_of(decode, seconds(30));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(said);
    }
    // `Stream #0:1: Video: hevc (Main) …` of the input, which is described before the output.
    let input = said.split("Stream mapping:").next().unwrap_or_default();
    let mut tracks: Vec<_> = input
        .lines()
        .filter(|line| line.trim_start().starts_with("Stream #0:"))
        .filter_map(|line| {
            let kind = ["Video", "Audio"]
                .into_iter()
                .find(|kind| line.contains(&format!("{kind}: ")))?;
            let codec = line.split(&format!("{kind}: ")).nth(1)?;
            let codec: String = codec.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            Some(format!("{} {codec}", kind.to_lowercase()))
        })
        .collect();
    tracks.sort();
    let complaints = said.lines().filter(|line| {
        let line = line.to_lowercase();
        line.contains("error") || line.contains("invalid data") || line.contains("corrupt")
    });
    let complaints: Vec<_> = complaints.collect();
    match complaints.is_empty() {
        true => Ok(tracks),
        false => Err(complaints.join("\n")),
    }
}
