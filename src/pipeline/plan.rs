//! The plan: which pipelines the configuration asks for, and which of them have to run for the streams there are.
//!
//! All that can be wrong with what was configured is found when the plan is made, before anything runs. What depends on
//! the streams is a pure function of them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use wildmatch::WildMatch;

use super::{
    job::{Destination, Input, Job},
    library::Library,
    params::{self, Given, Values},
    template::{Output, Template},
};
use crate::{
    config::{Config, PipelineUse, Problem, Record, RecordFormat, RecordWhen, TargetPattern, TemplateParams, When},
    hub::{Origin, PublicationId, StreamKey, StreamSnapshot},
};

/// The template that `record` stands for, and its parameter for the container.
const RECORDER: (&str, &str) = (RECORD, "format");
/// The template alone.
pub const RECORD: &str = "record";

/// What is asked for, with every template found and every value checked.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    apps: BTreeMap<String, Vec<Prepared>>,
    defaults: BTreeMap<String, TemplateParams>,
    sources: BTreeMap<String, Job>,
    library: Library,
}

/// A pipeline that runs on streams, with everything checked that does not depend on the stream.
#[derive(Clone, Debug)]
pub struct Prepared {
    template: Arc<Template>,
    values: Values,
    goes: Goes,
    when: When,
    names: Option<WildMatch>,
    keep: Duration,
}

/// A pipeline that a stream may have.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which one.
    pub id: PipelineId,
    /// What it is to do.
    pub job: Job,
    /// What starts it.
    pub start: Start,
}

/// What starts a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Its stream is there.
    Now,
    /// Someone wants to see this, or has so lately.
    Demand {
        /// The streams of which one is wanted.
        keys: Vec<StreamKey>,
        /// How long it goes on when nobody wants that any more.
        keep: Duration,
    },
    /// Someone says so.
    Manual,
}

#[derive(Clone, Debug)]
enum Goes {
    To(TargetPattern),
    ToSegments,
    ToPictures,
    ToFile { dir: PathBuf, format: RecordFormat },
    Nowhere,
}

/// Tells pipelines apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PipelineId {
    /// The one that runs without a stream under this name.
    Source(String),
    /// The one of this number in its app's list, for this publication.
    Stream(PublicationId, usize),
    /// The one of this number that was ordered for this publication.
    Ordered(PublicationId, u64),
}

impl PipelineId {
    /// The publication it works on.
    pub fn publication(&self) -> Option<PublicationId> {
        match self {
            Self::Source(_) => None,
            Self::Stream(publication, _) | Self::Ordered(publication, _) => Some(*publication),
        }
    }
}

/// A live stream, as far as it matters here.
#[derive(Clone, Debug)]
pub struct LiveStream {
    /// Its key.
    pub key: StreamKey,
    /// Its publication.
    pub id: PublicationId,
    /// The streams it was made from, nearest first.
    pub ancestors: Vec<StreamKey>,
}

/// A pipeline that is asked for and must not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which one.
    pub id: PipelineId,
    /// Why.
    pub reason: String,
}

impl LiveStream {
    /// From what the hub says; `None` if it is not live.
    pub fn of(stream: &StreamSnapshot) -> Option<Self> {
        let live = stream.live.as_ref()?;
        Some(Self {
            key: stream.key.clone(),
            id: live.id,
            ancestors: match &live.origin {
                Origin::Pipeline { ancestors, .. } => ancestors.clone(),
                Origin::Rtmp { .. } => Vec::new(),
            },
        })
    }
}

impl Plan {
    /// Holds the configuration against the templates there are.
    pub fn new(config: &Config, library: &Library) -> Result<Self, Vec<Problem>> {
        let mut plan = Self {
            library: library.clone(),
            ..Self::default()
        };
        let mut problems = Vec::new();
        for (name, app) in &config.apps {
            let app = app.or(&config.defaults);
            let mut prepared = Vec::new();
            problems.extend(wrong_templates(name, &app.templates, library));
            for used in app.pipelines() {
                match Prepared::new(used, &app.templates, library) {
                    Ok(pipeline) => prepared.push(pipeline),
                    Err(message) => problems.push(problem(format!("apps.{name}.pipelines"), message)),
                }
            }
            if let Some(record) = &app.record {
                match Prepared::recorder(record, &app.templates, library) {
                    Ok(pipeline) => prepared.push(pipeline),
                    Err(message) => problems.push(problem(format!("apps.{name}.record"), message)),
                }
            }
            plan.apps.insert(name.clone(), prepared);
            plan.defaults.insert(name.clone(), app.templates);
        }
        for (name, source) in &config.sources {
            match source_job(&source.template, &source.params, &source.publish_to, library) {
                Ok(job) => {
                    plan.sources.insert(name.clone(), job);
                }
                Err(message) => problems.push(problem(format!("sources.{name}"), message)),
            }
        }
        if problems.is_empty() { Ok(plan) } else { Err(problems) }
    }

