//! Fragments: pieces of launch text that several templates use, by name.
//!
//! They are constants of the operator's, put together when files are read. No value ever goes this way.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::place::line_of_word;
use crate::{
    config::{Problem, nearest},
    pipeline::syntax::{map_words, words},
};

/// What stands before a fragment's name in a launch text.
const MARK: char = '@';

/// Longest text with all its fragments. Some that hold each other twice are soon longer than a machine's memory.
const LONGEST: usize = 64 << 10;

/// Pieces of launch text by name. None of them holds the name of another one any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragments {
    texts: BTreeMap<String, String>,
}

/// A file with fragments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    #[serde(default)]
    version: Option<u32>,
    #[serde(default)]
    summary: Option<String>,
    fragments: BTreeMap<String, String>,
}

/// A problem: the key it is at, the word in its value, and what is wrong.
type Found = (String, Option<String>, String);

impl Fragments {
    /// Reads files, each with its text. A fragment takes the place of one of the same name from an earlier folder; two in
    /// one folder are a mistake. What is wrong is returned beside what could be read.
    pub fn read(files: &[(PathBuf, String)]) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut own: BTreeMap<String, (usize, String)> = BTreeMap::new();
        for (number, (path, text)) in files.iter().enumerate() {
            let problem = |key: String, message: String| problem(path, text, (key, None, message));
            if let Some(version) = super::newer_version(text) {
                let message = format!("version {version} needs a newer streammill");
                problems.push(problem("version".to_owned(), message));
                continue;
            }
            let sheet: Sheet = match toml::from_str(text) {
                Ok(sheet) => sheet,
                Err(error) => {
                    problems.push(Problem::of_file(path, text, &error));
                    continue;
                }
            };
            // They are for people and editors.
            let _ = (sheet.version, sheet.summary);
            for (name, fragment) in sheet.fragments {
                if let Some((before, _)) = own.get(&name)
                    && files[*before].0.parent() == path.parent()
                {
                    let message = format!("'{name}' is in {} too", files[*before].0.display());
                    problems.push(problem(format!("fragments.{name}"), message));
                    continue;
                }
                own.insert(name, (number, fragment));
            }
        }
        let texts = own.iter().map(|(name, (_, text))| (name.clone(), text.clone()));
        let (fragments, found) = Self::default().with(&texts.collect());
        for found in found {
            let name = found.0.strip_prefix("fragments.").unwrap_or_default();
            // What is wrong with a fragment is wrong in the file it is from.
            if let Some((number, _)) = own.get(name) {
                let (path, text) = &files[*number];
                problems.push(problem(path, text, found));
            }
        }
        (fragments, problems)
    }

    /// These, and others that may use them and take their places.
    pub(super) fn with(&self, others: &BTreeMap<String, String>) -> (Self, Vec<Found>) {
        let mut all = self.clone();
        let mut problems = Vec::new();
        for name in others.keys() {
            all.texts.remove(name);
        }
        // Each is put together when all that it holds are, so every text is looked at once.
        let mut left: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, text) in others {
            match is_name(name) {
                true => drop(left.insert(name, text)),
                false => {
                    let message = "a fragment's name is made of letters, digits, - and _".to_owned();
                    problems.push((format!("fragments.{name}"), None, message));
                }
            }
        }
        while let Some(name) = left
            .iter()
            .find_map(|(name, text)| waits_for(text, &left).is_none().then_some(*name))
        {
            let Some(text) = left.remove(name) else { break };
            match all.expand(text) {
                Ok(text) => drop(all.texts.insert(name.to_owned(), text)),
                Err((word, message)) => problems.push((format!("fragments.{name}"), Some(word), message)),
            }
        }
        for (name, text) in &left {
            let (mut circle, mut next) = (vec![*name], waits_for(text, &left));
            while let Some(inner) = next.filter(|inner| !circle.contains(inner)) {
                circle.push(inner);
                next = left.get(inner).and_then(|text| waits_for(text, &left));
            }
            let shown: Vec<_> = circle
                .iter()
                .copied()
                .chain(next)
                .map(|name| format!("{MARK}{name}"))
                .collect();
            let word = waits_for(text, &left).map(|name| format!("{MARK}{name}"));
            let message = format!("fragments that hold each other have no end: {}", shown.join(" → "));
            problems.push((format!("fragments.{name}"), word, message));
        }
        (all, problems)
    }

    /// A launch text with the fragments in it; else the word that stands for none, and what is wrong with it.
    pub(super) fn expand(&self, text: &str) -> Result<String, (String, String)> {
        let (mut unknown, mut length) = (None, text.len());
        let expanded = map_words(text, |word, _| {
            let fragment = self.texts.get(word.strip_prefix(MARK)?);
            let Some(fragment) = fragment.filter(|_| length <= LONGEST) else {
                unknown.get_or_insert_with(|| word.to_owned());
                return None;
            };
            length += fragment.len();
            Some(fragment.trim().to_owned())
        });
        let Some(word) = unknown else { return Ok(expanded) };
        if length > LONGEST {
            let message = format!("with '{word}' the text is longer than {LONGEST} characters");
            return Err((word, message));
        }
        let hint = nearest(word.trim_start_matches(MARK), self.texts.keys().map(String::as_str));
        let hint = hint.map_or_else(String::new, |hint| format!("; did you mean '{MARK}{hint}'?"));
        let message = format!("there is no fragment '{word}'{hint}");
        Err((word, message))
    }
}

