//! Checks: whether a template works here.

use std::{collections::BTreeMap, sync::Arc};

use streammill_media::{Format, MediaKind, Track};

use super::{Entry, problem};
use crate::{
    config::Problem,
    pipeline::{
        blueprint::{Blueprint, Recipe, is_installed},
        clip::Clip,
        control::{Answer, Control},
        encoder::first_present,
        inspect,
        instance::{BuildError, Instance},
        memory::Kits,
        params::{self, Given, Kind, Param, Rung, Value, Values},
        product::Emit,
        template::{Case, Launch, Template, TrackRule, When, line_in_fragments, line_of_word, line_of_word_in},
        trial::{self, TrialError},
        worker::Workers,
    },
};

/// The kinds of tracks that a template is tried with.
const COMBINATIONS: [&[MediaKind]; 3] = [
    &[MediaKind::Video, MediaKind::Audio],
    &[MediaKind::Video],
    &[MediaKind::Audio],
];

/// Heights for a ladder on the canned clip, whose pictures have 90 lines. A real ladder's rungs are all above that.
const TRIAL_RUNGS: [u32; 2] = [90, 44];

impl Entry {
    /// Checks it as a whole: the elements, and what becomes of the canned clip. The first thing that is wrong is enough.
    ///
    /// With `workers` the clip goes through it in them.
    ///
    /// [`start`](crate::pipeline::start) has to have been called.
    pub async fn check(&self, workers: Option<&Workers>) -> Option<Problem> {
        if let Some(problem) = self.inspect() {
            return Some(problem);
        }
        let clip = match Clip::canned() {
            Ok(clip) => clip,
            Err(error) => return Some(problem(&self.place(), format!("the trial clip: {error}"))),
        };
        for values in self.template.trial_values() {
            for kinds in COMBINATIONS {
                if let Err(error) = self.try_with(&values, &clip.only(kinds), workers).await {
                    let kinds: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
                    return Some(self.problem_of(&format!("with {}", kinds.join(" and ")), &error));
                }
                if self.template.is_source() {
                    break;
                }
            }
        }
        self.template.untried(&clip).into_iter().find_map(|(name, part)| {
            let values = part.trial_values();
            let tracks = part.cases.first().map(|case| case.when.sample(&clip));
            let error = self.build(&part, values.first()?, &tracks?).err()?;
            Some(self.problem_of(&name, &error))
        })
    }

    async fn try_with(&self, values: &Values, clip: &Clip, workers: Option<&Workers>) -> Result<(), TrialError> {
        let tracks: &[Track] = if self.template.is_source() { &[] } else { &clip.tracks };
        let fitted = self.template.fit(values, tracks);
        let encoders = first_present(&fitted.template, &self.encoders, is_installed)?;
        if self.template.is_only_built() {
            return match self.build(&self.template, values, tracks) {
                Err(TrialError::Build(BuildError::NothingToDo)) => Ok(()),
                built => built.map(drop),
            };
        }
        trial::run(&fitted, &encoders, clip, workers).await.map(drop)
    }

    /// Builds it, or a part of it, without running it.
    fn build(&self, template: &Template, values: &Values, tracks: &[Track]) -> Result<Instance, TrialError> {
        let fitted = template.fit(values, tracks);
        let encoders = first_present(&fitted.template, &self.encoders, is_installed)?;
        let recipe = Recipe {
            fitted: &fitted,
            encoders: &encoders,
            kits: &Kits::none(),
            tracks,
            file: None,
        };
        let emit: Emit = Arc::new(|_| Ok(()));
        let built = Blueprint::draw(&recipe, is_installed)
            .and_then(|blueprint| Instance::build(&blueprint, &Arc::default(), &emit));
        built.map_err(TrialError::Build)
    }

    /// Its elements for the canned clip and its defaults, in Graphviz' language.
    ///
    /// [`start`](crate::pipeline::start) has to have been called.
    pub fn graph(&self) -> Result<String, String> {
        let clip = Clip::canned().map_err(|error| error.to_string())?;
        let tracks: &[Track] = if self.template.is_source() { &[] } else { &clip.tracks };
        let values = self.template.trial_values().into_iter().next().unwrap_or_default();
        let instance = self
            .build(&self.template, &values, tracks)
            .map_err(|error| error.to_string())?;
        match instance.handle().control(&Control::Graph)? {
            Answer::Graph(graph) => Ok(graph),
            Answer::Done => Err("it shows no graph".to_owned()),
        }
    }

    /// Whether its elements are installed, and take what its texts tell them. The first thing that is wrong is enough.
    ///
    /// [`start`](crate::pipeline::start) has to have been called.
    pub fn inspect(&self) -> Option<Problem> {
        let launches = self.template.launches_with_keys();
        let parts =
            launches.flat_map(|(key, launch)| launch.parts().map(move |(part, text)| (format!("{key}.{part}"), text)));
        parts.into_iter().find_map(|(key, text)| {
            let finding = inspect::launch_text(text).into_iter().next()?;
            let (path, line) = self.place_of(&key, &finding.word);
            Some(Problem {
                place: Some((path, line)),
                key: Some(key),
                message: finding.reason,
                hint: None,
            })
        })
    }

    /// Whether all its elements are installed, found by building it without running it; else what is missing.
    ///
    /// [`start`](crate::pipeline::start) has to have been called.
    pub fn installed(&self) -> Result<(), String> {
        let clip = Clip::canned().map_err(|error| error.to_string())?;
        for values in self.template.trial_values() {
            let tracks: &[Track] = if self.template.is_source() { &[] } else { &clip.tracks };
            match self.build(&self.template, &values, tracks) {
                Err(error @ (TrialError::NoEncoder(_) | TrialError::Build(BuildError::MissingElements { .. }))) => {
                    return Err(error.to_string());
                }
                _ => continue,
            }
        }
        Ok(())
    }