    /// The templates it is made from.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Checks a pipeline that is asked for in an app while the server runs.
    pub fn prepare(&self, app: &str, used: &PipelineUse) -> Result<Prepared, String> {
        let defaults = self.defaults.get(app).cloned().unwrap_or_default();
        let template = find(&used.template, &self.library)?;
        params::check_source(&template.params, &used.params).map_err(|error| error.to_string())?;
        Prepared::new(used, &defaults, &self.library)
    }

    /// The sources, which always run.
    pub fn sources(&self) -> impl Iterator<Item = Candidate> {
        self.sources.iter().map(|(name, job)| Candidate {
            id: PipelineId::Source(name.clone()),
            job: job.clone(),
            start: Start::Now,
        })
    }

    /// Whether anything is started by demand.
    pub fn has_demand(&self) -> bool {
        let mut prepared = self.apps.values().flatten();
        prepared.any(|pipeline| pipeline.when == When::Demand)
    }

    /// The pipelines that these live streams may have, and those that must not run although they are asked for.
    pub fn candidates(&self, live: &[LiveStream]) -> (Vec<Candidate>, Vec<Refusal>) {
        let (mut candidates, mut refusals) = (Vec::new(), Vec::new());
        for stream in live {
            let prepared = self.apps.get(stream.key.app()).into_iter().flatten().enumerate();
            for (number, pipeline) in prepared.filter(|(_, pipeline)| pipeline.fits(&stream.key)) {
                match pipeline.candidate(stream, PipelineId::Stream(stream.id, number)) {
                    Ok(candidate) => candidates.push(candidate),
                    Err(refusal) => refusals.push(refusal),
                }
            }
        }
        (candidates, refusals)
    }
}

impl Prepared {
    fn new(used: &PipelineUse, defaults: &TemplateParams, library: &Library) -> Result<Self, String> {
        let template = find(&used.template, library)?;
        let name = &template.name;
        if template.is_source() {
            return Err(format!("template '{name}' works on no stream; it belongs to [sources]"));
        }
        let goes = match (template.output, &used.publish_to) {
            (Output::Stream, Some(target)) => Goes::To(target.clone()),
            (Output::Stream, None) => return Err(format!("template '{name}' needs publish_to")),
            (_, Some(_)) => {
                return Err(format!(
                    "template '{name}' publishes no stream; publish_to has no meaning"
                ));
            }
            (Output::Segments, None) => Goes::ToSegments,
            (Output::Pictures, None) => Goes::ToPictures,
            (Output::File, None) => {
                return Err(format!(
                    "template '{name}' writes a file; say where with record = {{ path = … }}"
                ));
            }
            (Output::None, None) => Goes::Nowhere,
        };
        let values = values(&template, defaults, &used.params)?;
        if let Goes::To(target) = &goes
            && !target.has_output()
        {
            let outputs: Vec<_> = template.output_names(&values).into_iter().collect();
            if outputs.len() > 1 {
                return Err(format!(
                    "template '{name}' makes several streams ({}); publish_to needs {{output}}",
                    outputs.join(", ")
                ));
            }
        }
        Ok(Self {
            template,
            values,
            goes,
            when: used.when,
            names: used.names.as_deref().map(WildMatch::new),
            keep: used.keep.0,
        })
    }

