//! Playlists as text: a snapshot in, a string out (RFC 8216).
//!
//! Nothing here looks anything up or knows the time; what a playlist may say is decided by whoever takes the snapshot.

use std::{
    fmt::{self, Write},
    time::SystemTime,
};

use streammill_media::MediaTime;

use super::Resource;
use crate::output::date_time::Rfc3339;

/// What a media playlist lists (RFC 8216 §4.3.3).
#[derive(Clone, Debug)]
pub(super) struct Media {
    /// Seconds that no listed segment exceeds once rounded (§4.3.3.1).
    pub(super) target_duration: u64,
    /// Discontinuities before the first listed segment (§4.3.3.3).
    pub(super) discontinuity_sequence: u64,
    /// The segments, oldest first.
    pub(super) segments: Vec<Listed>,
    /// No segment will follow (§4.3.3.4).
    pub(super) ended: bool,
}

/// One segment of a media playlist.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Its media sequence number.
    pub(super) sequence: u64,
    /// Its file.
    pub(super) file: Resource,
    /// Its initialisation segment.
    pub(super) init: Resource,
    /// How long it lasts.
    pub(super) duration: MediaTime,
    /// Wall-clock time of its first frame.
    pub(super) date_time: SystemTime,
    /// Discontinuities before it, since the presentation began.
    pub(super) epoch: u64,
    /// A decoder can start with it.
    pub(super) independent: bool,
}

/// What a multivariant playlist offers (§4.3.4).
#[derive(Clone, Debug, Default)]
pub(super) struct Multivariant {
    /// The pictures, best choice first.
    pub(super) videos: Vec<Variant>,
    /// The sound, best choice first.
    pub(super) audios: Vec<Variant>,
    /// The pictures of other streams that are renditions of this one, and the relative URLs that their files are below.
    pub(super) renditions: Vec<(String, Variant)>,
    /// Every segment of every track can be started with.
    pub(super) independent: bool,
}

/// A track as a multivariant playlist describes it.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// Its playlist.
    pub(super) file: Resource,
    /// RFC 6381 name of its coding.
    pub(super) codecs: String,
    /// Width and height.
    pub(super) resolution: Option<(u32, u32)>,
    /// Frames per second as a fraction.
    pub(super) frame_rate: Option<(u32, u32)>,
    /// Channels of the sound.
    pub(super) channels: Option<u8>,
    /// Largest bit rate of a segment.
    pub(super) peak_bandwidth: u64,
    /// Bit rate of all listed segments.
    pub(super) average_bandwidth: u64,
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.segments.first().map_or(0, |segment| segment.sequence);
        // EXT-X-MAP outside of I-frame playlists needs version 6; 7 is what fMP4 players are tested with (§7).
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:7")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{}", self.target_duration)?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{first}")?;
        if self.discontinuity_sequence > 0 {
            writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuity_sequence)?;
        }
        if self.segments.iter().all(|segment| segment.independent) {
            writeln!(f, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        let mut epoch = self.discontinuity_sequence;
        let mut init = None;
        for segment in &self.segments {
            while epoch < segment.epoch {
                writeln!(f, "#EXT-X-DISCONTINUITY")?;
                epoch += 1;
            }
            if init != Some(segment.init) {
                writeln!(f, "#EXT-X-MAP:URI=\"{}\"", segment.init)?;
                init = Some(segment.init);
            }
            writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", Rfc3339(segment.date_time))?;
            writeln!(f, "#EXTINF:{:.6},\n{}", segment.duration.as_secs_f64(), segment.file)?;
        }
        if self.ended {
            writeln!(f, "#EXT-X-ENDLIST")?;
        }
        Ok(())
    }
}

