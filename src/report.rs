//! What the command line prints: of templates and of a configuration that is checked.

mod encoders;

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    config::{Config, ConfigError, Problem},
    pipeline::{
        self, StartError,
        encoder::{Equipment, Map},
        graph::GraphError,
        library::{Entry, Library, UnknownTemplate},
        plan::{Plan, RECORD},
    },
    rtmp,
};

pub use encoders::encoders;

/// What a check found.
#[derive(Debug)]
pub struct Report {
    text: String,
    problems: usize,
}

impl Report {
    /// Nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems == 0
    }

    /// For the user.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Checks the templates by running each with a canned clip, and the configuration's use of them.
///
/// `progress` is told what is looked at, because trials take a moment.
pub async fn check(config: &Config, mut progress: impl FnMut(&str)) -> Result<Report, ReportError> {
    pipeline::start()?;
    let (library, mut problems) = Library::load(&config.templates.paths);
    let library = library.with_encoders(&map(config));
    let (mut text, used) = (String::new(), used(config));
    for entry in library.iter() {
        progress(&entry.template.name);
        // What nobody uses need not be installed.
        let is_idle = entry.path.is_none() && !used.contains(entry.template.name.as_str());
        match entry.check(None).await {
            Some(problem) => match entry.installed() {
                Err(missing) if is_idle => {
                    writeln!(text, "template {}: cannot run here: {missing}", entry.template.name)?
                }
                _ => problems.push(problem),
            },
            None => writeln!(text, "template {}: good", entry.template.name)?,
        }
    }
    if let Err(found) = Plan::new(config, &library)
        && let ConfigError::Invalid(found) = config.invalid(found)
    {
        problems.extend(found);
    }
    if let Err(found) = Equipment::new(&config.encoders)
        && let ConfigError::Invalid(found) = config.invalid(found)
    {
        problems.extend(found);
    }
    if !config.rtmp.tls_listen.is_empty()
        && let Err(error) = rtmp::Certificates::load(&config.tls.certificates)
        && let ConfigError::Invalid(found) = config.invalid(vec![Problem::of("tls.certificates", &error)])
    {
        problems.extend(found);
    }
    for problem in &problems {
        writeln!(text, "{problem}")?;
    }
    match problems.len() {
        0 => writeln!(
            text,
            "configuration: good, {} apps, {} sources",
            config.apps.len(),
            config.sources.len()
        )?,
        1 => writeln!(text, "1 problem")?,
        several => writeln!(text, "{several} problems")?,
    }
    Ok(Report {
        text,
        problems: problems.len(),
    })
}

/// The templates that a configuration names.
fn used(config: &Config) -> BTreeSet<&str> {
    let apps = config.apps.values().chain([&config.defaults]);
    let pipelines = apps.flat_map(|app| app.pipelines().iter().map(|used| used.template.as_str()));
    let sources = config.sources.values().map(|source| source.template.as_str());
    // It belongs to `record = …`, which an application or a callback may say.
    pipelines.chain(sources).chain([RECORD]).collect()
}

/// The encoders to check templates with. What is wrong with the configuration's own is told elsewhere.
fn map(config: &Config) -> Map {
    Map::new(&config.encoders.elements).unwrap_or_else(|_| Map::built_in())
}

/// A template as a picture, in SVG.
pub async fn graph(config: &Config, name: &str) -> Result<String, ReportError> {
    pipeline::start()?;
    let (library, _) = Library::load(&config.templates.paths);
    let library = library.with_encoders(&map(config));
    let dot = library.find(name)?.graph().map_err(ReportError::Graph)?;
    Ok(pipeline::graph::svg(&dot).await?)
}

/// The templates in a table, or one with its parameters.
pub fn templates(config: &Config, name: Option<&str>) -> Result<String, ReportError> {
    pipeline::start()?;
    let (library, problems) = Library::load(&config.templates.paths);
    let library = library.with_encoders(&map(config));
    let mut text = String::new();
    match name {
        Some(name) => describe(library.find(name)?, &mut text)?,
        None => {
            let width = library.iter().map(|entry| entry.template.name.len()).max().unwrap_or(0);
            for entry in library.iter() {
                writeln!(text, "{:width$}  {}", entry.template.name, entry.template.summary)?;
                if let Err(missing) = entry.installed() {
                    writeln!(text, "{:width$}  cannot run here: {missing}", "")?;
                }
                for (name, param) in &entry.template.params {
                    match &param.default {
                        Some(default) => writeln!(text, "{:width$}    {name} = {default}", "")?,
                        None => writeln!(text, "{:width$}    {name} (needed)", "")?,
                    }
                }
            }
        }
    }
    for problem in &problems {
        writeln!(text, "{problem}")?;
    }
    Ok(text)
}

fn describe(entry: &Entry, text: &mut String) -> std::fmt::Result {
    let template = &entry.template;
    writeln!(text, "{}: {}", template.name, template.summary)?;
    writeln!(text, "from {}", entry.place().display())?;
    match entry.installed() {
        Ok(()) => writeln!(text, "all its elements are installed")?,
        Err(missing) => writeln!(text, "cannot run here: {missing}")?,
    }
    for (name, param) in &template.params {
        let kind = format!("{:?}", param.kind).to_lowercase();
        match &param.default {
            Some(default) => write!(text, "\n  {name} ({kind}, default {default}")?,
            None => write!(text, "\n  {name} ({kind}, needed")?,
        }
        if let Some(min) = &param.min {
            write!(text, ", at least {min}")?;
        }
        if let Some(max) = &param.max {
            write!(text, ", at most {max}")?;
        }
        if !param.values.is_empty() {
            write!(text, ", one of {}", param.values.join(", "))?;
        }
        writeln!(text, ")\n    {}", param.summary)?;
    }
    Ok(())
}

/// Why there is nothing to print.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// GStreamer does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The configuration's encoders cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The list cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// There is no template of the name that was asked for.
    #[error(transparent)]
    Unknown(#[from] UnknownTemplate),
    /// The template cannot be built.
    #[error("no graph: {0}")]
    Graph(String),
    /// The graph cannot be drawn.
    #[error(transparent)]
    Drawing(#[from] GraphError),
    /// Text could not be put together.
    #[error(transparent)]
    Format(#[from] std::fmt::Error),
}