    fn recorder(record: &Record, defaults: &TemplateParams, library: &Library) -> Result<Self, String> {
        let (name, format) = RECORDER;
        let template = find(name, library)?;
        if template.output != Output::File {
            return Err(format!("template '{name}' writes no file"));
        }
        let given = BTreeMap::from([(
            format.to_owned(),
            toml::Value::String(record.format.as_str().to_owned()),
        )]);
        let values = values(&template, defaults, &given)?;
        Ok(Self {
            template,
            values,
            goes: Goes::ToFile {
                dir: record.path.clone(),
                format: record.format,
            },
            when: match record.when {
                RecordWhen::Publish => When::Publish,
                RecordWhen::Manual => When::Manual,
            },
            names: None,
            keep: Duration::ZERO,
        })
    }

    fn fits(&self, key: &StreamKey) -> bool {
        self.names.as_ref().is_none_or(|names| names.matches(key.name()))
    }

    /// As one that this stream may have.
    pub fn candidate(&self, stream: &LiveStream, id: PipelineId) -> Result<Candidate, Refusal> {
        let job = match self.job(stream) {
            Ok(job) => job,
            Err(reason) => return Err(Refusal { id, reason }),
        };
        let start = match self.when {
            When::Publish => Start::Now,
            When::Manual => Start::Manual,
            When::Demand => Start::Demand {
                keys: match &job.destination {
                    Destination::Streams(streams) => streams.values().cloned().collect(),
                    Destination::Segments(key) | Destination::Pictures(key) => vec![key.clone()],
                    Destination::Recording { .. } | Destination::None => vec![stream.key.clone()],
                },
                keep: self.keep,
            },
        };
        Ok(Candidate { id, job, start })
    }

    /// The streams that it publishes of this one.
    fn streams(&self, pattern: &TargetPattern, stream: &LiveStream) -> Result<Destination, String> {
        let mut streams = BTreeMap::new();
        for output in self.template.output_names(&self.values) {
            let target = pattern.resolve_output(Some(&stream.key), &output);
            let target = target.map_err(|error| error.to_string())?;
            if target == stream.key || stream.ancestors.contains(&target) {
                return Err(format!(
                    "{} of {} would publish {target}, which {} is made from; it does not run",
                    self.template.name, stream.key, stream.key
                ));
            }
            streams.insert(output, target);
        }
        Ok(Destination::Streams(streams))
    }

    fn job(&self, stream: &LiveStream) -> Result<Job, String> {
        let destination = match &self.goes {
            Goes::To(pattern) => self.streams(pattern, stream)?,
            Goes::ToSegments => Destination::Segments(stream.key.clone()),
            Goes::ToPictures => Destination::Pictures(stream.key.clone()),
            Goes::ToFile { dir, format } => Destination::Recording {
                dir: dir.clone(),
                format: *format,
            },
            Goes::Nowhere => Destination::None,
        };
        Ok(Job {
            template: self.template.clone(),
            values: params::of_stream(&self.values, stream.key.app(), stream.key.name()),
            input: Some(Input {
                key: stream.key.clone(),
                id: stream.id,
                ancestors: stream.ancestors.clone(),
            }),
            destination,
        })
    }
}

/// The values of a template's parameters in an app: what is given, else the app's own, else the template's.
fn values(template: &Template, defaults: &TemplateParams, given: &Given) -> Result<Values, String> {
    let mut all = defaults.get(&template.name).cloned().unwrap_or_default();
    all.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    params::resolve(&template.params, &all).map_err(|error| format!("{}: {error}", template.name))
}

/// What is wrong with an app's values for templates.
fn wrong_templates(app: &str, given: &TemplateParams, library: &Library) -> Vec<Problem> {
    let problem = |(name, given): (&String, &Given)| {
        let key = format!("apps.{app}.templates.{name}");
        let template = match find(name, library) {
            Ok(template) => template,
            Err(message) => return Some(problem(key, message)),
        };
        let error = params::resolve(&template.params, given).err()?;
        Some(problem(format!("{key}.{}", error.name()), error.to_string()))
    };
    given.iter().filter_map(problem).collect()
}

