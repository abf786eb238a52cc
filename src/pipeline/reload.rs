//! Reloading: templates are taken anew when their files change.
//!
//! The files are looked at once a second. That works on every file system and with every way an editor has of writing a file,
//! and costs a few system calls. Pipelines that run keep what they began with; whatever begins later gets what is there then.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{signal::unix::Signal, task::spawn_blocking, time::interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{library::Library, plan::Plan, roster::Roster, worker::Workers};
use crate::config::{Config, ConfigError};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Files, with when each was last changed and its length.
type Ages = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// What keeps templates fresh.
#[derive(Debug)]
pub struct Reload {
    /// What uses the templates.
    pub config: Arc<Config>,
    /// The templates that the server begins with.
    pub library: Library,
    /// Who is to know of new ones.
    pub roster: Roster,
    /// Where they are tried.
    pub workers: Option<Workers>,
}

impl Reload {
    /// Tries the operator's templates, and then takes them anew whenever their files change or `hangup` comes, until it is
    /// told to stop.
    pub async fn run(self, mut hangup: Signal, stop: CancellationToken) {
        let work = async {
            let mut seen = self.ages().await;
            // The conductor begins with the plan; what is found out here comes after that.
            let mut looks = interval(LOOK);
            looks.tick().await;
            self.try_all().await;
            loop {
                let is_asked = tokio::select! {
                    _ = looks.tick() => false,
                    Some(()) = hangup.recv() => true,
                };
                let ages = self.ages().await;
                if is_asked || ages != seen {
                    // What is still being written changes again.
                    seen = ages;
                    self.reload().await;
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Tries what the server began with. Whatever does not work stays: there is nothing before it.
    async fn try_all(&self) {
        let library = self.library.clone();
        let tried = self.tried(library, &Library::default()).await;
        if tried.iter().any(|entry| entry.flaw.is_some()) {
            self.adopt(tried);
        }
    }

    async fn reload(&self) {
        let before = self.roster.plan().0.library().clone();
        let (old, paths) = (before.clone(), self.config.templates.paths.clone());
        let read = spawn_blocking(move || {
            let library = old.reload(&paths);
            let gone: Vec<_> = old.iter().map(|entry| entry.template.name.clone()).collect();
            let gone: Vec<_> = gone.into_iter().filter(|name| library.find(name).is_err()).collect();
            (library, gone)
        });
        // It is only cancelled with the server.
        let Ok((library, gone)) = read.await else { return };
        for name in gone {
            info!(template = name, "template is gone; pipelines that run go on");
        }
        let library = self.tried(library, &before).await;
        for entry in library.iter() {
            let known = before.find(&entry.template.name).ok();
            let name = &entry.template.name;
            match &entry.problem {
                Some(problem) if known.is_none_or(|known| known.problem.as_ref() != Some(problem)) => {
                    warn!(template = name, %problem, "template has changed and cannot be used; the one before stays");
                }
                Some(_) => {}
                None if known.is_none_or(|known| known.loaded != entry.loaded) => {
                    info!(
                        template = name,
                        "template read anew; pipelines that run keep what they began with"
                    );
                }
                None => {}
            }
        }
        let known = before.problems();
        for problem in library.problems().iter().filter(|problem| !known.contains(problem)) {
            warn!("template left out: {problem}");
        }
        self.adopt(library);
    }

    /// The library, with a trial of what is not as it was in `before`.
    async fn tried(&self, mut library: Library, before: &Library) -> Library {
        for entry in library.changed_since(before) {
            if let Some(problem) = entry.check(self.workers.as_ref()).await {
                let name = &entry.template.name;
                if before.find(name).is_err() {
                    warn!(template = name, %problem, "template does not work here");
                }
                library.fault(name, problem, before);
            }
        }
        library
    }

    fn adopt(&self, library: Library) {
        match Plan::new(&self.config, &library) {
            Ok(plan) => self.roster.adopt(plan),
            Err(problems) => {
                if let ConfigError::Invalid(problems) = self.config.invalid(problems) {
                    for problem in &problems {
                        warn!(%problem, "the configuration does not fit the templates; all stay as they were");
                    }
                    self.roster.refuse(problems);
                }
            }
        }
    }

    async fn ages(&self) -> Ages {
        let paths = self.config.templates.paths.clone();
        let looked = spawn_blocking(move || paths.iter().flat_map(Library::files).map(age).collect());
        looked.await.unwrap_or_default()
    }
}

fn age(path: PathBuf) -> (PathBuf, Option<SystemTime>, u64) {
    let file = std::fs::metadata(&path).ok();
    let changed = file.as_ref().and_then(|file| file.modified().ok());
    (path, changed, file.map_or(0, |file| file.len()))
}