impl Multivariant {
    /// The text, for a playlist whose tracks' files are found below `folder`, a relative URL without a final slash.
    pub(super) fn text(&self, folder: &str) -> Result<String, fmt::Error> {
        let mut text = "#EXTM3U\n#EXT-X-VERSION:7\n".to_owned();
        if self.independent {
            writeln!(text, "#EXT-X-INDEPENDENT-SEGMENTS")?;
        }
        // Sound alone, of one kind, needs no group.
        let group = match self.videos.is_empty() {
            false => &self.audios[..],
            true if self.audios.len() > 1 => &self.audios[..],
            true => &[],
        };
        for (number, audio) in (1..).zip(group) {
            let name = match number {
                1 => "Audio".to_owned(),
                number => format!("Audio {number}"),
            };
            let default = if number == 1 { "YES" } else { "NO" };
            write!(text, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{name}\"")?;
            write!(text, ",DEFAULT={default},AUTOSELECT=YES")?;
            if let Some(channels) = audio.channels {
                write!(text, ",CHANNELS=\"{channels}\"")?;
            }
            writeln!(text, ",URI=\"{folder}/{}\"", audio.file)?;
        }
        let mains = match self.videos.is_empty() {
            false => &self.videos[..],
            true => &self.audios[..self.audios.len().min(1)],
        };
        for main in mains {
            main.write_stream(group, folder, &mut text)?;
        }
        for (folder, rendition) in &self.renditions {
            rendition.write_stream(group, folder, &mut text)?;
        }
        Ok(text)
    }
}

impl Variant {
    /// `EXT-X-STREAM-INF` for these pictures with any of that sound (§4.3.4.2).
    fn write_stream(&self, group: &[Self], folder: &str, text: &mut String) -> fmt::Result {
        let sum = |part: fn(&Self) -> u64| {
            // Of the group one is played, whichever.
            let sound = group.iter().filter(|audio| audio.file != self.file).map(part).max();
            part(self) + sound.unwrap_or(0)
        };
        let mut codecs = vec![self.codecs.as_str()];
        for audio in group {
            if !codecs.contains(&audio.codecs.as_str()) {
                codecs.push(&audio.codecs);
            }
        }
        write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={}", sum(|it| it.peak_bandwidth))?;
        write!(text, ",AVERAGE-BANDWIDTH={}", sum(|it| it.average_bandwidth))?;
        write!(text, ",CODECS=\"{}\"", codecs.join(","))?;
        if let Some((width, height)) = self.resolution {
            write!(text, ",RESOLUTION={width}x{height}")?;
        }
        if let Some((numerator, denominator)) = self.frame_rate.filter(|(_, denominator)| *denominator > 0) {
            write!(text, ",FRAME-RATE={:.3}", f64::from(numerator) / f64::from(denominator))?;
        }
        if !group.is_empty() {
            write!(text, ",AUDIO=\"audio\"")?;
        }
        writeln!(text, "\n{folder}/{}", self.file)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, UNIX_EPOCH};

    use streammill_media::MediaKind;

    use super::{super::TrackName, *};

    const NOON: u64 = 1_795_435_200;

    fn track(kind: MediaKind) -> TrackName {
        TrackName::new(kind, 0).unwrap()
    }

    fn listed(sequence: u64, init: u64, epoch: u64, millis: i64) -> Listed {
        let (track, presentation) = (track(MediaKind::Video), 0xa1);
        Listed {
            sequence,
            file: Resource::Segment {
                track,
                presentation,
                sequence,
            },
            init: Resource::Init {
                track,
                presentation,
                number: init,
            },
            duration: MediaTime::from_millis(millis),
            date_time: UNIX_EPOCH + Duration::from_secs(NOON + 2 * sequence),
            epoch,
            independent: true,
        }
    }

    #[test]
    fn a_media_playlist_says_what_it_lists() {
        let playlist = Media {
            target_duration: 2,
            discontinuity_sequence: 0,
            segments: vec![listed(4, 0, 0, 2000), listed(5, 0, 0, 1960)],
            ended: false,
        };
        assert_eq!(
            playlist.to_string(),
            "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:4
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI=\"video.a1.init.0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-23T12:00:08.000Z
#EXTINF:2.000000,
video.a1.4.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-23T12:00:10.000Z
#EXTINF:1.960000,
video.a1.5.m4s
"
        );
    }

    #[test]
    fn a_new_configuration_and_the_end_are_told() {
        let playlist = Media {
            target_duration: 2,
            discontinuity_sequence: 3,
            segments: vec![listed(9, 1, 3, 2000), listed(10, 2, 4, 500)],
            ended: true,
        };
        let text = playlist.to_string();
        let tail = text.split_once("video.a1.9.m4s\n").unwrap().1;
        assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:3\n"), "{text}");
        assert_eq!(
            tail,
            "\
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI=\"video.a1.init.2.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-11-23T12:00:20.000Z
#EXTINF:0.500000,
video.a1.10.m4s
#EXT-X-ENDLIST
"
        );
    }