fn source_job(
    template: &str,
    given: &BTreeMap<String, toml::Value>,
    publish_to: &TargetPattern,
    library: &Library,
) -> Result<Job, String> {
    let template = find(template, library)?;
    let name = &template.name;
    if !template.is_source() || template.output != Output::Stream {
        return Err(format!("template '{name}' is no source: it makes no stream by itself"));
    }
    let values = params::resolve(&template.params, given).map_err(|error| format!("{name}: {error}"))?;
    if let Some(param) = params::first_pattern(&values) {
        return Err(format!(
            "{name}: parameter '{param}': a source has no stream that {{app}} and {{name}} could stand for"
        ));
    }
    let mut outputs = template.output_names(&values).into_iter();
    let (Some(output), None) = (outputs.next(), outputs.next()) else {
        return Err(format!(
            "template '{name}' makes several streams, which a source cannot"
        ));
    };
    let target = publish_to
        .resolve_output(None, &output)
        .map_err(|error| error.to_string())?;
    Ok(Job {
        template,
        values,
        input: None,
        destination: Destination::Streams(BTreeMap::from([(output, target)])),
    })
}

fn find(name: &str, library: &Library) -> Result<Arc<Template>, String> {
    let entry = library.find(name).map_err(|error| error.to_string())?;
    Ok(entry.template.clone())
}

fn problem(key: String, message: String) -> Problem {
    Problem {
        place: None,
        key: Some(key),
        message,
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::params::Value, *};

    fn plan(text: &str) -> Result<Plan, String> {
        let config: Config = toml::from_str(text).unwrap();
        Plan::new(&config, &Library::load(&[]).0).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
            lines.join("\n")
        })
    }

    fn live(key: &str, id: u64, ancestors: &[&str]) -> LiveStream {
        LiveStream {
            key: StreamKey::parse(key).unwrap(),
            id: PublicationId(id),
            ancestors: ancestors.iter().map(|key| StreamKey::parse(key).unwrap()).collect(),
        }
    }

    const STUDIO: &str = r#"
