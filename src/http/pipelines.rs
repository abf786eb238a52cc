//! The pipelines over HTTP: how they are, and what can be asked of them.
//!
//! Who may change what runs is a matter of where the request comes from: this machine, and no page of another site. What a
//! request asks for goes through the same checks as a configuration file.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use warp::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{Request, Site, reply, route::PipelineRoute};
use crate::{
    config::PipelineUse,
    hub::StreamKey,
    output::date_time::Rfc3339,
    pipeline::{
        control::Answer,
        graph,
        job::Request as Asked,
        params::{Given, Rung, Value},
        roster::{OrderError, PipelineSnapshot},
        stages::Stage,
    },
};

/// More than any order needs.
const MAX_BODY: usize = 64 << 10;
/// How long an order may take to become a pipeline.
const START: Duration = Duration::from_secs(2);

/// `GET /api/v1/pipelines`
#[derive(Debug, Serialize)]
pub(super) struct Pipelines {
    pipelines: Vec<Pipeline>,
}

#[derive(Debug, Serialize)]
pub(super) struct Pipeline {
    /// Its number, for what can be asked of it.
    id: u64,
    template: String,
    /// The stream it works on, as `app/name`; a source has none.
    stream: Option<String>,
    /// The first of the streams it publishes.
    publishes: Option<String>,
    /// All of them.
    outputs: Vec<String>,
    /// `waiting`, `idle`, `running`, `restarting`, `quarantined`, `finishing` or `ended`.
    state: &'static str,
    since: Option<String>,
    restarts: u32,
    /// What failed last.
    message: Option<String>,
    /// What it goes on in spite of, such as an encoder that failed.
    warning: Option<String>,
    /// What it does without because there are not enough encoders.
    shortage: Option<String>,
    /// Frames it was too slow for.
    dropped: u64,
    /// The file it writes, or wrote last.
    file: Option<String>,
    /// Its parameters, as they are set now.
    params: BTreeMap<String, Shown>,
    /// The element that was chosen for each encoder role.
    encoders: BTreeMap<String, String>,
    /// The kit whose memory pictures are in, as far as they are in a device's.
    kit: Option<String>,
    /// What waits to go in.
    queues: Vec<Queue>,
    /// How long pictures take through it.
    stages: Vec<StageShown>,
    /// Of its own process, if it has one.
    process: Option<Process>,
}

/// A value as JSON has it: bit rates in bits a second, durations in seconds, sizes in bytes.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Shown {
    Number(f64),
    Whole(i64),
    Bool(bool),
    Text(String),
    Rungs(Vec<Rung>),
}

#[derive(Debug, Serialize)]
struct Queue {
    track: String,
    bytes: u64,
    milliseconds: i64,
}

#[derive(Debug, Serialize)]
struct StageShown {
    name: String,
    element: String,
    frames: u64,
    mean_milliseconds: f64,
    max_milliseconds: f64,
    /// `system`, or the memory of a device, such as `CUDAMemory`: where pictures are when they leave it.
    memory: Option<String>,
    /// They came in another memory, and were copied.
    copied: bool,
    /// Why they are in system memory where the encoder is a device's.
    why: Option<String>,
}

#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    cpu_seconds: f64,
    memory_bytes: u64,
}

/// `PATCH /api/v1/pipelines/ID`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Change {
    /// Parameters to set.
    params: Given,
    /// Begin a group of pictures with the next one.
    key_frame: bool,
    /// Streams to publish the result as, too.
    publish: Vec<Addition>,
    /// Streams to publish it as no longer.
    unpublish: Vec<StreamName>,
}

/// A stream to publish a result as.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "\"APP/NAME\" or {\"output\": \"NAME\", \"publish_to\": \"APP/NAME\"} was expected"
)]
enum Addition {
    /// The only one there is.
    Only(StreamName),
    /// One of several.
    Of(OfOutput),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfOutput {
    output: String,
    publish_to: StreamName,
}

impl From<Addition> for Asked {
    fn from(addition: Addition) -> Self {
        let (output, StreamName(key)) = match addition {
            Addition::Only(key) => (None, key),
            Addition::Of(of) => (Some(of.output), of.publish_to),
        };
        Self::Publish { output, key }
    }
}

/// `app/name`
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct StreamName(StreamKey);

impl TryFrom<String> for StreamName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        StreamKey::parse(&text).map(Self).map_err(|error| error.to_string())
    }
}

/// All pipelines.
pub(super) fn list(site: &Site) -> Pipelines {
    Pipelines {
        pipelines: (site.pipelines)().iter().map(Pipeline::of).collect(),
    }
}

