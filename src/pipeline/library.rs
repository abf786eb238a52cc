//! The library: the templates there are, shipped and the operator's.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use rust_embed::RustEmbed;
use streammill_media::{MediaKind, Track};

use super::{
    blueprint::{Blueprint, Recipe, is_installed},
    clip::Clip,
    encoder::{Chosen, Map, NoEncoder, first_present},
    instance::{BuildError, Instance},
    params::{self, Kind, Values},
    product::Emit,
    template::Template,
    trial::{self, TrialError},
};
use crate::config::{Problem, nearest};

/// Templates that are part of the program.
#[derive(RustEmbed)]
#[folder = "pipelines/"]
struct Shipped;

/// All templates, by name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    templates: BTreeMap<String, Entry>,
}

/// A template and where it comes from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The template.
    pub template: Arc<Template>,
    /// Its file; `None` for a shipped one.
    pub path: Option<PathBuf>,
    text: Arc<str>,
    encoders: Map,
}

impl Library {
    /// Reads the shipped templates and those in the directories. A template replaces one of the same name that was read
    /// before it. What is wrong with files is returned beside what could be read.
    pub fn load(directories: &[PathBuf]) -> (Self, Vec<Problem>) {
        let mut library = Self::default();
        let mut problems = Vec::new();
        let map = Map::built_in();
        for name in Shipped::iter() {
            let Some(file) = Shipped::get(&name) else { continue };
            let text = String::from_utf8_lossy(&file.data);
            problems.extend(library.add(&Path::new("pipelines").join(&*name), &text, None, &map));
        }
        for directory in directories {
            match files_of(directory) {
                Err(error) => problems.push(problem(directory, format!("cannot read the directory: {error}"))),
                Ok(files) => {
                    for path in files {
                        match std::fs::read_to_string(&path) {
                            Ok(text) => problems.extend(library.add(&path, &text, Some(path.clone()), &map)),
                            Err(error) => problems.push(problem(&path, format!("cannot read the file: {error}"))),
                        }
                    }
                }
            }
        }
        (library, problems)
    }

    /// The same with other encoders to check templates with than those that are built in.
    pub fn with_encoders(mut self, map: &Map) -> Self {
        for entry in self.templates.values_mut() {
            entry.encoders = map.clone();
        }
        self
    }

    fn add(&mut self, place: &Path, text: &str, path: Option<PathBuf>, encoders: &Map) -> Vec<Problem> {
        match Template::parse(place, text) {
            Ok(template) => {
                let template = Arc::new(template);
                let entry = Entry {
                    template: template.clone(),
                    path,
                    text: text.into(),
                    encoders: encoders.clone(),
                };
                self.templates.insert(template.name.clone(), entry);
                Vec::new()
            }
            Err(problems) => problems,
        }
    }

    /// A template by name.
    pub fn find(&self, name: &str) -> Result<&Entry, UnknownTemplate> {
        self.templates.get(name).ok_or_else(|| UnknownTemplate {
            name: name.to_owned(),
            hint: nearest(name, self.templates.keys().map(String::as_str)),
        })
    }

    /// All templates, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.templates.values()
    }

    /// Runs every template with the canned clip: whole, without sound, without pictures, in each of its variants.
    ///
    /// [`start`](super::start) has to have been called.
    pub async fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for entry in self.iter() {
            problems.extend(entry.check().await);
        }
        problems
    }
}

impl Entry {
    /// Where it comes from, for messages.
    pub fn place(&self) -> PathBuf {
        let shipped = || Path::new("pipelines").join(format!("{}.toml", self.template.name));
        self.path.clone().unwrap_or_else(shipped)
    }

    /// Runs it with the canned clip. The first thing that is wrong is enough.
    pub async fn check(&self) -> Option<Problem> {
        let clip = match Clip::canned() {
            Ok(clip) => clip,
            Err(error) => return Some(problem(&self.place(), format!("the trial clip: {error}"))),
        };
        let encoders = match self.encoders() {
            Ok(encoders) => encoders,
            Err(error) => return Some(problem(&self.place(), error.to_string())),
        };
        for values in self.template.trial_values() {
            for kinds in [
                &[MediaKind::Video, MediaKind::Audio][..],
                &[MediaKind::Video],
                &[MediaKind::Audio],
            ] {
                if let Err(error) = trial::run(&self.template, &values, &encoders, &clip.only(kinds)).await {
                    let kinds: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
                    let mut problem = problem(&self.place(), format!("with {}: {error}", kinds.join(" and ")));
                    problem.place = Some((self.place(), self.line_of(&error)));
                    return Some(problem);
                }
                if self.template.is_source() {
                    break;
                }
            }
        }
        None
    }

