//! Trials: a template is run with the canned clip before anyone depends on it.
//!
//! Parsing finds unknown elements and properties. It does not find pads that cannot agree on a format, or a muxer that
//! waits for a track that never comes; running does.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use streammill_media::{Track, TrackKey};
use tokio::time::{sleep, timeout};

use super::{
    assembly::pads,
    blueprint::{Blueprint, Recipe, is_installed},
    clip::Clip,
    encoder::Chosen,
    instance::{BuildError, Failure, Instance, Report},
    params::Values,
    product::{Emit, What},
    template::{Output, Template},
};

/// Time a template has to get through three seconds of media.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a trial found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The tracks that arrived at `out`.
    pub arrived: BTreeSet<TrackKey>,
    /// Size of the file it wrote.
    pub file_bytes: u64,
}

/// Runs a template with a clip. `Ok(None)` if it has nothing to do with the clip's tracks.
pub async fn run(
    template: &Template,
    values: &Values,
    encoders: &Chosen,
    clip: &Clip,
) -> Result<Option<Findings>, TrialError> {
    let arrived = Arc::new(Mutex::new(BTreeSet::new()));
    let dir = tempdir().map_err(|error| format!("no place for a trial recording: {error}"))?;
    let file = dir.0.join("trial");
    let tracks: &[Track] = if template.is_source() { &[] } else { &clip.tracks };
    let recipe = Recipe {
        template,
        values,
        encoders,
        tracks,
        file: Some(&file),
    };
    let blueprint = match Blueprint::draw(&recipe, is_installed) {
        Ok(blueprint) => blueprint,
        Err(BuildError::NothingToDo) => return Ok(None),
        Err(error) => return Err(TrialError::Build(error)),
    };
    let origin = Arc::new(OnceLock::new());
    let built = Instance::build(&blueprint, &origin, &counting(arrived.clone()));
    let mut instance = built.map_err(TrialError::Build)?;
    instance.start()?;
    let seen = || arrived.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if template.is_source() {
        wait_for_output(template, &mut instance, seen).await?;
        instance.stop().await;
    } else {
        for frame in &clip.frames {
            let pushed = instance.push(frame.track_key(), frame.data(), frame.key, frame.dts, frame.pts);
            pushed.map_err(|error| error.to_string())?;
        }
        instance.finish(PATIENCE).await?;
    }
    let file_bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let findings = Findings {
        arrived: seen(),
        file_bytes,
    };
    let launch = template.launch(values);
    match template.output {
        Output::Stream | Output::Segments => {
            for track in pads(launch, tracks) {
                if !findings.arrived.contains(&track) {
                    return Err(format!("no {track} arrived at `out`").into());
                }
            }
        }
        Output::File if findings.file_bytes == 0 => return Err("its file is empty".to_owned().into()),
        Output::File | Output::None => {}
    }
    Ok(Some(findings))
}

fn counting(arrived: Arc<Mutex<BTreeSet<TrackKey>>>) -> Emit {
    Arc::new(move |product| {
        if let What::Frame(_) | What::Chunk(_) = product.what {
            arrived
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(product.pad);
        }
        Ok(())
    })
}

/// A source runs for ever, so its trial is over when something has come out of it.
async fn wait_for_output(
    template: &Template,
    instance: &mut Instance,
    seen: impl Fn() -> BTreeSet<TrackKey>,
) -> Result<(), String> {
    let has_output = matches!(template.output, Output::Stream | Output::Segments);
    let output = async {
        while has_output && seen().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        result = timeout(PATIENCE, output) => result.map_err(|_| format!("nothing came out of it within {PATIENCE:?}")),
        report = instance.report() => match report {
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
