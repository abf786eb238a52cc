//! `/stat`: the statistics as nginx-rtmp writes them, for the dashboards and scripts that read those.
//!
//! The tree, the units (`time` in milliseconds, `uptime` in seconds, `bw_*` in bits a second over ten seconds) and the
//! empty marker elements are nginx-rtmp's. Elements that only nginx could fill are left out, and names keep their
//! characters where nginx-rtmp blanks all but ASCII.

use std::{collections::BTreeMap, io, net::SocketAddr};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};
use streammill_media::{AudioFormat, Codec, Format, Track, VideoFormat};

use super::{Site, api, meter::Rates};
use crate::hub::{LiveSnapshot, Origin, Protocol, StreamSnapshot, SubscriberSnapshot};

type Xml = Writer<Vec<u8>>;

/// The whole document.
pub(super) fn document(site: &Site) -> io::Result<Vec<u8>> {
    let streams: Vec<(StreamSnapshot, Rates)> = {
        let streams = site.hub.streams();
        let meter = site.meter();
        streams
            .into_iter()
            .map(|stream| {
                let rates = meter.rates(&stream.key);
                (stream, rates)
            })
            .collect()
    };
    let mut apps: BTreeMap<&str, Vec<&(StreamSnapshot, Rates)>> = BTreeMap::new();
    for entry in &streams {
        apps.entry(entry.0.key.app()).or_default().push(entry);
    }
    let sum = |part: fn(&StreamSnapshot, &Rates) -> u64| -> u64 {
        streams.iter().map(|(stream, rates)| part(stream, rates)).sum()
    };

    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    xml.create_element("rtmp").write_inner_content(|xml| {
        text(xml, "nginx_version", concat!("streammill/", env!("CARGO_PKG_VERSION")))?;
        text(xml, "nginx_rtmp_version", env!("CARGO_PKG_VERSION"))?;
        text(xml, "pid", std::process::id())?;
        text(xml, "uptime", site.statistics.started.elapsed().as_secs())?;
        text(xml, "bw_in", sum(|_, rates| rates.bits_in))?;
        let received = |stream: &StreamSnapshot, _: &Rates| stream.live.as_ref().map_or(0, |live| live.bytes_in);
        text(xml, "bytes_in", sum(received))?;
        text(xml, "bw_out", sum(|_, rates| rates.bits_out))?;
        text(xml, "bytes_out", sum(|_, rates| rates.bytes_out))?;
        xml.create_element("server").write_inner_content(|xml| {
            for (app, streams) in &apps {
                application(xml, app, streams)?;
            }
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(xml.into_inner())
}

fn application(xml: &mut Xml, app: &str, streams: &[&(StreamSnapshot, Rates)]) -> io::Result<()> {
    xml.create_element("application").write_inner_content(|xml| {
        text(xml, "name", app)?;
        xml.create_element("live").write_inner_content(|xml| {
            for (stream, rates) in streams {
                live_stream(xml, stream, rates)?;
            }
            let clients: usize = streams.iter().map(|(stream, _)| clients(stream)).sum();
            text(xml, "nclients", clients)
        })?;
        Ok(())
    })?;
    Ok(())
}

/// Publisher and players alike.
fn clients(stream: &StreamSnapshot) -> usize {
    stream.subscribers.len() + usize::from(stream.live.is_some())
}

fn live_stream(xml: &mut Xml, stream: &StreamSnapshot, rates: &Rates) -> io::Result<()> {
    xml.create_element("stream").write_inner_content(|xml| {
        let live = stream.live.as_ref();
        text(xml, "name", stream.key.name())?;
        text(xml, "time", live.map_or(0, |live| live.uptime.as_millis()))?;
        text(xml, "bw_in", rates.bits_in)?;
        text(xml, "bytes_in", live.map_or(0, |live| live.bytes_in))?;
        text(xml, "bw_out", rates.bits_out)?;
        text(xml, "bytes_out", rates.bytes_out)?;
        text(xml, "bw_audio", rates.audio_bits)?;
        text(xml, "bw_video", rates.video_bits)?;
        if let Some(live) = live {
            publisher(xml, live)?;
        }
        for subscriber in &stream.subscribers {
            player(xml, subscriber, live)?;
        }
        if let Some(live) = live {
            meta(xml, live, rates)?;
        }
        text(xml, "nclients", clients(stream))?;
        if live.is_some() {
            xml.create_element("publishing").write_empty()?;
            xml.create_element("active").write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn publisher(xml: &mut Xml, live: &LiveSnapshot) -> io::Result<()> {
    xml.create_element("client").write_inner_content(|xml| {
        text(xml, "id", live.id.0)?;
        match &live.origin {
            Origin::Rtmp { peer, software } => {
                address(xml, *peer)?;
                text(xml, "time", live.uptime.as_millis())?;
                text(xml, "flashver", software)?;
            }
            Origin::Pipeline { template, .. } => {
                text(xml, "address", "pipeline")?;
                text(xml, "time", live.uptime.as_millis())?;
                text(xml, "flashver", template)?;
            }
        }
        text(xml, "dropped", 0)?;
        text(xml, "avsync", 0)?;
        text(xml, "timestamp", live.last_dts_millis)?;
        xml.create_element("publishing").write_empty()?;
        xml.create_element("active").write_empty()?;
        Ok(())
    })?;
    Ok(())
}

/// A client's address; one that came by a socket file has none.
fn address(xml: &mut Xml, peer: Option<SocketAddr>) -> io::Result<()> {
    match peer {
        Some(peer) => text(xml, "address", peer.ip()),
        None => text(xml, "address", "unix:"),
    }
}

fn player(xml: &mut Xml, subscriber: &SubscriberSnapshot, live: Option<&LiveSnapshot>) -> io::Result<()> {
    xml.create_element("client").write_inner_content(|xml| {
        text(xml, "id", subscriber.id.0)?;
        match subscriber.interest.protocol {
            Protocol::Pipeline => text(xml, "address", "pipeline")?,
            _ => address(xml, subscriber.interest.peer)?,
        }
        text(xml, "time", subscriber.uptime.as_millis())?;
        text(xml, "flashver", &subscriber.interest.software)?;
        text(xml, "dropped", subscriber.dropped)?;
        text(xml, "avsync", 0)?;
        text(xml, "timestamp", live.map_or(0, |live| live.last_dts_millis))?;
        if live.is_some() {
            xml.create_element("active").write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn meta(xml: &mut Xml, live: &LiveSnapshot, rates: &Rates) -> io::Result<()> {
    xml.create_element("meta").write_inner_content(|xml| {
        for track in &live.tracks.tracks {
            match track.format {
                Format::Video(format) => video(xml, track, format, rates)?,
                Format::Audio(format) => audio(xml, track, format)?,
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn video(xml: &mut Xml, track: &Track, format: VideoFormat, rates: &Rates) -> io::Result<()> {
    xml.create_element("video").write_inner_content(|xml| {
        text(xml, "width", format.width)?;
        text(xml, "height", format.height)?;
        text(xml, "frame_rate", rates.frames.round())?;
        text(xml, "codec", codec(track.codec))?;
        if let Some(profile) = api::profile_name(track) {
            text(xml, "profile", profile)?;
        }
        text(xml, "compat", format.constraints)?;
        text(
            xml,
            "level",
            format_args!("{}.{}", format.level / 10, format.level % 10),
        )
    })?;
    Ok(())
}

fn audio(xml: &mut Xml, track: &Track, format: AudioFormat) -> io::Result<()> {
    xml.create_element("audio").write_inner_content(|xml| {
        text(xml, "codec", codec(track.codec))?;
        if let Some(profile) = api::profile_name(track) {
            text(xml, "profile", profile)?;
        }
        text(xml, "channels", format.channels)?;
        text(xml, "sample_rate", format.sample_rate)
    })?;
    Ok(())
}

/// As nginx-rtmp calls it.
fn codec(codec: Codec) -> String {
    api::codec_name(codec).to_uppercase()
}

/// An element that holds a value. What comes from clients may hold characters that XML cannot carry, escaped or not
/// (XML 1.0 §2.2); they become spaces.
fn text(xml: &mut Xml, name: &str, value: impl std::fmt::Display) -> io::Result<()> {
    let is_allowed = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let value = value.to_string().replace(|c| !is_allowed(c), " ");
    xml.create_element(name).write_text_content(BytesText::new(&value))?;
    Ok(())
}
