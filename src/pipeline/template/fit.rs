//! Fitting: what a template means for one stream.
//!
//! Which case applies, which rungs of a ladder are of use and where sound goes depend on the stream's tracks. The answer is a
//! template again, in which nothing is left to decide, so that whatever comes after knows neither cases nor ladders.

use std::collections::{BTreeMap, BTreeSet};

use streammill_media::{Format, MediaKind, Track};

use super::{Launch, Template, TrackChoice};
use crate::pipeline::{
    encoder::Role,
    ladder::{self, AUDIO_OUTPUT, Step, name_at, steps},
    params::{Fraction, Kind, Param, Target, Targets, Value, Values},
    syntax,
};

/// A template for one stream, with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The template: one launch, without a rung.
    pub template: Template,
    /// The values of its parameters.
    pub values: Values,
}

impl Fitted {
    /// Its elements.
    pub fn launch(&self) -> &Launch {
        const NOTHING: &Launch = &Launch {
            tracks: TrackChoice::First,
            video: None,
            rung: None,
            audio: None,
            shared: None,
            source: None,
        };
        self.template.launch.as_ref().unwrap_or(NOTHING)
    }
}

impl Template {
    /// What it means for a stream with these tracks. What has been fitted fits itself.
    pub fn fit(&self, values: &Values, tracks: &[Track]) -> Fitted {
        let case = self.cases.iter().find(|case| case.when.fits(tracks));
        let launch = case.map(|case| &case.launch).or_else(|| self.usual_launch(values));
        let mut launch = launch.cloned().unwrap_or_default();
        let mut fitted = Fitted {
            template: Self {
                is_part: self.is_part || !self.cases.is_empty() || !self.variants.is_empty(),
                cases: Vec::new(),
                variant: None,
                variants: BTreeMap::new(),
                launch: None,
                ..self.clone()
            },
            values: values.clone(),
        };
        let video = tracks.iter().find(|track| track.kind() == MediaKind::Video);
        if let (Some(rung), Some((name, _))) = (launch.rung.take(), self.ladder()) {
            let steps = match (video, values.get(name)) {
                (Some(track), Some(Value::Ladder(rungs))) => steps(rungs, height(track), rate(track)),
                _ => Vec::new(),
            };
            fitted.write_out(&mut launch, &rung, name, &steps);
        }
        let kinds: BTreeSet<_> = tracks.iter().map(Track::kind).collect();
        spread(&mut launch, &kinds);
        fitted.template.launch = Some(launch);
        fitted
    }

    /// The names of the outputs that it may have with these values, whatever the stream is like.
    pub fn output_names(&self, values: &Values) -> BTreeSet<String> {
        let cases = self.cases.iter().map(|case| &case.launch);
        let mut names = BTreeSet::new();
        for launch in cases.chain(self.usual_launch(values)) {
            let texts = launch.parts().filter(|(part, _)| *part != "rung");
            names.extend(texts.flat_map(|(_, text)| outputs_in(text)));
            if launch.rung.is_some()
                && let Some((name, _)) = self.ladder()
                && let Some(Value::Ladder(rungs)) = values.get(name)
            {
                names.extend(rungs.iter().map(|rung| rung.height.to_string()));
            }
            if launch.texts().any(has_spread) && lone_outputs(launch).is_empty() {
                names.insert(AUDIO_OUTPUT.to_owned());
            }
        }
        names
    }
}

impl Fitted {
    /// Writes a ladder out: its text, and for each rung the roles and parameters that are of use in it.
    fn write_out(&mut self, launch: &mut Launch, text: &str, ladder: &str, steps: &[Step]) {
        if let Some(video) = &mut launch.video
            && !steps.is_empty()
        {
            *video = format!("{video}  {}", ladder::unroll(text, steps));
        }
        self.template.is_part = true;
        let roles: BTreeSet<_> = syntax::roles(text).collect();
        for name in roles {
            let Some(role) = self.template.encoders.remove(name) else {
                continue;
            };
            for step in steps {
                let copy = name_at(name, step.rung.height);
                self.template.keep_every.insert(copy.clone(), step.keep_every);
                self.template.encoders.insert(copy, Role::at_rung(&role, &step.rung));
            }
        }
        let Some(declared) = self.template.params.remove(ladder) else {
            return;
        };
        self.values.remove(ladder);
        let own = syntax::names(text);
        for param in self.template.params.values_mut() {
            let targets = std::mem::take(&mut param.sets.0).into_iter();
            let (here, elsewhere): (Vec<_>, _) = targets.partition(|target| own.contains(target.element.as_str()));
            param.sets.0 = elsewhere;
            for step in steps {
                param.sets.0.extend(here.iter().map(|target| at_rung(target, step)));
            }
        }
        for step in steps {
            self.add_rung(ladder, &declared, step);
        }
    }

