//! ffprobe and ffmpeg as judges of what the server sends.

use std::{collections::BTreeMap, process::Command, time::Duration};

use serde_json::Value;

use super::{output_of, program, seconds};

/// What ffprobe saw of a stream or a file.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Per track `h264 640x360` or `aac 44100`, sorted.
    pub(crate) tracks: Vec<String>,
    /// Whole duration in seconds, where the container says it.
    pub(crate) duration: Option<f64>,
    packets: BTreeMap<String, Vec<Packet>>,
}

/// One packet, times in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) pts: f64,
    pub(crate) dts: f64,
    pub(crate) key: bool,
}

/// Reads about `length` seconds of `url`, a stream or a file. An answer that is not there yet is an `Err` with
/// ffprobe's words.
pub(crate) fn probe(url: &str, length: u32) -> Result<Probe, String> {
    let mut command = program("ffprobe -v error -of json -show_streams -show_format -show_packets");
    command.args(["-analyzeduration", "2000000", "-read_intervals", &format!("%+{length}")]);
    command.arg(url);
    let output = output_of(command, seconds(u64::from(length) + 25));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(said);
    }
    let json: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {said}"))?;
    let list = |key: &str| json[key].as_array().cloned().unwrap_or_default();

    let mut tracks = Vec::new();
    for stream in list("streams") {
        let codec = stream["codec_name"].as_str().unwrap_or("unknown");
        match stream["codec_type"].as_str() {
            Some("video") => tracks.push(format!("{codec} {}x{}", stream["width"], stream["height"])),
            Some("audio") => tracks.push(format!("{codec} {}", stream["sample_rate"].as_str().unwrap_or("?"))),
            _ => {}
        }
    }
    tracks.sort();
    tracks.dedup();

    let mut packets: BTreeMap<String, Vec<Packet>> = BTreeMap::new();
    for packet in list("packets") {
        let time = |key: &str| packet[key].as_str().and_then(|text| text.parse::<f64>().ok());
        let kind = packet["codec_type"].as_str().unwrap_or_default().to_owned();
        // Script data, which ffprobe calls subtitles, comes when it comes.
        if !matches!(kind.as_str(), "video" | "audio") {
            continue;
        }
        if let Some(dts) = time("dts_time").or_else(|| time("pts_time")) {
            packets.entry(kind).or_default().push(Packet {
                pts: time("pts_time").unwrap_or(dts),
                dts,
                key: packet["flags"].as_str().is_some_and(|flags| flags.contains('K')),
            });
        }
    }
    let duration = json["format"]["duration"].as_str().and_then(|text| text.parse().ok());
    Ok(Probe {
        tracks,
        duration,
        packets,
    })
}

impl Probe {
    pub(crate) fn video(&self) -> &[Packet] {
        self.packets.get("video").map_or(&[], Vec::as_slice)
    }

    pub(crate) fn audio(&self) -> &[Packet] {
        self.packets.get("audio").map_or(&[], Vec::as_slice)
    }

    /// Whether every track goes on without a hole for at least `length` seconds: not so while a publisher is exchanged.
    pub(crate) fn has_no_hole_for(&self, length: f64) -> bool {
        let is_whole = |packets: &Vec<Packet>| {
            let has_hole = packets.windows(2).any(|pair| pair[1].dts - pair[0].dts >= 0.5);
            !has_hole && packets.last().is_some_and(|last| last.dts - packets[0].dts >= length)
        };
        !self.packets.is_empty() && self.packets.values().all(is_whole)
    }

    /// Every track rises without a hole for at least `length` seconds, and the tracks run beside each other.
    pub(crate) fn assert_rises_for(&self, length: f64) {
        for pair in self.video().windows(2) {
            assert!(pair[1].dts > pair[0].dts, "two frames at {}", pair[0].dts);
        }
        self.assert_runs_for(length);
    }

    /// As [`assert_rises_for`](Self::assert_rises_for), for publishers that may give two pictures one time.
    pub(crate) fn assert_runs_for(&self, length: f64) {
        assert!(!self.packets.is_empty(), "no packet at all");
        for (kind, packets) in &self.packets {
            for pair in packets.windows(2) {
                let step = pair[1].dts - pair[0].dts;
                assert!(
                    (0.0..0.5).contains(&step),
                    "{kind}: from {} to {}",
                    pair[0].dts,
                    pair[1].dts
                );
            }
            let span = packets.last().map_or(0.0, |last| last.dts - packets[0].dts);
            assert!(span >= length, "{kind}: {span} s instead of {length}");
            let late = packets.iter().find(|packet| packet.pts + 0.001 < packet.dts);
            assert!(late.is_none(), "{kind}: shown before it is decoded: {late:?}");
        }
        if let (Some(video), Some(audio)) = (self.video().first(), self.audio().first()) {
            assert!(
                (video.dts - audio.dts).abs() < 1.5,
                "video begins at {}, audio at {}",
                video.dts,
                audio.dts
            );
        }
    }
}

/// Decodes `length` seconds of `url` from second `from` on and fails on any complaint of the decoder.
pub(crate) fn assert_decodes(url: &str, from: u32, length: u32) {
    let mut command: Command = program("ffmpeg -hide_banner -nostats -loglevel error");
    if from > 0 {
        command.args(["-ss", &from.to_string()]);
    }
    // In the time base of the input: rounded to whole frames, two frames of a source that jitters can fall together.
    command.args([
        "-i",
        url,
        "-t",
        &length.to_string(),
        "-vsync",
        "passthrough",
        "-enc_time_base",
        "-1",
    ]);
    command.args(["-f", "null", "-"]);
    let output = output_of(command, Duration::from_secs(u64::from(length) + 25));
    let said = String::from_utf8_lossy(&output.stderr);
    // Two frames at one time are no matter of the decoder's; whoever minds them looks at the times.
    let of_times = |line: &&str| line.contains("non monotonically increasing dts to muxer");
    let complaints: Vec<_> = said.lines().filter(|line| !of_times(line)).collect();
    assert!(
        output.status.success() && complaints.is_empty(),
        "{url} does not decode: {said}"
    );
}