    /// The file and the line of a word in the text under a key: the template's, or that of the fragment it is from.
    fn place_of(&self, key: &str, word: &str) -> (std::path::PathBuf, usize) {
        let own = line_of_word_in(&self.text, key, word).or_else(|| line_in_fragments(&self.text, word));
        if let Some(line) = own {
            return (self.place(), line);
        }
        let mut sheets = self.sheets.iter().rev();
        let sheet = sheets.find_map(|(path, text)| Some((path.clone(), line_in_fragments(text, word)?)));
        sheet.unwrap_or_else(|| (self.place(), line_of_word(&self.text, key, None)))
    }

    /// What went wrong in a trial, at the line that names it, or else at the first of the elements.
    fn problem_of(&self, trial: &str, error: &TrialError) -> Problem {
        let culprit = match error {
            TrialError::Build(error) => error.culprit(),
            TrialError::Run(_) | TrialError::NoEncoder(_) => None,
        };
        let line_with = |words: &str| self.text.lines().position(|line| line.contains(words));
        let elements = || {
            let tables = ["[launch]", "[variants.", "[[cases]]"];
            tables.into_iter().find_map(line_with)
        };
        let line = 1 + culprit.and_then(line_with).or_else(elements).unwrap_or(0);
        let mut problem = problem(&self.place(), format!("{trial}: {error}"));
        problem.place = Some((self.place(), line));
        problem
    }
}

impl Template {
    /// The values it is tried with: the defaults, once for each variant, and small rungs for a ladder.
    pub fn trial_values(&self) -> Vec<Values> {
        let variant = self
            .variant
            .as_ref()
            .and_then(|variant| self.params.get_key_value(variant));
        let choices: Vec<Given> = match variant {
            Some((name, param)) if param.kind == Kind::Enum => {
                let choice = |choice: &String| Given::from([(name.clone(), toml::Value::String(choice.clone()))]);
                param.values.iter().map(choice).collect()
            }
            _ => vec![Given::new()],
        };
        // Defaults and the values of an enum were checked when the template was read.
        let mut values: Vec<Values> = choices
            .iter()
            .filter_map(|given| params::resolve(&self.with_samples(), given).ok())
            .collect();
        if let Some((name, _)) = self.ladder() {
            let rung = |height: u32| Rung {
                height,
                bitrate: 100_000,
                fps: None,
            };
            let small: Vec<_> = TRIAL_RUNGS.into_iter().map(rung).collect();
            let with_rungs = values.iter().map(|values| {
                let mut values = values.clone();
                values.insert(name.clone(), Value::Ladder(small.clone()));
                values
            });
            let with_rungs: Vec<_> = with_rungs.collect();
            values.extend(with_rungs);
        }
        values
    }

    /// Its parameters, with something for those that have no default.
    fn with_samples(&self) -> BTreeMap<String, Param> {
        let with_sample = |param: &Param| Param {
            default: param.default.clone().or_else(|| param.sample()),
            ..param.clone()
        };
        let params = self.params.iter();
        params.map(|(name, param)| (name.clone(), with_sample(param))).collect()
    }

    /// The cases, and the launch beside them, that a trial with the clip does not come to. Each is a template of one case.
    fn untried(&self, clip: &Clip) -> Vec<(String, Self)> {
        let comes_to = |number: Option<usize>| {
            COMBINATIONS.iter().any(|kinds| {
                let tracks = clip.only(kinds).tracks;
                self.cases.iter().position(|case| case.when.fits(&tracks)) == number
            })
        };
        let mut untried = Vec::new();
        let mut add = |name: String, when: &When, launch: &Launch| {
            let case = Case {
                when: when.clone(),
                launch: launch.clone(),
            };
            let part = Self {
                cases: vec![case],
                launch: None,
                is_part: true,
                ..self.clone()
            };
            untried.push((name, part));
        };
        for (number, case) in self
            .cases
            .iter()
            .enumerate()
            .filter(|(number, _)| !comes_to(Some(*number)))
        {
            add(format!("case {}", number + 1), &case.when, &case.launch);
        }
        if let Some(launch) = self
            .launch
            .as_ref()
            .filter(|_| !self.cases.is_empty() && !comes_to(None))
        {
            add("launch".to_owned(), &When::default(), launch);
        }
        untried
    }
}

impl When {
    /// Tracks that fit, as far as elements are chosen by them. Their coded data is not of their codec, so nothing can be
    /// run with them.
    fn sample(&self, clip: &Clip) -> Vec<Track> {
        let rules = [(MediaKind::Video, &self.video), (MediaKind::Audio, &self.audio)];
        let tracks = rules.into_iter().filter(|(_, rule)| **rule != Some(TrackRule::None));
        let tracks = tracks.filter_map(|(kind, rule)| {
            let mut track = clip.tracks.iter().find(|track| track.kind() == kind)?.clone();
            if let Some(TrackRule::Coded(codecs)) = rule {
                track.codec = *codecs.first()?;
            }
            if let Format::Video(video) = &mut track.format {
                let least = self.min_height.unwrap_or(0);
                video.height = video.height.max(least).min(self.max_height.unwrap_or(u32::MAX));
            }
            Some(track)
        });
        tracks.collect()
    }
}
