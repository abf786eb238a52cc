//! The library: the templates there are, shipped and the operator's.

mod check;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rust_embed::RustEmbed;

use super::{
    encoder::Map,
    template::{Fragments, Template},
};
use crate::config::{Problem, nearest};

/// Templates and fragments that are part of the program.
#[derive(RustEmbed)]
#[folder = "pipelines/"]
struct Shipped;

/// The folder, in one with templates, that fragments for several templates are in.
const FRAGMENTS: &str = "fragments";

/// All templates, by name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    templates: BTreeMap<String, Entry>,
    fragments: Fragments,
    sheets: Arc<[File]>,
    encoders: Map,
    problems: Vec<Problem>,
}

/// A template and where it comes from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The template.
    pub template: Arc<Template>,
    /// Its file; `None` for a shipped one.
    pub path: Option<PathBuf>,
    /// Why what stands in its file now is not used; it is as it was before.
    pub problem: Option<Problem>,
    /// Why it does not work here, if a trial has shown that.
    pub flaw: Option<Problem>,
    /// When it was read as it is.
    pub loaded: SystemTime,
    text: Arc<str>,
    /// The files that its fragments may be from.
    sheets: Arc<[File]>,
    encoders: Map,
}

/// A file's path and its text.
type File = (PathBuf, String);

impl Library {
    /// Reads the shipped templates and those in the directories. A template replaces one of the same name that was read
    /// before it. What is wrong with files is returned beside what could be read.
    pub fn load(directories: &[PathBuf]) -> (Self, Vec<Problem>) {
        Self::load_for(directories, Map::built_in())
    }

    /// The same with other encoders to check templates with than those that are built in.
    fn load_for(directories: &[PathBuf], encoders: Map) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut sheets = shipped(true);
        for directory in directories {
            let folder = directory.join(FRAGMENTS);
            if folder.is_dir() {
                sheets.extend(texts_of(&folder, &mut problems));
            }
        }
        let (fragments, found) = Fragments::read(&sheets);
        problems.extend(found);
        let mut library = Self {
            fragments,
            sheets: sheets.into(),
            encoders,
            ..Self::default()
        };
        for (path, text) in shipped(false) {
            problems.extend(library.add(&path, &text, None));
        }
        for directory in directories {
            for (path, text) in texts_of(directory, &mut problems) {
                problems.extend(library.add(&path, &text, Some(path.clone())));
            }
        }
        library.problems.clone_from(&problems);
        (library, problems)
    }

    /// Reads all of it anew. Where a file has become bad, what was in it before stays, and says so.
    pub fn reload(&self, directories: &[PathBuf]) -> Self {
        let (mut library, problems) = Self::load_for(directories, self.encoders.clone());
        for (name, entry) in &mut library.templates {
            let before = self.templates.get(name);
            if let Some(before) = before.filter(|before| before.is_same(entry)) {
                (entry.loaded, entry.flaw) = (before.loaded, before.flaw.clone());
            }
        }
        for entry in self.templates.values() {
            let Some(path) = &entry.path else { continue };
            let of_file = |problem: &&Problem| problem.place.as_ref().is_some_and(|(place, _)| covers(place, path));
            // A fragment that went bad is told where it is; what was built with it stays, too.
            let lost = problems.iter().find(of_file);
            let lost = lost.cloned().or_else(|| library.unusable(entry));
            if let Some(problem) = lost {
                let kept = Entry {
                    problem: Some(problem),
                    ..entry.clone()
                };
                library.templates.insert(entry.template.name.clone(), kept);
            }
        }
        library
    }

    /// The templates of the operator's that are not as they were in `before`.
    pub fn changed_since(&self, before: &Self) -> Vec<Entry> {
        let own = self
            .templates
            .values()
            .filter(|entry| entry.path.is_some() && entry.problem.is_none());
        let is_new = |entry: &&Entry| {
            let known = before.templates.get(&entry.template.name);
            known.is_none_or(|known| known.loaded != entry.loaded || !known.is_same(entry))
        };
        own.filter(is_new).cloned().collect()
    }

    /// Notes that a trial has shown a template not to work. One that was there before and did takes its place.
    pub fn fault(&mut self, name: &str, problem: Problem, before: &Self) {
        let worked = before.templates.get(name).filter(|entry| entry.flaw.is_none());
        match (worked, self.templates.get_mut(name)) {
            (Some(worked), Some(entry)) => {
                *entry = Entry {
                    problem: Some(problem),
                    ..worked.clone()
                }
            }
            (None, Some(entry)) => entry.flaw = Some(problem),
            (_, None) => {}
        }
    }

    /// What is wrong with a template's elements, if it is not the one that was there before.
    fn unusable(&self, before: &Entry) -> Option<Problem> {
        let now = self.templates.get(&before.template.name)?;
        if now.is_same(before) { None } else { now.inspect() }
    }

    /// The same with other encoders to check templates with than those that are built in.
    pub fn with_encoders(mut self, map: &Map) -> Self {
        self.encoders = map.clone();
        for entry in self.templates.values_mut() {
            entry.encoders = map.clone();
        }
        self
    }

    fn add(&mut self, place: &Path, text: &str, path: Option<PathBuf>) -> Vec<Problem> {
        match Template::parse_with(place, text, &self.fragments) {
            Ok(template) => {
                let entry = Entry {
                    template: Arc::new(template),
                    path,
                    problem: None,
                    flaw: None,
                    loaded: SystemTime::now(),
                    text: text.into(),
                    sheets: self.sheets.clone(),
                    encoders: self.encoders.clone(),
                };
                self.templates.insert(entry.template.name.clone(), entry);
                Vec::new()
            }
            Err(problems) => problems,
        }
    }

    /// The files that a directory's templates and fragments are read from.
    pub fn files(directory: impl AsRef<Path>) -> Vec<PathBuf> {
        let folders = [directory.as_ref().to_owned(), directory.as_ref().join(FRAGMENTS)];
        // What cannot be read is told when it is to be read.
        folders
            .iter()
            .flat_map(|folder| files_of(folder).unwrap_or_default())
            .collect()
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

    /// What is wrong with files that were read.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Runs every template with the canned clip: whole, without sound, without pictures, in each of its variants.
    ///
    /// [`start`](super::start) has to have been called.
    pub async fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for entry in self.iter() {
            problems.extend(entry.check(None).await);
        }
        problems
    }
}

