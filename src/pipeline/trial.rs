//! Trials: a template is run with the canned clip before anyone depends on it.
//!
//! Parsing finds unknown elements and properties. It does not find pads that cannot agree on a format, or a muxer that
//! waits for a track that never comes; running does.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gststreammill::{Delivery, Outlet};
use streammill_media::{Track, TrackKey};
use tokio::time::{sleep, timeout};

use super::{
    assembly::{Outgoing, outgoing, pads},
    clip::Clip,
    instance::{BuildError, Instance, Recipe, Report},
    params::Values,
    template::{Output, Template},
};

/// Time a template has to get through three seconds of media.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a trial found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What arrived: at `out` or one of its kin, and of which track.
    pub arrived: BTreeSet<(String, TrackKey)>,
    /// Size of the file it wrote.
    pub file_bytes: u64,
}

/// Runs a template with a clip. `Ok(None)` if it has nothing to do with the clip's tracks.
pub async fn run(template: &Template, values: &Values, clip: &Clip) -> Result<Option<Findings>, TrialError> {
    let arrived = Arc::new(Mutex::new(BTreeSet::new()));
    let dir = tempdir().map_err(|error| format!("no place for a trial recording: {error}"))?;
    let file = dir.0.join("trial");
    let tracks: &[Track] = if template.is_source() { &[] } else { &clip.tracks };
    let fitted = template.fit(values, tracks);
    let outgoing = outgoing(fitted.launch(), tracks);
    let expected = expected(&outgoing, pads(fitted.launch(), tracks));
    let outlets = outgoing
        .keys()
        .map(|sink| (sink.clone(), counting(sink, arrived.clone())));
    let recipe = Recipe {
        template,
        values,
        tracks,
        file: Some(&file),
        outlets: outlets.collect(),
    };
    let mut instance = match Instance::build(&recipe) {
        Ok(instance) => instance,
        Err(BuildError::NothingToDo) => return Ok(None),
        Err(error) => return Err(TrialError::Build(error)),
    };
    instance.start()?;
    let seen = || arrived.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if template.is_source() {
        wait_for_output(&mut instance, || expected.is_subset(&seen())).await?;
        instance.stop().await;
    } else {
        for frame in &clip.frames {
            if let Some(feed) = instance.feed(frame.track_key()) {
                feed.push(frame).map_err(|error| error.to_string())?;
            }
        }
        instance.finish(PATIENCE).await?;
    }
    let file_bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let findings = Findings {
        arrived: seen(),
        file_bytes,
    };
    match template.output {
        Output::Stream | Output::Segments => {
            if let Some((sink, track)) = expected.iter().find(|pad| !findings.arrived.contains(*pad)) {
                return Err(format!("no {track} arrived at `{sink}`").into());
            }
        }
        Output::File if findings.file_bytes == 0 => return Err("its file is empty".to_owned().into()),
        Output::File | Output::None => {}
    }
    Ok(Some(findings))
}

fn counting(sink: &str, arrived: Arc<Mutex<BTreeSet<(String, TrackKey)>>>) -> Outlet {
    let sink = sink.to_owned();
    Arc::new(move |track, delivery| {
        if let Delivery::Sample(_) = delivery {
            let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
            arrived.insert((sink.clone(), track));
        }
        Ok(())
    })
}

/// What has to come out: all that the texts lead to `out` and its kin. What goes in and leads nowhere is a mistake, too.
fn expected(outgoing: &Outgoing, fed: Vec<TrackKey>) -> BTreeSet<(String, TrackKey)> {
    let lost = fed
        .into_iter()
        .filter(|pad| !outgoing.values().any(|pads| pads.contains(pad)));
    let lost = lost.map(|pad| ("out".to_owned(), pad));
    let led = outgoing
        .iter()
        .flat_map(|(sink, pads)| pads.iter().map(|pad| (sink.clone(), *pad)));
    lost.chain(led).collect()
}

/// A source runs for ever, so its trial is over when everything has come out of it.
async fn wait_for_output(instance: &mut Instance, is_over: impl Fn() -> bool) -> Result<(), String> {
    let output = async {
        while !is_over() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        result = timeout(PATIENCE, output) => result.map_err(|_| format!("nothing came out of it within {PATIENCE:?}")),
        report = instance.report() => match report {
            Report::Failure(reason) => Err(reason),
            Report::End => Err("it came to its end at once".to_owned()),
        },
    }
}

/// Why a template does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// It cannot be built.
    #[error(transparent)]
    Build(BuildError),
    /// It fails while it runs.
    #[error("{0}")]
    Run(String),
}

impl From<String> for TrialError {
    fn from(reason: String) -> Self {
        Self::Run(reason)
    }
}

/// A directory that goes when this does.
struct TempDir(std::path::PathBuf);

fn tempdir() -> std::io::Result<TempDir> {
    let path = std::env::temp_dir().join(format!("streammill-trial-{:016x}", rand::random::<u64>()));
    std::fs::create_dir(&path)?;
    Ok(TempDir(path))
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What is left behind lies in the system's temporary directory, which is cleaned anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
