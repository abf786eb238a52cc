//! ffmpeg as a publisher: a moving test picture and a tone, encoded in real time.

use super::{Process, output_of, program, seconds};

/// What is published. The default is 640x360 at 25 frames a second with B-frames, a key frame a second, and sound.
pub(crate) struct Publish {
    size: &'static str,
    bit_rate: &'static str,
    video: bool,
    audio: bool,
    key_frame_every: u32,
    seconds: Option<u32>,
    first_timestamp: f64,
}

const FRAME_RATE: u32 = 25;

impl Publish {
    pub(crate) fn new() -> Self {
        Self {
            size: "640x360",
            bit_rate: "500k",
            video: true,
            audio: true,
            key_frame_every: 1,
            seconds: None,
            first_timestamp: 0.0,
        }
    }

    pub(crate) fn size(self, size: &'static str) -> Self {
        Self { size, ..self }
    }

    /// Bits a second of the picture.
    pub(crate) fn bit_rate(self, bit_rate: &'static str) -> Self {
        Self { bit_rate, ..self }
    }

    pub(crate) fn without_video(self) -> Self {
        Self { video: false, ..self }
    }

    pub(crate) fn without_audio(self) -> Self {
        Self { audio: false, ..self }
    }

    pub(crate) fn key_frame_every(self, seconds: u32) -> Self {
        Self {
            key_frame_every: seconds,
            ..self
        }
    }

    /// Ends by itself after so many seconds of media.
    pub(crate) fn seconds(self, count: u32) -> Self {
        Self {
            seconds: Some(count),
            ..self
        }
    }

    /// The timestamp, in seconds, that the stream begins with.
    pub(crate) fn first_timestamp(self, seconds: f64) -> Self {
        Self {
            first_timestamp: seconds,
            ..self
        }
    }

    /// Starts publishing to `url`.
    pub(crate) fn to(self, url: &str) -> Process {
        let mut line = "ffmpeg -hide_banner -nostats -loglevel warning".to_owned();
        if self.video {
            line += &format!(" -re -f lavfi -i testsrc2=size={}:rate={FRAME_RATE}", self.size);
        }
        if self.audio {
            line += " -re -f lavfi -i sine=frequency=440:sample_rate=44100";
        }
        if self.video {
            let group = self.key_frame_every * FRAME_RATE;
            line += " -c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p -sc_threshold 0";
            line += &format!(" -b:v {}", self.bit_rate);
            line += &format!(" -g {group} -keyint_min {group}");
        }
        if self.audio {
            line += " -c:a aac -b:a 96k -ac 2";
        }
        if let Some(seconds) = self.seconds {
            line += &format!(" -t {seconds}");
        }
        if self.first_timestamp > 0.0 {
            line += &format!(" -output_ts_offset {}", self.first_timestamp);
        }
        line += " -flvflags no_duration_filesize -f flv";
        let mut command = program(&line);
        command.arg(url);
        Process::start("the publishing ffmpeg", command)
    }
}

/// An FLV file with so many seconds of picture and sound, a key frame each second.
pub(crate) fn clip(size: &str, length: u32) -> Vec<u8> {
    let output = output_of(
        program(&format!(
            "ffmpeg -hide_banner -nostats -loglevel error -f lavfi -i testsrc2=size={size}:rate={FRAME_RATE} \
             -f lavfi -i sine=sample_rate=44100 -t {length} -c:v libx264 -preset ultrafast -pix_fmt yuv420p \
             -g {FRAME_RATE} -sc_threshold 0 -c:a aac -ac 2 -flvflags no_duration_filesize -f flv pipe:1"
        )),
        seconds(60),
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
