//! From a track to the caps of its buffers.

use bytes::{BufMut, Bytes, BytesMut};
use streammill_media::{
    AudioFormat, Codec, Format, Track, VideoFormat,
    codec::{flac::StreamInfo, opus::OpusHead},
};

/// The caps of a track's buffers.
pub fn caps_of_track(track: &Track) -> gst::Caps {
    let caps = match track.format {
        Format::Video(video) => video_caps(track, video),
        Format::Audio(audio) => audio_caps(track, audio),
    };
    caps.build()
}

type Builder = gst::caps::Builder<gst::caps::NoFeature>;

fn video_caps(track: &Track, video: VideoFormat) -> Builder {
    let caps = match track.codec {
        Codec::Hevc => gst::Caps::builder("video/x-h265")
            .field("stream-format", "hvc1")
            .field("alignment", "au"),
        Codec::Av1 => gst::Caps::builder("video/x-av1")
            .field("stream-format", "obu-stream")
            .field("alignment", "tu"),
        Codec::Vp8 => gst::Caps::builder("video/x-vp8"),
        Codec::Vp9 => gst::Caps::builder("video/x-vp9"),
        // Video codecs to come have to be named above before the elements can carry them.
        _ => gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au"),
    };
    let caps = match (i32::try_from(video.width), i32::try_from(video.height)) {
        (Ok(width), Ok(height)) => caps.field("width", width).field("height", height),
        _ => caps,
    };
    match track.codec {
        Codec::Vp8 | Codec::Vp9 => caps,
        _ => caps.field("codec_data", gst::Buffer::from_slice(track.config.clone())),
    }
}

fn audio_caps(track: &Track, audio: AudioFormat) -> Builder {
    let caps = match track.codec {
        Codec::Mp3 => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 1i32)
            .field("layer", 3i32)
            .field("parsed", true),
        Codec::Opus => {
            let family = OpusHead::parse(&track.config).map_or(0, |head| head.mapping_family);
            gst::Caps::builder("audio/x-opus")
                .field("channel-mapping-family", i32::from(family))
                .field("streamheader", gst::Array::new([header(track.config.clone())]))
        }
        Codec::Flac => gst::Caps::builder("audio/x-flac")
            .field("framed", true)
            .field("streamheader", gst::Array::new([header(flac_in_ogg(&track.config))])),
        Codec::Ac3 => gst::Caps::builder("audio/x-ac3")
            .field("framed", true)
            .field("alignment", "frame"),
        Codec::Eac3 => gst::Caps::builder("audio/x-eac3")
            .field("framed", true)
            .field("alignment", "frame"),
        // Audio codecs to come have to be named above before the elements can carry them.
        _ => gst::Caps::builder("audio/mpeg")
            .field("mpegversion", 4i32)
            .field("stream-format", "raw")
            .field("framed", true)
            .field("codec_data", gst::Buffer::from_slice(track.config.clone())),
    };
    caps.field("rate", i32::try_from(audio.sample_rate).unwrap_or(i32::MAX))
        .field("channels", i32::from(audio.channels))
}

fn header(bytes: Bytes) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(bytes);
    // The buffer was just made, so there is no second reference to it.
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_flags(gst::BufferFlags::HEADER);
    }
    buffer
}

/// The first packet of the FLAC-in-Ogg mapping (RFC 9639 §10.1), which is what `streamheader` holds.
fn flac_in_ogg(config: &[u8]) -> Bytes {
    let block = StreamInfo::block(config);
    let mut packet = BytesMut::with_capacity(17 + block.len());
    packet.put_slice(b"\x7fFLAC\x01\0\0\0fLaC");
    // The last block, of type STREAMINFO.
    packet.put_u8(0x80);
    packet.put_uint(block.len() as u64, 3);
    packet.put_slice(block);
    packet.freeze()
}
