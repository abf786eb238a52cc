//! Jobs: a pipeline that is to run, and how it is.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::SystemTime};

use gststreammill::Level;
use streammill_media::TrackKey;
use tokio::sync::oneshot;

use super::{
    control::Answer,
    params::{Given, Values},
    stages::Stage,
    template::Template,
    worker::Usage,
};
use crate::{
    config::{ONLY_OUTPUT, RecordFormat},
    hub::{PublicationId, StreamKey},
};

/// A pipeline that is to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The template.
    pub template: Arc<Template>,
    /// Its parameters.
    pub values: Values,
    /// The publication it works on; none for a source.
    pub input: Option<Input>,
    /// Where the result goes.
    pub destination: Destination,
}

/// The publication a pipeline works on.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its key.
    pub key: StreamKey,
    /// Which publication of that key.
    pub id: PublicationId,
    /// What it was made from itself, nearest first.
    pub ancestors: Vec<StreamKey>,
}

/// Where a pipeline's result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Streams, by the outputs of the template.
    Streams(BTreeMap<String, StreamKey>),
    /// The packager, as this stream's presentation.
    Segments(StreamKey),
    /// Whoever asks for this stream's picture.
    Pictures(StreamKey),
    /// A file in a directory, named after the stream.
    Recording {
        /// The directory.
        dir: PathBuf,
        /// The container.
        format: RecordFormat,
    },
    /// What the template's own elements make of it.
    None,
}

impl Destination {
    /// The streams it publishes.
    pub fn streams(&self) -> Vec<StreamKey> {
        match self {
            Self::Streams(streams) => streams.values().cloned().collect(),
            Self::Segments(_) | Self::Pictures(_) | Self::Recording { .. } | Self::None => Vec::new(),
        }
    }

    /// The only output of a template, as this stream.
    pub fn only(key: StreamKey) -> Self {
        Self::Streams(BTreeMap::from([(ONLY_OUTPUT.to_owned(), key)]))
    }
}

/// How a pipeline is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// How often it was built again after a failure.
    pub restarts: u32,
    /// What failed last.
    pub last_error: Option<String>,
    /// What it goes on in spite of.
    pub warning: Option<String>,
    /// What it does without for want of encoders.
    pub shortage: Option<String>,
    /// When its current instance began.
    pub started: Option<SystemTime>,
    /// The file it writes, or wrote last.
    pub file: Option<PathBuf>,
    /// Frames it was too slow for.
    pub dropped: u64,
    /// The streams it publishes.
    pub publishes: Vec<StreamKey>,
    /// Its parameters, as they are set now.
    pub values: Values,
    /// The encoders that were chosen for its roles: the role, and the element.
    pub encoders: Vec<(String, String)>,
    /// The kit whose memory pictures are in, if they are in a device's.
    pub kit: Option<String>,
    /// What waits to go in, of each track.
    pub levels: Vec<(TrackKey, Level)>,
    /// How long pictures take through it.
    pub stages: Vec<Stage>,
    /// What its worker has taken of the machine, if it is in one.
    pub usage: Option<Usage>,
}

/// What a pipeline is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It is not known yet what the stream is made of.
    #[default]
    Waiting,
    /// The stream has no track that the template works on.
    Idle,
    /// It runs.
    Running,
    /// It failed, and will be built again.
    Restarting,
    /// It has failed too often, and is left alone until someone starts it anew.
    Quarantined,
    /// It works off what it was fed.
    Finishing,
    /// It is over.
    Ended,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Idle,
        Self::Running,
        Self::Restarting,
        Self::Quarantined,
        Self::Finishing,
        Self::Ended,
    ];

    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Quarantined => "quarantined",
            Self::Finishing => "finishing",
            Self::Ended => "ended",
        }
    }
}

/// A change to a pipeline that runs, and who asked for it.
#[derive(Debug)]
pub struct Command {
    /// What is asked.
    pub request: Request,
    /// What came of it.
    pub answer: oneshot::Sender<Result<Answer, String>>,
}

/// What can be asked of a pipeline that runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Change these parameters, where the elements take that while they run.
    Set(Given),
    /// Begin a group of pictures with the next one.
    KeyFrame,
    /// Show the elements as they are now.
    Graph,
    /// Publish what comes out under this key, too.
    Publish {
        /// At which output; at the only one, if it is not said.
        output: Option<String>,
        /// The key.
        key: StreamKey,
    },
    /// Publish it there no longer.
    Unpublish(StreamKey),
}