[apps.live]
pipelines = ["hls", { template = "transcode", params = { height = 240 }, publish_to = "small/{name}" }]
record = { path = "/rec", format = "flv" }
[apps.small]
pipelines = [{ template = "transcode", publish_to = "live/{name}" }]
[sources.demo]
template = "demo"
publish_to = "live/demo"
"#;

    #[test]
    fn every_stream_gets_the_pipelines_of_its_app() {
        let plan = plan(STUDIO).unwrap();
        let (candidates, refusals) = plan.candidates(&[live("live/a", 7, &[])]);
        let shown: Vec<_> = plan
            .sources()
            .chain(candidates)
            .map(|candidate| (candidate.id, candidate.job.destination))
            .collect();
        let key = |text| StreamKey::parse(text).unwrap();
        assert_eq!(
            shown,
            [
                (
                    PipelineId::Source("demo".to_owned()),
                    Destination::only(key("live/demo"))
                ),
                (
                    PipelineId::Stream(PublicationId(7), 0),
                    Destination::Segments(key("live/a"))
                ),
                (
                    PipelineId::Stream(PublicationId(7), 1),
                    Destination::only(key("small/a"))
                ),
                (
                    PipelineId::Stream(PublicationId(7), 2),
                    Destination::Recording {
                        dir: "/rec".into(),
                        format: RecordFormat::Flv
                    }
                ),
            ]
        );
        assert_eq!(refusals, []);
    }

    #[test]
    fn a_loop_is_refused_with_its_streams() {
        let rendition = live("small/a", 8, &["live/a"]);
        let (candidates, refusals) = plan(STUDIO).unwrap().candidates(&[rendition]);
        assert!(candidates.is_empty(), "{candidates:?}");
        assert_eq!(
            refusals[0].reason,
            "transcode of small/a would publish live/a, which small/a is made from; it does not run"
        );
    }

    #[test]
    fn what_starts_a_pipeline_and_for_which_names_is_told_by_its_use() {
        let text = r#"
[apps.live]
pipelines = [
    { template = "hls", match = "cam?" },
    { template = "transcode", when = "demand", keep = "5s", publish_to = "small/{name}" },
    { template = "hls", when = "manual" },
]
"#;
        let plan = plan(text).unwrap();
        let starts = |name| {
            let (candidates, _) = plan.candidates(&[live(name, 1, &[])]);
            candidates
                .into_iter()
                .map(|candidate| candidate.start)
                .collect::<Vec<_>>()
        };
        let demand = |key| Start::Demand {
            keys: vec![StreamKey::parse(key).unwrap()],
            keep: Duration::from_secs(5),
        };
        assert_eq!(starts("live/cam1"), [Start::Now, demand("small/cam1"), Start::Manual]);
        assert_eq!(starts("live/x"), [demand("small/x"), Start::Manual]);
    }

    #[test]
    fn mistakes_are_found_before_anything_runs() {
        for (text, expected) in [
            (
                "pipelines = ['hsl']",
                "apps.live.pipelines: there is no template 'hsl'; did you mean 'hls'?",
            ),
            (
                "pipelines = ['transcode']",
                "apps.live.pipelines: template 'transcode' needs publish_to",
            ),
            (
                "pipelines = ['demo']",
                "template 'demo' works on no stream; it belongs to [sources]",
            ),
            (
                "pipelines = ['record']",
                "template 'record' writes a file; say where with record = { path = … }",
            ),
            (
                "pipelines = [{ template = 'hls', publish_to = 'live/x' }]",
                "template 'hls' publishes no stream; publish_to has no meaning",
            ),
            (
                "pipelines = [{ template = 'transcode', publish_to = 'live/x', params = { height = 99999999999 } }]",
                "transcode: parameter 'height': 99999999999 is above 4320",
            ),
        ] {
            let error = plan(&format!("[apps.live]\n{text}\n")).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        for (text, expected) in [
            (
                "pipelines = [{ template = 'ladder', publish_to = 'live/x' }]",
                "template 'ladder' makes several streams (1080, 240, 480, 720, audio); publish_to needs {output}",
            ),
            (
                "[apps.live.templates.trancode]",
                "apps.live.templates.trancode: there is no template 'trancode'; did you mean 'transcode'?",
            ),
            (
                "[apps.live.templates.transcode]\nheigth = 1",
                "apps.live.templates.transcode.heigth: there is no parameter 'heigth'; did you mean 'height'?",
            ),
            (
                "[apps.live.templates.transcode]\nheight = 1",
                "apps.live.templates.transcode.height: parameter 'height': 1 is below 64",
            ),
        ] {
            let error = plan(&format!("[apps.live]\n{text}\n")).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = plan("[apps.live]\n[sources.s]\ntemplate = 'hls'\npublish_to = 'live/x'\n").unwrap_err();
        assert!(error.contains("sources.s: template 'hls' is no source"), "{error}");
    }

    #[test]
    fn each_output_of_a_ladder_has_its_stream_and_none_of_them_may_be_the_source() {
        let plan = plan(
            "[apps.live]\npipelines = [{ template = 'ladder', publish_to = 'abr/{name}_{output}' }]\n\
             [apps.live.templates.ladder]\nladder = [{ height = 480, bitrate = '1M' }]\n[apps.abr]",
        )
        .unwrap();
        let (jobs, _) = plan.candidates(&[live("live/a", 7, &[])]);
        let key = |text| StreamKey::parse(text).unwrap();
        assert_eq!(
            jobs[0].job.destination,
            Destination::Streams(BTreeMap::from([
                ("480".to_owned(), key("abr/a_480")),
                ("audio".to_owned(), key("abr/a_audio")),
            ]))
        );
        let (jobs, refusals) = plan.candidates(&[live("live/a", 7, &["abr/a_audio"])]);
        assert_eq!(jobs.len(), 0);
        assert!(refusals[0].reason.contains("would publish abr/a_audio"), "{refusals:?}");
    }

    #[test]
    fn an_apps_values_stand_in_for_a_templates_defaults_and_a_pipelines_own_go_before_them() {
        let plan = plan(
            "[defaults.templates.transcode]\nheight = 100\naudio_bitrate = '64k'\n\
             [apps.live]\npipelines = [{ template = 'transcode', publish_to = 'small/{name}' },\n\
             { template = 'transcode', params = { height = 120 }, publish_to = 'tiny/{name}' }]\n\
             [apps.live.templates.transcode]\nheight = 110\n[apps.small]\n[apps.tiny]",
        )
        .unwrap();
        let (jobs, _) = plan.candidates(&[live("live/a", 7, &[])]);
        let shown: Vec<_> = jobs
            .iter()
            .map(|one| {
                (
                    one.job.values["height"].clone(),
                    one.job.values["audio_bitrate"].clone(),
                )
            })
            .collect();
        let values = |height| (Value::Int(height), Value::Bitrate(64_000));
        assert_eq!(shown, [values(110), values(120)]);
    }
}