    fn encoders(&self) -> Result<Chosen, NoEncoder> {
        first_present(&self.template, &self.encoders, is_installed)
    }

    /// Where what is wrong stands: the line that names it, or else the first of the elements.
    fn line_of(&self, error: &TrialError) -> usize {
        let culprit = match error {
            TrialError::Build(error) => error.culprit(),
            TrialError::Run(_) => None,
        };
        let line_with = |words: &str| self.text.lines().position(|line| line.contains(words));
        let elements = || line_with("[launch]").or_else(|| line_with("[variants."));
        1 + culprit.and_then(line_with).or_else(elements).unwrap_or(0)
    }
}

impl Entry {
    /// Whether all its elements are installed, found by building it without running it; else what is missing.
    ///
    /// [`start`](super::start) has to have been called.
    pub fn installed(&self) -> Result<(), String> {
        let clip = Clip::canned().map_err(|error| error.to_string())?;
        let encoders = self.encoders().map_err(|error| error.to_string())?;
        for values in self.template.trial_values() {
            let tracks: &[Track] = if self.template.is_source() { &[] } else { &clip.tracks };
            let recipe = Recipe {
                template: &self.template,
                values: &values,
                encoders: &encoders,
                tracks,
                file: None,
            };
            let emit: Emit = Arc::new(|_| Ok(()));
            let blueprint = Blueprint::draw(&recipe, is_installed);
            let built = blueprint.and_then(|blueprint| Instance::build(&blueprint, &Arc::default(), &emit));
            if let Err(error @ BuildError::MissingElements { .. }) = built {
                return Err(error.to_string());
            }
        }
        Ok(())
    }
}

impl Template {
    /// The defaults, once for each variant.
    fn trial_values(&self) -> Vec<Values> {
        let choices = match self
            .variant
            .as_ref()
            .and_then(|variant| self.params.get_key_value(variant))
        {
            Some((name, param)) if param.kind == Kind::Enum => param
                .values
                .iter()
                .map(|choice| BTreeMap::from([(name.clone(), toml::Value::String(choice.clone()))]))
                .collect(),
            _ => vec![BTreeMap::new()],
        };
        // Defaults and the values of an enum were checked when the template was read.
        choices
            .iter()
            .filter_map(|given| params::resolve(&self.params, given).ok())
            .collect()
    }
}

fn files_of(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn problem(path: &Path, message: String) -> Problem {
    Problem {
        place: Some((path.to_owned(), 1)),
        key: None,
        message,
        hint: None,
    }
}

/// There is no such template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no template '{name}'{}", .hint.as_ref().map_or_else(String::new, |hint| format!("; did you mean '{hint}'?")))]
pub struct UnknownTemplate {
    name: String,
    hint: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_shipped_templates_are_there() {
        let (library, problems) = Library::load(&[]);
        assert_eq!(problems, []);
        let names: Vec<_> = library.iter().map(|entry| entry.template.name.as_str()).collect();
        assert_eq!(names, ["demo", "hls", "record", "transcode"]);
        let error = library.find("recrod").unwrap_err().to_string();
        assert_eq!(error, "there is no template 'recrod'; did you mean 'record'?");
    }

    #[test]
    fn an_operators_template_replaces_a_shipped_one_and_a_broken_one_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let text = "summary = 'mine'\noutput = 'none'\n[launch]\nvideo = 'in.video ! fakesink'\n";
        std::fs::write(dir.path().join("hls.toml"), text).unwrap();
        std::fs::write(dir.path().join("broken.toml"), "sumary = 1").unwrap();
        let (library, problems) = Library::load(&[dir.path().to_owned()]);
        assert_eq!(library.find("hls").unwrap().template.summary, "mine");
        assert!(library.find("record").is_ok());
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].to_string().contains("broken.toml:1: sumary: unknown field"),
            "{}",
            problems[0]
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_a_problem() {
        let (_, problems) = Library::load(&[PathBuf::from("/nonexistent/templates")]);
        assert!(
            problems[0].to_string().contains("cannot read the directory"),
            "{}",
            problems[0]
        );
    }
}