    #[test]
    fn a_track_that_missed_an_epoch_still_counts_as_the_others_do() {
        let playlist = Media {
            target_duration: 2,
            discontinuity_sequence: 0,
            segments: vec![listed(0, 0, 0, 2000), listed(1, 1, 2, 2000)],
            ended: false,
        };
        assert_eq!(playlist.to_string().matches("#EXT-X-DISCONTINUITY\n").count(), 2);
    }

    #[test]
    fn a_segment_that_no_decoder_can_start_with_is_not_called_independent() {
        let mut playlist = Media {
            target_duration: 2,
            discontinuity_sequence: 0,
            segments: vec![listed(0, 0, 0, 2000)],
            ended: false,
        };
        playlist.segments[0].independent = false;
        assert!(!playlist.to_string().contains("INDEPENDENT"));
    }

    fn video() -> Variant {
        Variant {
            file: Resource::Playlist {
                track: track(MediaKind::Video),
                presentation: 0xa1,
            },
            codecs: "avc1.64001f".to_owned(),
            resolution: Some((1280, 720)),
            frame_rate: Some((30_000, 1001)),
            channels: None,
            peak_bandwidth: 1_200_000,
            average_bandwidth: 1_000_000,
        }
    }

    fn audio() -> Variant {
        Variant {
            file: Resource::Playlist {
                track: track(MediaKind::Audio),
                presentation: 0xa1,
            },
            codecs: "mp4a.40.2".to_owned(),
            resolution: None,
            frame_rate: None,
            channels: Some(2),
            peak_bandwidth: 130_000,
            average_bandwidth: 128_000,
        }
    }

    #[test]
    fn picture_and_sound_are_a_variant_with_an_audio_group() {
        let playlist = Multivariant {
            renditions: Vec::new(),
            videos: vec![video()],
            audios: vec![audio()],
            independent: true,
        };
        assert_eq!(
            playlist.text("my%20cam").unwrap(),
            "\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",\
URI=\"my%20cam/audio.a1.media.m3u8\"
#EXT-X-STREAM-INF:BANDWIDTH=1330000,AVERAGE-BANDWIDTH=1128000,CODECS=\"avc1.64001f,mp4a.40.2\",\
RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"audio\"
my%20cam/video.a1.media.m3u8
"
        );
    }

    #[test]
    fn one_track_alone_needs_no_group() {
        let only = |videos, audios| {
            let playlist = Multivariant {
                renditions: Vec::new(),
                videos,
                audios,
                independent: false,
            };
            playlist.text("x").unwrap()
        };
        let sound = only(vec![], vec![audio()]);
        assert!(
            sound.ends_with("CODECS=\"mp4a.40.2\"\nx/audio.a1.media.m3u8\n"),
            "{sound}"
        );
        assert!(!only(vec![video()], vec![]).contains("audio"));
    }

    #[test]
    fn several_tracks_are_variants_and_renditions_with_every_codec() {
        let further = Variant {
            file: Resource::Playlist {
                track: TrackName::new(MediaKind::Audio, 1).unwrap(),
                presentation: 0xa1,
            },
            codecs: "opus".to_owned(),
            peak_bandwidth: 64_000,
            average_bandwidth: 60_000,
            ..audio()
        };
        let playlist = Multivariant {
            renditions: Vec::new(),
            videos: vec![video(), video()],
            audios: vec![audio(), further],
            independent: true,
        };
        let text = playlist.text("x").unwrap();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("#EXT-X-MEDIA:")).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("NAME=\"Audio\",DEFAULT=YES"), "{text}");
        assert!(lines[1].contains("NAME=\"Audio 2\",DEFAULT=NO"), "{text}");
        assert_eq!(
            text.matches("CODECS=\"avc1.64001f,mp4a.40.2,opus\"").count(),
            2,
            "{text}"
        );
        assert!(
            text.contains("BANDWIDTH=1330000,AVERAGE-BANDWIDTH=1128000"),
            "the dearest sound counts: {text}"
        );
    }
}