/// Those of a stream.
pub(super) fn of_stream(all: &[PipelineSnapshot], key: &StreamKey) -> Vec<Pipeline> {
    let of_stream = all.iter().filter(|pipeline| pipeline.input.as_ref() == Some(key));
    of_stream.map(Pipeline::of).collect()
}

/// Whether a request asks for a change.
pub(super) fn is_change(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PATCH | Method::DELETE)
}

/// What is asked of pipelines.
pub(super) async fn answer(
    site: &Site,
    route: PipelineRoute,
    request: &Request,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Response {
    if is_change(&request.method)
        && let Err(reason) = may_change(&request.headers, request.peer.ip())
    {
        return reply::failure(StatusCode::FORBIDDEN, reason);
    }
    let answered = match (&request.method, route) {
        (&Method::GET | &Method::HEAD, PipelineRoute::All) => Ok(reply::json(&list(site))),
        (&Method::GET | &Method::HEAD, PipelineRoute::OfStream(key)) => {
            let pipelines = of_stream(&(site.pipelines)(), &key);
            Ok(reply::json(&Pipelines { pipelines }))
        }
        (&Method::POST, PipelineRoute::OfStream(key)) => match read::<PipelineUse>(&request.headers, body).await {
            Ok(used) => order(site, &key, &used).await,
            Err(refused) => return refused,
        },
        (&Method::GET | &Method::HEAD, PipelineRoute::One(number)) => shown(site, number),
        (&Method::DELETE, PipelineRoute::One(number)) => site.roster.stop(number).map(|()| no_content()),
        (&Method::PATCH, PipelineRoute::One(number)) => match read::<Change>(&request.headers, body).await {
            Ok(change) => alter(site, number, change).await,
            Err(refused) => return refused,
        },
        (&Method::POST, PipelineRoute::Restart(number)) => site.roster.restart(number).map(|()| no_content()),
        (&Method::GET | &Method::HEAD, PipelineRoute::Graph(number)) => picture(site, number).await,
        (method, _) => {
            let text = format!("{method} is not possible here");
            return reply::failure(StatusCode::METHOD_NOT_ALLOWED, &text);
        }
    };
    answered.unwrap_or_else(|error| {
        let status = match error {
            OrderError::NoSuch(_) | OrderError::NotLive(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::CONFLICT,
        };
        reply::failure(status, &error.to_string())
    })
}

/// A browser sends pages' requests to this machine, too, and tells whose they are.
fn may_change(headers: &HeaderMap, peer: IpAddr) -> Result<(), &'static str> {
    if !peer.to_canonical().is_loopback() {
        return Err("what runs can be changed from this machine only");
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let foreign = text(header::ORIGIN).is_some_and(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_none() || host != text(header::HOST)
    });
    match foreign {
        true => Err("what runs cannot be changed by a page of another site"),
        false => Ok(()),
    }
}

/// A body of JSON.
async fn read<T: for<'de> Deserialize<'de>>(
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<T, Response> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    // A form or plain text can be sent by any page without being asked.
    if kind.is_none_or(|kind| kind.split(';').next().map(str::trim) != Some("application/json")) {
        let text = "send JSON, with Content-Type: application/json";
        return Err(reply::failure(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let mut whole = BytesMut::new();
    let mut body = std::pin::pin!(body);
    while let Some(piece) = body.next().await {
        let Ok(mut piece) = piece else {
            return Err(reply::failure(StatusCode::BAD_REQUEST, "the body broke off"));
        };
        if whole.len() + piece.remaining() > MAX_BODY {
            return Err(reply::failure(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"));
        }
        whole.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    serde_json::from_slice(&whole).map_err(|error| reply::failure(StatusCode::BAD_REQUEST, &error.to_string()))
}

async fn order(site: &Site, key: &StreamKey, used: &PipelineUse) -> Result<Response, OrderError> {
    let id = match site.roster.order(&site.hub, key, used) {
        Ok(id) => id,
        Err(error) => return Err(error),
    };
    let until = Instant::now() + START;
    loop {
        let pipelines = site.roster.list();
        if let Some(pipeline) = pipelines.iter().find(|pipeline| pipeline.id == id) {
            let mut response = reply::json(&Pipeline::of(pipeline));
            *response.status_mut() = StatusCode::CREATED;
            if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/pipelines/{}", pipeline.number)) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            return Ok(response);
        }
        if Instant::now() >= until {
            // One that waits for a viewer is there when he is.
            return Ok(no_content());
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn alter(site: &Site, number: u64, change: Change) -> Result<Response, OrderError> {
    let Change {
        params,
        key_frame,
        publish,
        unpublish,
    } = change;
    let mut asked = Vec::new();
    if !params.is_empty() {
        asked.push(Asked::Set(params));
    }
    asked.extend(publish.into_iter().map(Asked::from));
    asked.extend(unpublish.into_iter().map(|StreamName(key)| Asked::Unpublish(key)));
    if key_frame {
        asked.push(Asked::KeyFrame);
    }
    for asked in asked {
        site.roster.ask(number, asked).await?;
    }
    shown(site, number)
}

fn shown(site: &Site, number: u64) -> Result<Response, OrderError> {
    let pipeline = site.roster.find(number).ok_or(OrderError::NoSuch(number))?;
    Ok(reply::json(&Pipeline::of(&pipeline)))
}

async fn picture(site: &Site, number: u64) -> Result<Response, OrderError> {
    let Answer::Graph(dot) = site.roster.ask(number, Asked::Graph).await? else {
        return Err(OrderError::Refused("the pipeline shows no graph".to_owned()));
    };
    Ok(drawn(dot).await)
}

/// A graph in Graphviz' language, drawn where that is installed.
pub(super) async fn drawn(dot: String) -> Response {
    match graph::svg(&dot).await {
        Ok(svg) => reply::whole("image/svg+xml", reply::FRESH, svg),
        // Whoever has no Graphviz here may have it elsewhere.
        Err(_) => reply::whole("text/vnd.graphviz", reply::FRESH, Bytes::from(dot)),
    }
}

fn no_content() -> Response {
    let mut response = Response::new(Bytes::new().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

impl Pipeline {
    fn of(pipeline: &PipelineSnapshot) -> Self {
        let status = &pipeline.status;
        let outputs: Vec<_> = match (&pipeline.destination, status.publishes.as_slice()) {
            (destination, []) => destination.streams().iter().map(StreamKey::to_string).collect(),
            (_, keys) => keys.iter().map(StreamKey::to_string).collect(),
        };
        Self {
            id: pipeline.number,
            template: pipeline.template.clone(),
            stream: pipeline.input.as_ref().map(StreamKey::to_string),
            publishes: outputs.first().cloned(),
            outputs,
            state: status.state.as_str(),
            since: status.started.map(|started| Rfc3339(started).to_string()),
            restarts: status.restarts,
            message: status.last_error.clone(),
            warning: status.warning.clone(),
            shortage: status.shortage.clone(),
            dropped: status.dropped,
            file: status.file.as_ref().map(|file| file.display().to_string()),
            params: status
                .values
                .iter()
                .map(|(name, value)| (name.clone(), Shown::of(value)))
                .collect(),
            encoders: status.encoders.iter().cloned().collect(),
            kit: status.kit.clone(),
            queues: status
                .levels
                .iter()
                .map(|(track, level)| Queue {
                    track: track.to_string(),
                    bytes: level.bytes,
                    milliseconds: level.time.as_millis(),
                })
                .collect(),
            stages: status.stages.iter().map(StageShown::of).collect(),
            process: status.usage.map(|usage| Process {
                pid: usage.pid,
                cpu_seconds: usage.cpu.as_secs_f64(),
                memory_bytes: usage.memory,
            }),
        }
    }
}

impl StageShown {
    fn of(stage: &Stage) -> Self {
        let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        Self {
            name: stage.name.clone(),
            element: stage.element.clone(),
            frames: stage.frames,
            mean_milliseconds: millis(stage.mean),
            max_milliseconds: millis(stage.max),
            memory: stage.memory.clone(),
            copied: stage.copied,
            why: stage.why.clone(),
        }
    }
}

impl Shown {
    fn of(value: &Value) -> Self {
        match value {
            Value::Int(number) => Self::Whole(*number),
            Value::Float(number) => Self::Number(*number),
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Text(text) | Value::Choice(text) | Value::File(text) => Self::Text(text.clone()),
            Value::Secret(_) | Value::Address(_) => Self::Text(value.to_string()),
            Value::Bitrate(number) | Value::Size(number) => Self::Whole(i64::try_from(*number).unwrap_or(i64::MAX)),
            Value::Duration(duration) => Self::Number(duration.as_secs_f64()),
            Value::Fraction(fraction) => Self::Text(fraction.to_string()),
            Value::Ladder(rungs) => Self::Rungs(rungs.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_this_machine_and_no_page_of_another_site_changes_what_runs() {
        let headers = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "localhost:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            headers
        };
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let elsewhere: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(may_change(&headers(None), here).is_ok());
        assert!(may_change(&headers(None), mapped).is_ok());
        assert!(may_change(&headers(Some("http://localhost:8080")), here).is_ok());
        assert!(may_change(&headers(Some("http://evil.example")), here).is_err());
        assert!(may_change(&headers(Some("null")), here).is_err());
        assert!(may_change(&headers(None), elsewhere).is_err());
    }
}
