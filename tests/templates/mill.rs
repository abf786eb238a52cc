//! A hub with pipelines, publishers and players: everything but the protocols.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use streammill::{
    config::Config,
    hub::{self, Door, Event, Hub, Interest, Origin, Protocol, StreamKey},
    output::{hls, pictures::Pictures},
    pipeline::{
        self,
        conductor::conduct,
        encoder::Equipment,
        library::Library,
        memory::Kits,
        plan::Plan,
        roster::Roster,
        supervisor::Services,
        worker::{Limits, Workers},
    },
};
use streammill_media::{
    FrameRole, MediaKind, Track,
    flv::{Reader, Tag},
};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Everything but the protocols.
pub(crate) struct Mill {
    pub(crate) services: Services,
    pub(crate) roster: Roster,
    stop: CancellationToken,
    conductor: JoinHandle<()>,
}

impl Mill {
    pub(crate) fn start(config: &str) -> Self {
        pipeline::start().unwrap();
        let config: Config = toml::from_str(config).unwrap();
        let (library, problems) = Library::load(&config.templates.paths);
        assert!(problems.is_empty(), "{problems:?}");
        let services = Services {
            hub: Hub::new(hub::Limits::default()),
            segments: hls::Store::new(64 << 20),
            pictures: Pictures::default(),
            hls: hls::Settings::default(),
            workers: Some(Workers::new(PathBuf::from(env!("CARGO_BIN_EXE_streammill")))),
            limits: Limits::default(),
            encoders: Equipment::new(&config.encoders).unwrap().bench,
            kits: Kits::none(),
        };
        let (roster, stop) = (Roster::default(), CancellationToken::new());
        let plan = Plan::new(&config, &library).unwrap();
        let conductor = tokio::spawn(conduct(plan, services.clone(), roster.clone(), stop.clone()));
        Self {
            services,
            roster,
            stop,
            conductor,
        }
    }

    pub(crate) fn publish(&self, key: &str) -> Door {
        let origin = Origin::Rtmp {
            peer: Some("127.0.0.1:1".parse().unwrap()),
            software: "test".to_owned(),
        };
        Door::new(self.services.hub.claim(StreamKey::parse(key).unwrap(), origin).unwrap())
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.conductor).await.unwrap().unwrap();
    }

    /// Plays a stream from its begin to its end.
    pub(crate) fn play(&self, key: &str) -> JoinHandle<Played> {
        let interest = Interest {
            protocol: Protocol::Rtmp,
            peer: None,
            software: "test".to_owned(),
            from_cache: true,
            wait_for_key_frame: true,
        };
        let mut subscriber = self.services.hub.subscribe(&StreamKey::parse(key).unwrap(), interest);
        tokio::spawn(async move {
            let (mut played, mut batch) = (Played::default(), Vec::new());
            loop {
                let event = subscriber.next(100, &mut batch).await;
                if let Some(known) = subscriber.tracks() {
                    played.tracks = known.borrow().tracks.clone();
                }
                for packet in batch.drain(..) {
                    let frame = &packet.frame;
                    if frame.role == FrameRole::Coded {
                        played.frames.push((frame.kind, frame.dts.as_millis(), frame.key));
                    }
                }
                if event == Event::Ended {
                    return played;
                }
            }
        })
    }
}

/// What a player got.
#[derive(Default)]
pub(crate) struct Played {
    /// Kind, decoding time in milliseconds, and whether it is a key frame.
    pub(crate) frames: Vec<(MediaKind, i64, bool)>,
    pub(crate) tracks: Vec<Track>,
}

pub(crate) async fn ended(player: JoinHandle<Played>) -> Played {
    tokio::time::timeout(PATIENCE, player).await.unwrap().unwrap()
}

/// A publisher's messages.
pub(crate) struct Clip(Vec<Tag>);

impl Clip {
    /// Made by ffmpeg with these arguments, which end before the output.
    pub(crate) fn made(arguments: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clip.flv");
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin"])
            .args(arguments.split_whitespace())
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut reader = Reader::new(16 << 20);
        reader.push(&std::fs::read(&file).unwrap());
        Self(std::iter::from_fn(|| reader.next_tag().unwrap()).collect())
    }

    /// Test picture and tone for some seconds, a key frame a second, two reordered pictures.
    pub(crate) fn seconds(seconds: u32, size: &str) -> Self {
        Self::made(&format!(
            "-f lavfi -i testsrc2=size={size}:rate=25 -f lavfi -i sine=frequency=440:sample_rate=44100 -t {seconds} \
             -c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -c:a aac -b:a 64k"
        ))
    }

    pub(crate) fn only(mut self, kind: MediaKind) -> Self {
        // The metadata would announce the other kind.
        self.0.retain(|tag| tag.kind == kind);
        self
    }

    pub(crate) fn send(&self, door: &mut Door, shift_ms: u32) {
        for tag in &self.0 {
            let (time, body): (u32, Bytes) = (tag.timestamp_ms.wrapping_add(shift_ms), tag.body.clone());
            match tag.kind {
                MediaKind::Video => door.video(time, body).unwrap(),
                MediaKind::Audio => door.audio(time, body).unwrap(),
                MediaKind::Data => door.data(time, body).unwrap(),
            }
        }
    }
}

pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
