//! The templates over HTTP: which there are, what each may be told, and what is wrong with their files.

use serde::Serialize;
use warp::{http::StatusCode, reply::Response};

use super::{Site, pipelines, reply};
use crate::{
    config::Problem,
    output::date_time::Rfc3339,
    pipeline::{
        library::Entry,
        params::{Kind, Param, Unit},
        template::Output,
    },
};

/// `GET /api/v1/templates`
#[derive(Debug, Serialize)]
pub(super) struct Templates {
    /// In order of names.
    templates: Vec<Template>,
    /// What is wrong with files that no template was read from, and why the configuration does not fit those that were.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Template {
    name: String,
    summary: String,
    version: u32,
    /// Its file; a shipped one has none.
    file: Option<String>,
    /// When it was read as it is.
    loaded: String,
    /// `stream`, `segments`, `file`, `pictures` or `none`.
    output: Output,
    /// It works on no stream, and makes one by itself.
    source: bool,
    params: Vec<Parameter>,
    /// Why what is in its file now is not used, or why it does not work here.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Parameter {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    summary: String,
    /// A value has to be given.
    required: bool,
    default: Option<toml::Value>,
    min: Option<toml::Value>,
    max: Option<toml::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
    unit: Option<Unit>,
    /// Only the configuration can set it.
    reserved: bool,
}

/// All templates.
pub(super) fn list(site: &Site) -> Templates {
    let (plan, refused) = site.roster.plan();
    let library = plan.library();
    let problems = library.problems().iter().chain(&refused);
    Templates {
        templates: library.iter().map(Template::of).collect(),
        problems: problems.map(Problem::to_string).collect(),
    }
}

/// The elements of a template, drawn for a stream with pictures and sound and its defaults.
pub(super) async fn graph(site: &Site, name: &str) -> Response {
    let (plan, _) = site.roster.plan();
    let entry = match plan.library().find(name) {
        Ok(entry) => entry.clone(),
        Err(error) => return reply::failure(StatusCode::NOT_FOUND, &error.to_string()),
    };
    // Elements are loaded from disk.
    let drawn = tokio::task::spawn_blocking(move || entry.graph()).await;
    match drawn {
        Ok(Ok(dot)) => pipelines::drawn(dot).await,
        Ok(Err(reason)) => reply::failure(StatusCode::CONFLICT, &format!("no graph: {reason}")),
        Err(error) => reply::failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("no graph: {error}")),
    }
}

impl Template {
    fn of(entry: &Entry) -> Self {
        let template = &entry.template;
        Self {
            name: template.name.clone(),
            summary: template.summary.clone(),
            version: template.version,
            file: entry.path.as_ref().map(|path| path.display().to_string()),
            loaded: Rfc3339(entry.loaded).to_string(),
            output: template.output,
            source: template.is_source(),
            params: template
                .params
                .iter()
                .map(|(name, param)| Parameter::of(name, param))
                .collect(),
            problem: entry.problem.as_ref().or(entry.flaw.as_ref()).map(Problem::to_string),
        }
    }
}

impl Parameter {
    fn of(name: &str, param: &Param) -> Self {
        Self {
            name: name.to_owned(),
            kind: param.kind,
            summary: param.summary.clone(),
            required: param.default.is_none(),
            // An address may hold a key, and what is secret is so by default, too.
            default: param
                .default
                .clone()
                .filter(|_| !param.secret && param.kind != Kind::Url),
            min: param.min.clone(),
            max: param.max.clone(),
            values: param.values.clone(),
            unit: param.unit,
            reserved: param.kind == Kind::File,
        }
    }
}