/// The first fragment in a text that is not put together yet.
fn waits_for<'a>(text: &str, left: &BTreeMap<&'a str, &str>) -> Option<&'a str> {
    let mut names = words(text).filter_map(|word| word.text.strip_prefix(MARK));
    names.find_map(|name| left.get_key_value(name).map(|(name, _)| *name))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn problem(path: &Path, text: &str, (key, word, message): Found) -> Problem {
    Problem {
        place: Some((path.to_owned(), line_of_word(text, &key, word.as_deref()))),
        key: Some(key),
        message,
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(files: &[(&str, &str)]) -> (Fragments, Vec<String>) {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        let (fragments, problems) = Fragments::read(&files);
        (fragments, problems.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn a_fragment_stands_where_its_name_does_and_may_hold_others() {
        let (fragments, problems) = read(&[(
            "a/x.toml",
            "[fragments]\nsize = 'scale ! @caps'\ncaps = 'capsfilter name=size'\n",
        )]);
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            fragments.expand("in.video ! @size !x t=\"@size\" ! y").unwrap(),
            "in.video ! scale ! capsfilter name=size !x t=\"@size\" ! y"
        );
        assert_eq!(
            fragments.expand("@sise").unwrap_err().1,
            "there is no fragment '@sise'; did you mean '@size'?"
        );
    }

    #[test]
    fn a_later_folder_replaces_and_one_folder_does_not_contradict_itself() {
        let (fragments, problems) = read(&[
            ("a/x.toml", "[fragments]\nf = 'one'"),
            ("b/x.toml", "[fragments]\nf = 'two'"),
        ]);
        assert_eq!((fragments.expand("@f").unwrap().as_str(), problems.len()), ("two", 0));
        let (_, problems) = read(&[
            ("a/x.toml", "[fragments]\nf = 'one'"),
            ("a/y.toml", "[fragments]\nf = 'two'"),
        ]);
        assert_eq!(problems, ["a/y.toml:2: fragments.f: 'f' is in a/x.toml too"]);
    }

    #[test]
    fn fragments_that_grow_without_measure_are_refused() {
        let doubling = |n: u32| format!("f{n} = '@f{} @f{}'\n", n + 1, n + 1);
        let lines: String = (0..64).map(doubling).collect();
        let (_, problems) = read(&[("a/x.toml", &format!("[fragments]\n{lines}f64 = 'queue ! identity'"))]);
        assert!(
            problems.iter().any(|problem| problem.contains("longer than 65536")),
            "{problems:?}"
        );
    }

    #[test]
    fn what_cannot_be_put_together_is_named_with_file_and_line() {
        let circle = "[fragments]\na = 'x ! @b'\nb = '''\ny !\n@a'''\n";
        let (fragments, problems) = read(&[("a/x.toml", circle)]);
        assert_eq!(
            problems,
            [
                "a/x.toml:2: fragments.a: fragments that hold each other have no end: @a → @b → @a",
                "a/x.toml:5: fragments.b: fragments that hold each other have no end: @b → @a → @b",
            ]
        );
        assert!(fragments.expand("@a").is_err());
        for (text, problem) in [
            (
                "[fragments]\nf = 'x ! @g'",
                "a/x.toml:2: fragments.f: there is no fragment '@g'",
            ),
            (
                "[fragments]\n'a b' = 'x'",
                "a/x.toml:2: fragments.a b: a fragment's name is made of",
            ),
            (
                "[fragments]\nb = '@a @g'\na = '@b'",
                "a/x.toml:2: fragments.b: fragments that hold each other",
            ),
            ("[fragmets]\nf = 'x'", "a/x.toml:1: fragmets: unknown field `fragmets`"),
            (
                "version = 2\nx = 1",
                "a/x.toml:1: version: version 2 needs a newer streammill",
            ),
        ] {
            let (_, problems) = read(&[("a/x.toml", text)]);
            assert!(problems.iter().any(|found| found.starts_with(problem)), "{problems:?}");
        }
    }
}
