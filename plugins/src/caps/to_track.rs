//! From the caps of an encoder's buffers to a track.

use bytes::{BufMut, Bytes, BytesMut};
use streammill_media::{Codec, Track, TrackId, codec::av1};

use super::CapsError;

/// The track that caps describe: the inverse of [`caps_of_track`](super::caps_of_track). Codings without a decoder
/// configuration are described by their `first` frame.
pub fn track_of_caps(caps: &gst::CapsRef, id: TrackId, first: &[u8]) -> Result<Track, CapsError> {
    let structure = caps.structure(0).ok_or(CapsError::Empty)?;
    let codec = codec_of(structure).ok_or_else(|| CapsError::Codec { caps: caps.to_string() })?;
    let missing = || CapsError::NoConfig { caps: caps.to_string() };
    let config = match codec {
        Codec::Mp3 | Codec::Ac3 | Codec::Eac3 => Bytes::new(),
        Codec::Vp8 | Codec::Vp9 => vpcc(structure),
        Codec::Opus => stream_header(structure)?.unwrap_or_default(),
        // Behind the signature and version of the FLAC-in-Ogg mapping.
        Codec::Flac => {
            let header = stream_header(structure)?.ok_or_else(missing)?;
            header.slice(header.len().min(9)..)
        }
        // libaom's element tells nothing; the first key frame does.
        Codec::Av1 if !structure.has_field("codec_data") => {
            let record = av1::record_of_key_frame(first).map_err(CapsError::Frame)?;
            record.ok_or_else(missing)?
        }
        _ => {
            let buffer = structure.get::<gst::Buffer>("codec_data").map_err(|_| missing())?;
            bytes_of(&buffer)?
        }
    };
    Track::from_frame(id, codec, config.clone(), first).map_err(|error| match config.is_empty() {
        true => CapsError::Frame(error),
        false => CapsError::Config(error),
    })
}

fn codec_of(structure: &gst::StructureRef) -> Option<Codec> {
    let codec = match structure.name().as_str() {
        "video/x-h264" => Codec::H264,
        "video/x-h265" => Codec::Hevc,
        "video/x-av1" => Codec::Av1,
        "video/x-vp8" => Codec::Vp8,
        "video/x-vp9" => Codec::Vp9,
        "audio/mpeg" => match structure.get::<i32>("mpegversion") {
            Ok(2 | 4) => Codec::Aac,
            Ok(1) => Codec::Mp3,
            _ => return None,
        },
        "audio/x-opus" => Codec::Opus,
        "audio/x-flac" => Codec::Flac,
        "audio/x-ac3" => Codec::Ac3,
        "audio/x-eac3" => Codec::Eac3,
        _ => return None,
    };
    Some(codec)
}

/// The first packet of `streamheader`, if there is one.
fn stream_header(structure: &gst::StructureRef) -> Result<Option<Bytes>, CapsError> {
    let Ok(packets) = structure.get::<gst::ArrayRef<'_>>("streamheader") else {
        return Ok(None);
    };
    let first = packets.first().and_then(|packet| packet.get::<gst::Buffer>().ok());
    first.map(|buffer| bytes_of(&buffer)).transpose()
}

fn bytes_of(buffer: &gst::BufferRef) -> Result<Bytes, CapsError> {
    let mapped = buffer.map_readable().map_err(|_| CapsError::Unreadable)?;
    Ok(Bytes::copy_from_slice(&mapped))
}

/// A `vpcC` record from what the caps tell; its level is left unknown, its colours too.
fn vpcc(structure: &gst::StructureRef) -> Bytes {
    const UNSPECIFIED: u8 = 2;
    let profile = structure.get::<&str>("profile").ok().and_then(|text| text.parse().ok());
    let profile: u8 = profile.filter(|profile| *profile <= 3).unwrap_or(0);
    let depth = structure.get::<u32>("bit-depth-luma").unwrap_or(8);
    let depth = u8::try_from(depth)
        .ok()
        .filter(|depth| matches!(depth, 8 | 10 | 12))
        .unwrap_or(8);
    // 4:2:0 with luma and chroma side by side, which all of profiles 0 and 2 has.
    let chroma = match structure.get::<&str>("chroma-format") {
        Ok("4:4:4") => 3,
        Ok("4:2:2") => 2,
        _ => 1,
    };
    let mut record = BytesMut::with_capacity(8);
    record.put_u8(profile);
    record.put_u8(0);
    record.put_u8(depth << 4 | chroma << 1);
    record.put_slice(&[UNSPECIFIED; 3]);
    record.put_u16(0);
    record.freeze()
}
