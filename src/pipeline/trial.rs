//! Trials: a template is run with the canned clip before anyone depends on it.
//!
//! Parsing finds unknown elements and properties. It does not find pads that cannot agree on a format, or a muxer that
//! waits for a track that never comes; running does.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use streammill_media::{MediaTime, Track, TrackKey};
use tokio::time::{sleep, timeout};

use super::{
    blueprint::{Blueprint, Recipe, is_installed},
    clip::Clip,
    encoder::{Chosen, NoEncoder},
    instance::{BuildError, Failure, Instance, Report},
    memory::Kits,
    product::{Emit, What},
    running::Running,
    template::{Fitted, Output},
    worker::Workers,
};

/// Time a template has to get through three seconds of media.
const PATIENCE: Duration = Duration::from_secs(20);

/// Something that arrived: at which `millsink`, and of which track.
pub type Arrival = (String, TrackKey);

/// What a trial found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What arrived: at `out` or one of its kin, and of which track.
    pub arrived: BTreeSet<Arrival>,
    /// Size of the file it wrote.
    pub file_bytes: u64,
}

/// Runs a template, fitted to a clip's tracks, with that clip. `Ok(None)` if it has nothing to do with them.
///
/// With `workers` it runs in one of them, because it may crash; else in this process.
pub async fn run(
    fitted: &Fitted,
    encoders: &Chosen,
    clip: &Clip,
    workers: Option<&Workers>,
) -> Result<Option<Findings>, TrialError> {
    let arrived = Arc::new(Mutex::new(BTreeSet::new()));
    let dir = tempdir().map_err(|error| format!("no place for a trial recording: {error}"))?;
    let file = dir.0.join("trial");
    let template = &fitted.template;
    let tracks: &[Track] = if template.is_source() { &[] } else { &clip.tracks };
    let recipe = Recipe {
        fitted,
        encoders,
        // Whoever tries it elsewhere finds the same.
        kits: &Kits::none(),
        tracks,
        file: Some(&file),
    };
    let blueprint = match Blueprint::draw(&recipe, is_installed) {
        Ok(blueprint) => blueprint,
        Err(BuildError::NothingToDo) => return Ok(None),
        Err(error) => return Err(TrialError::Build(error)),
    };
    let expected = expected(&blueprint);
    let origin = Arc::new(OnceLock::new());
    let emit = counting(&blueprint, arrived.clone());
    let mut running = match workers {
        Some(workers) => Running::in_worker(workers.start(blueprint, emit).await?, origin),
        None => {
            let mut instance = Instance::build(&blueprint, &origin, &emit).map_err(TrialError::Build)?;
            instance.start()?;
            Running::here(instance, origin)
        }
    };
    running.origin(MediaTime::ZERO);
    let seen = || arrived.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if template.is_source() {
        wait_for_output(&mut running, || expected.is_subset(&seen())).await?;
        running.stop().await;
    } else {
        for frame in &clip.frames {
            running.push(frame.track_key(), frame.data(), frame.key, frame.dts, frame.pts)?;
        }
        running.finish(PATIENCE).await?;
    }
    let file_bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let findings = Findings {
        arrived: seen(),
        file_bytes,
    };
    match template.output {
        Output::Stream | Output::Segments | Output::Pictures => {
            if let Some((sink, track)) = expected.iter().find(|pad| !findings.arrived.contains(*pad)) {
                return Err(format!("no {track} arrived at `{sink}`").into());
            }
        }
        Output::File if findings.file_bytes == 0 => return Err("its file is empty".to_owned().into()),
        Output::File | Output::None => {}
    }
    Ok(Some(findings))
}

fn counting(blueprint: &Blueprint, arrived: Arc<Mutex<BTreeSet<Arrival>>>) -> Emit {
    let sinks: Vec<_> = blueprint.outlets.iter().map(|exit| exit.element.clone()).collect();
    Arc::new(move |product| {
        if let What::Frame(_) | What::Chunk(_) | What::Picture(_) = product.what
            && let Some(sink) = sinks.get(product.output)
        {
            let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
            arrived.insert((sink.clone(), product.pad));
        }
        Ok(())
    })
}

/// What has to come out: all that the texts lead to `out` and its kin. What goes in and leads nowhere is a mistake, too.
fn expected(blueprint: &Blueprint) -> BTreeSet<Arrival> {
    let (lanes, exits) = (blueprint.lanes.iter(), &blueprint.outlets);
    let lost = lanes.filter(|lane| !exits.iter().any(|exit| exit.pads.contains(&lane.pad)));
    let lost = lost.map(|lane| ("out".to_owned(), lane.pad));
    let led = exits
        .iter()
        .flat_map(|exit| exit.pads.iter().map(|pad| (exit.element.clone(), *pad)));
    lost.chain(led).collect()
}

/// A source runs for ever, so its trial is over when everything has come out of it.
async fn wait_for_output(running: &mut Running, is_over: impl Fn() -> bool) -> Result<(), String> {
    let output = async {
        while !is_over() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        result = timeout(PATIENCE, output) => result.map_err(|_| format!("nothing came out of it within {PATIENCE:?}")),
        report = running.report() => match report {
            Report::Failure(failure) => Err(failure.reason),
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
    /// There is nothing to encode with.
    #[error(transparent)]
    NoEncoder(#[from] NoEncoder),
    /// It fails while it runs.
    #[error("{0}")]
    Run(String),
}

impl From<Failure> for TrialError {
    fn from(failure: Failure) -> Self {
        Self::Run(failure.reason)
    }
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