    /// Makes parameters of what a rung sets.
    fn add_rung(&mut self, ladder: &str, declared: &Param, step: &Step) {
        let height = step.rung.height;
        for (what, targets, value) in [
            ("height", &declared.height_sets, step.height),
            ("keep_every", &declared.keep_every_sets, step.keep_every),
        ] {
            let param = Param {
                kind: Kind::Int,
                sets: Targets(targets.0.iter().map(|target| at_rung(target, step)).collect()),
                height_sets: Targets::default(),
                keep_every_sets: Targets::default(),
                // It is never read: the value is there.
                default: Some(toml::Value::Boolean(false)),
                ..declared.clone()
            };
            let name = format!("{ladder}.{height}.{what}");
            self.template.params.insert(name.clone(), param);
            self.values.insert(name, Value::Int(value.into()));
        }
    }
}

fn at_rung(target: &Target, step: &Step) -> Target {
    Target {
        element: name_at(&target.element, step.rung.height),
        place: target.place.clone(),
    }
}

fn rate(track: &Track) -> Option<Fraction> {
    match track.format {
        Format::Video(video) => video.frame_rate.and_then(|(n, d)| Fraction::new(n, d)),
        Format::Audio(_) => None,
    }
}

fn height(track: &Track) -> Option<u32> {
    match track.format {
        Format::Video(video) => Some(video.height),
        Format::Audio(_) => None,
    }
}

/// The outputs that a text leads to.
fn outputs_in(text: &str) -> impl Iterator<Item = String> {
    let sinks = syntax::words(text).filter_map(|word| word.text.split_once('.').map(|(sink, _)| sink));
    sinks.filter_map(output_name).map(str::to_owned)
}

/// What the output is called that arrives at this element: `NAME` at `out_NAME`, and `out` at `out`.
pub fn output_name(element: &str) -> Option<&str> {
    match element {
        "out" => Some("out"),
        element => element.strip_prefix("out_"),
    }
}

fn sink_name(output: &str) -> String {
    match output {
        "out" => "out".to_owned(),
        output => format!("out_{output}"),
    }
}

fn has_spread(text: &str) -> bool {
    syntax::words(text).any(|word| word.text.starts_with("outs."))
}

/// The outputs of a launch for a stream without pictures.
fn lone_outputs(launch: &Launch) -> BTreeSet<String> {
    let texts = launch.audio.iter().chain(&launch.shared);
    texts.flat_map(|text| outputs_in(text)).collect()
}

/// Puts ways to every output where `outs.` stands.
fn spread(launch: &mut Launch, kinds: &BTreeSet<MediaKind>) {
    let mut outputs = lone_outputs(launch);
    if let Some(video) = launch.video.as_ref().filter(|_| kinds.contains(&MediaKind::Video)) {
        outputs.extend(outputs_in(video));
    }
    if outputs.is_empty() {
        outputs.insert(AUDIO_OUTPUT.to_owned());
    }
    for (_, text) in launch.parts_mut() {
        *text = syntax::map_words(text, |word, _| {
            let pad = word.strip_prefix("outs.")?;
            let ways: Vec<_> = outputs
                .iter()
                .map(|output| format!("{}.{pad}", sink_name(output)))
                .collect();
            Some(match &ways[..] {
                [only] => only.clone(),
                ways => {
                    let branches = ways.iter().map(|way| format!("  outs_{pad}. ! queue ! {way}"));
                    format!("tee name=outs_{pad}{}", branches.collect::<String>())
                }
            })
        });
    }
}
