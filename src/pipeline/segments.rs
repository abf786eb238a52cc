//! To the packager: the chunks that a pipeline makes become a presentation's.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use streammill_media::{Format, Track, TrackKey};

use super::product::{Emit, What};
use crate::output::hls::{Presentation, TrackInfo, TrackWriter, WriteError};

/// Writes a presentation with these tracks, which arrive at these pads. The presentation ends with the pipeline that holds
/// it.
pub fn writer(presentation: &Presentation, tracks: &[(TrackKey, &Track)]) -> Result<Emit, WriteError> {
    let kinds: Vec<_> = tracks.iter().map(|(pad, _)| pad.kind).collect();
    presentation.expect(&kinds);
    let mut writers = BTreeMap::new();
    for (pad, track) in tracks {
        writers.insert(*pad, Mutex::new(Some(presentation.track(track_info(track))?)));
    }
    Ok(Arc::new(move |product| {
        let pad = product.pad;
        let Some(writer) = writers.get(&pad) else {
            return Err(format!("there is no track to write for {pad}"));
        };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let What::End = product.what {
            *writer = None;
            return Ok(());
        }
        write(writer.as_ref().ok_or("media after the end")?, product.what)
    }))
}

fn write(writer: &TrackWriter, what: What) -> Result<(), String> {
    match what {
        What::Header(header) => writer.init(header),
        What::Chunk(chunk) => writer.chunk(chunk),
        What::Track(_) | What::Frame(_) | What::Picture(_) | What::End => {
            return Err("a packager takes no frames".to_owned());
        }
    }
    Ok(())
}

fn track_info(track: &Track) -> TrackInfo {
    let codecs = track.rfc6381();
    let kind = track.kind();
    match track.format {
        Format::Video(video) => TrackInfo {
            kind,
            codecs,
            width: Some(video.width),
            height: Some(video.height),
            frame_rate: video.frame_rate,
            channels: None,
            sample_rate: None,
        },
        Format::Audio(audio) => TrackInfo {
            kind,
            codecs,
            width: None,
            height: None,
            frame_rate: None,
            channels: Some(audio.channels),
            sample_rate: Some(audio.sample_rate),
        },
    }
}
