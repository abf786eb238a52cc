//! Contradictions: what is wrong with a template as far as its own text tells.

use std::collections::BTreeSet;

use super::{Case, Launch, Output, Template, TrackChoice, fit::output_name};
use crate::{
    config::nearest,
    pipeline::{
        ladder::{ABOVE, AUDIO_OUTPUT, THIS, TOP},
        params::{Kind, Value},
        syntax::{names, roles, words},
    },
};

/// Something that is wrong: the key it is at, the word in its value if it is one, and the reason.
pub(super) type Found = (String, Option<String>, String);

/// Names of elements that the server makes, or that have a meaning.
const TAKEN: [&str; 4] = ["in", "out", "outs", ABOVE];

/// Longest name of an output: it becomes part of streams' names.
const LONGEST_OUTPUT: usize = 32;

impl Template {
    /// Keys whose value does not fit the rest, and why.
    pub(super) fn contradictions(&self) -> Vec<Found> {
        let mut found = Vec::new();
        for (name, param) in &self.params {
            if let Some(reason) = param.contradiction() {
                found.push((format!("params.{name}"), None, reason));
            }
        }
        self.check_roles(&mut found);
        self.check_shape(&mut found);
        self.check_outputs(&mut found);
        for (number, Case { when, .. }) in self.cases.iter().enumerate() {
            if let Some(reason) = when.contradiction() {
                found.push((format!("cases.{number}.when"), None, reason));
            }
        }
        for (key, launch) in self.launches_with_keys() {
            self.check_launch(&key, launch, &mut found);
            self.check_ladder(&key, launch, &mut found);
        }
        found
    }

    fn check_roles(&self, found: &mut Vec<Found>) {
        for (name, role) in &self.encoders {
            let at = |key: &str| format!("encoders.{name}.{key}");
            for (key, used, kind) in role.params() {
                match self.params.get(used) {
                    Some(param) if param.kind == kind => {
                        let values = param.values.iter().map(|value| Value::Choice(value.clone()));
                        let wrong = values.filter_map(|value| role.check(key, &value).err());
                        found.extend(wrong.map(|reason| (at(key), None, format!("parameter '{used}': {reason}"))));
                    }
                    Some(_) => found.push((
                        at(key),
                        None,
                        format!("parameter '{used}' is not of type {kind:?}").to_lowercase(),
                    )),
                    None => found.push((at(key), None, self.no_such_param(used))),
                }
            }
            let constants = role.wrong_constants();
            found.extend(constants.map(|(key, reason)| (at(key), None, reason)));
            let mut texts = self.launches().flat_map(Launch::parts);
            let is_used = |(_, text): &(_, &str)| roles(text).any(|known| known == name);
            if !texts.any(|part| is_used(&part)) {
                let message = format!("no launch text has `encoder name={name}`");
                found.push((format!("encoders.{name}"), None, message));
            }
            if role.uses_rung() {
                let mut elsewhere = self
                    .launches()
                    .flat_map(Launch::parts)
                    .filter(|(part, _)| *part != "rung");
                if elsewhere.any(|part| is_used(&part)) {
                    let message = "only an encoder in a `rung` text can be told what the rung says";
                    found.push((format!("encoders.{name}"), None, message.to_owned()));
                }
            }
        }
    }

    fn check_shape(&self, found: &mut Vec<Found>) {
        let mut wrong = |key: &str, reason: String| found.push((key.to_owned(), None, reason));
        let has_launch = self.launch.is_some() || !self.cases.is_empty();
        match &self.variant {
            None if has_launch && self.variants.is_empty() => {}
            Some(variant) if self.launch.is_none() => match self.params.get(variant) {
                Some(param) if param.kind == Kind::Enum => {
                    for value in param.values.iter().filter(|value| !self.variants.contains_key(*value)) {
                        wrong("variant", format!("there is no variants.{value}"));
                    }
                }
                Some(_) => wrong("variant", format!("parameter '{variant}' is no enum")),
                None => wrong("variant", self.no_such_param(variant)),
            },
            _ => wrong(
                "launch",
                "either `launch` or `cases` is needed, or `variant` with `variants`".to_owned(),
            ),
        }
        if self.is_source() && !self.cases.is_empty() {
            wrong("cases", "`source` works on no stream, so no case fits".to_owned());
        }
        let ladders = self.params.values().filter(|param| param.kind == Kind::Ladder).count();
        if ladders > 1 {
            wrong("params", "a template climbs one ladder".to_owned());
        }
    }