impl Entry {
    /// Whether it is as another one is.
    fn is_same(&self, other: &Self) -> bool {
        self.path == other.path && self.template == other.template
    }

    /// Where it comes from, for messages.
    pub fn place(&self) -> PathBuf {
        let shipped = || Path::new("pipelines").join(format!("{}.toml", self.template.name));
        self.path.clone().unwrap_or_else(shipped)
    }
}

/// Whether a problem with the one is a problem with the other: it is the file, or the directory it is in.
fn covers(place: &Path, file: &Path) -> bool {
    place == file || file.parent() == Some(place)
}

/// The shipped files: those with fragments, or those with templates.
fn shipped(fragments: bool) -> Vec<File> {
    let names = Shipped::iter().filter(|name| name.ends_with(".toml"));
    let files = names.filter(|name| name.contains('/') == fragments).filter_map(|name| {
        let file = Shipped::get(&name)?;
        let text = String::from_utf8_lossy(&file.data).into_owned();
        Some((Path::new("pipelines").join(&*name), text))
    });
    files.collect()
}

/// The TOML files in a directory, with their texts.
fn texts_of(directory: &Path, problems: &mut Vec<Problem>) -> Vec<File> {
    let files = match files_of(directory) {
        Ok(files) => files,
        Err(error) => {
            problems.push(problem(directory, format!("cannot read the directory: {error}")));
            return Vec::new();
        }
    };
    let mut texts = Vec::new();
    for path in files {
        match std::fs::read_to_string(&path) {
            Ok(text) => texts.push((path, text)),
            Err(error) => problems.push(problem(&path, format!("cannot read the file: {error}"))),
        }
    }
    texts
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
mod tests;
