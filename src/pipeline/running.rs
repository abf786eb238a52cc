//! Running pipelines: an instance here, or one in a worker. Whoever feeds it need not know which.

use std::time::Duration;

use bytes::Bytes;
use gststreammill::Level;
use streammill_media::{MediaTime, Track, TrackKey};

use super::{
    control::{Answer, Control},
    instance::{Failure, Handle, Instance, Report},
    product::Origin,
    stages::Stages,
    worker::{Usage, Worker, WorkerRemote},
};

/// A pipeline that runs.
#[derive(Debug)]
pub struct Running {
    place: Place,
    origin: Origin,
}

#[derive(Debug)]
enum Place {
    Here(Instance),
    Worker(Worker),
}

impl Running {
    /// One in this process.
    pub fn here(instance: Instance, origin: Origin) -> Self {
        Self {
            place: Place::Here(instance),
            origin,
        }
    }

    /// One in a worker.
    pub fn in_worker(worker: Worker, origin: Origin) -> Self {
        Self {
            place: Place::Worker(worker),
            origin,
        }
    }

    /// Where its running time zero lies on the stream's timeline: where it was said to, or else at this first frame.
    pub fn origin(&mut self, first: MediaTime) -> MediaTime {
        if let Some(origin) = self.origin.get() {
            return *origin;
        }
        let origin = *self.origin.get_or_init(|| first);
        if let Place::Worker(worker) = &mut self.place {
            worker.set_origin(origin);
        }
        origin
    }

    /// Whether it takes a track of the stream.
    pub fn takes(&self, track: TrackKey) -> bool {
        match &self.place {
            Place::Here(instance) => instance.takes(track),
            Place::Worker(worker) => worker.takes(track),
        }
    }

    /// What follows of a track is configured anew.
    pub fn configure(&mut self, track: &Track) {
        match &mut self.place {
            Place::Here(instance) => instance.configure(track),
            Place::Worker(worker) => worker.configure(track),
        }
    }

    /// What waits of a track.
    pub fn level(&self, track: TrackKey) -> Level {
        match &self.place {
            Place::Here(instance) => instance.level(track),
            Place::Worker(worker) => worker.level(track),
        }
    }

    /// Hands over a frame, with times from zero.
    pub fn push(
        &mut self,
        track: TrackKey,
        data: Bytes,
        key: bool,
        dts: MediaTime,
        pts: MediaTime,
    ) -> Result<(), String> {
        match &mut self.place {
            Place::Here(instance) => instance
                .push(track, data, key, dts, pts)
                .map_err(|error| error.to_string()),
            Place::Worker(worker) => worker.push(track, data, key, dts, pts),
        }
    }

    /// Waits for the next report. Cancelling loses nothing.
    pub async fn report(&mut self) -> Report {
        match &mut self.place {
            Place::Here(instance) => instance.report().await,
            Place::Worker(worker) => worker.report().await,
        }
    }

    /// For whoever looks at it, or changes something, while another feeds it.
    pub fn remote(&self) -> Remote {
        match &self.place {
            Place::Here(instance) => Remote::Here(instance.handle()),
            Place::Worker(worker) => Remote::Worker(worker.remote()),
        }
    }

    /// Lets what is inside come out, for as long as `patience` lasts, then stops.
    pub async fn finish(self, patience: Duration) -> Result<(), Failure> {
        match self.place {
            Place::Here(instance) => instance.finish(patience).await,
            Place::Worker(worker) => worker.finish(patience).await,
        }
    }

    /// Stops at once.
    pub async fn stop(self) {
        match self.place {
            Place::Here(instance) => instance.stop().await,
            Place::Worker(worker) => worker.stop().await,
        }
    }
}

/// A running pipeline, as one sees it who does not feed it.
#[derive(Clone, Debug)]
pub enum Remote {
    /// It runs in this process.
    Here(Handle),
    /// It runs in a worker.
    Worker(WorkerRemote),
}

impl Remote {
    /// What waits of each track.
    pub fn levels(&self) -> Vec<(TrackKey, Level)> {
        match self {
            Self::Here(handle) => handle.levels(),
            Self::Worker(worker) => worker.levels(),
        }
    }

    /// How long pictures take through it.
    pub fn stages(&self) -> Stages {
        match self {
            Self::Here(handle) => handle.stages(),
            Self::Worker(worker) => worker.stages(),
        }
    }

    /// What its process has taken of the machine; of one in this process that is not known.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Here(_) => None,
            Self::Worker(worker) => Some(worker.usage()),
        }
    }

    /// Changes something, or answers something.
    pub async fn control(&self, control: Control) -> Result<Answer, String> {
        match self {
            Self::Here(handle) => handle.control(&control),
            Self::Worker(worker) => worker.control(control).await,
        }
    }
}