    fn check_outputs(&self, found: &mut Vec<Found>) {
        let mut wrong = |reason: String| found.push(("outputs".to_owned(), None, reason));
        let has_rung = self.launches().any(|launch| launch.rung.is_some());
        if self.output != Output::Stream && (has_rung || !self.outputs.is_empty()) {
            wrong("only `output = \"stream\"` has several outputs".to_owned());
        }
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        for (number, name) in self.outputs.iter().enumerate() {
            let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
            if !begins_well || !name.chars().all(is_letter) || name.len() > LONGEST_OUTPUT {
                wrong(format!(
                    "{name:?} is not made of a-z, 0-9 and _, beginning with a letter"
                ));
            } else if name == "out" || (has_rung && name == AUDIO_OUTPUT) {
                wrong(format!("there is an output {name:?} already"));
            } else if self.outputs[..number].contains(name) {
                wrong(format!("{name:?} is there twice"));
            }
            let element = format!("out_{name}");
            let mut words = self.launches().flat_map(Launch::texts).flat_map(words);
            if !words.any(|word| word.text.split_once('.').is_some_and(|(sink, _)| sink == element)) {
                wrong(format!("no launch text leads to `{element}`"));
            }
        }
    }

    fn check_launch(&self, key: &str, launch: &Launch, found: &mut Vec<Found>) {
        let takes_tracks = launch.video.is_some() || launch.audio.is_some();
        match (&launch.source, takes_tracks) {
            (Some(_), true) => {
                let reason = "`source` works on no stream; `video` and `audio` do";
                found.push((key.to_owned(), None, reason.to_owned()));
            }
            (None, false) => {
                let reason = "`video`, `audio` or `source` is needed";
                found.push((key.to_owned(), None, reason.to_owned()));
            }
            _ => {}
        }
        for (part, text) in launch.parts() {
            let mut wrong = |word: String, reason: String| found.push((format!("{key}.{part}"), Some(word), reason));
            for role in roles(text).filter(|role| !self.encoders.contains_key(*role)) {
                wrong(format!("name={role}"), format!("there is no [encoders.{role}]"));
            }
            for name in names(text) {
                if TAKEN.contains(&name) || name.starts_with("out_") {
                    wrong(format!("name={name}"), format!("the name '{name}' is taken"));
                }
            }
            let sinks = words(text).filter_map(|word| Some((word.text, word.text.split_once('.')?.0)));
            for (word, sink) in sinks.filter(|(_, sink)| sink.starts_with("out_")) {
                let name = output_name(sink).unwrap_or_default();
                if !self.outputs.iter().any(|output| output == name) {
                    let hint = nearest(name, self.outputs.iter().map(String::as_str));
                    let hint = hint.map_or_else(String::new, |hint| format!("; did you mean 'out_{hint}'?"));
                    wrong(word.to_owned(), format!("'{name}' is not one of `outputs`{hint}"));
                }
            }
        }
    }

    fn check_ladder(&self, key: &str, launch: &Launch, found: &mut Vec<Found>) {
        let Some(rung) = &launch.rung else { return };
        let mut wrong = |reason: String| found.push((format!("{key}.rung"), None, reason));
        let Some((name, ladder)) = self.ladder() else {
            wrong("a rung needs a parameter of type ladder".to_owned());
            return;
        };
        let own = names(rung);
        if launch.tracks == TrackChoice::All {
            wrong("a ladder is for the first track of pictures; `tracks = \"all\"` does not go with it".to_owned());
        }
        if !launch.video.as_deref().is_some_and(|video| names(video).contains(TOP)) {
            wrong(format!(
                "the `video` text needs an element `name={TOP}`, at which the highest rung begins"
            ));
        }
        if !words(rung).any(|word| word.text.starts_with(&format!("{ABOVE}."))) {
            wrong(format!("it has to begin at `{ABOVE}.`"));
        }
        if !own.contains(THIS) {
            wrong(format!(
                "it needs an element `name={THIS}`, at which the next rung begins"
            ));
        }
        let elsewhere: BTreeSet<_> = launch.parts().filter(|(part, _)| *part != "rung").collect();
        for name in elsewhere.iter().flat_map(|(_, text)| names(text)) {
            if name
                .rsplit_once('_')
                .is_some_and(|(_, end)| end.chars().all(|c| c.is_ascii_digit()))
            {
                wrong(format!("'{name}' could be the name of an element in a rung"));
            }
        }
        for target in ladder.targets().filter(|target| !own.contains(target.element.as_str())) {
            let reason = format!("there is no element named '{}' in `rung`", target.element);
            found.push((format!("params.{name}"), None, reason));
        }
    }

    fn no_such_param(&self, name: &str) -> String {
        let hint = nearest(name, self.params.keys().map(String::as_str));
        let hint = hint.map_or_else(String::new, |hint| format!("; did you mean '{hint}'?"));
        format!("there is no parameter '{name}'{hint}")
    }
}
