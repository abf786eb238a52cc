//! Work: a template on the stream that is previewed.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::{
    encoder::Equipment,
    job::{Command, Destination, Input, Job, State, Status},
    params,
    supervisor::{Services, supervise},
    template::{Output, Template},
    worker::Limits,
};
use crate::{
    config::Encoders,
    hub::{Hub, PublicationId, StreamKey},
    output::{hls, pictures::Pictures},
};

/// The application of what a template makes. The hub is the preview's own, so nobody else can mean it.
const RESULTS: &str = "preview";

/// A template that runs. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Work {
    result: StreamKey,
    status: watch::Receiver<Status>,
    _commands: mpsc::Sender<Command>,
    _stop: DropGuard,
}

/// Says why a template makes nothing that could be shown.
pub(super) fn check(template: &Template) -> Result<(), String> {
    if template.is_source() {
        return Err("it works on no stream".to_owned());
    }
    match template.output {
        Output::Stream => Ok(()),
        Output::Segments => {
            Err("it makes segments for HLS; preview shows templates with output = \"stream\"".to_owned())
        }
        Output::Pictures => {
            Err("it draws pictures for HTTP; preview shows templates with output = \"stream\"".to_owned())
        }
        Output::File => Err("it writes a file; preview shows templates with output = \"stream\"".to_owned()),
        Output::None => {
            Err("its own elements see to its result; preview shows templates with output = \"stream\"".to_owned())
        }
    }
}

impl Work {
    /// Runs a template, with its defaults, on a publication.
    pub(super) fn start(
        template: &Arc<Template>,
        hub: &Hub,
        key: &StreamKey,
        id: PublicationId,
    ) -> Result<Self, String> {
        let values = params::resolve(&template.params, &BTreeMap::new()).map_err(|error| error.to_string())?;
        let outputs = template.output_names(&values);
        // Of several the first one is as good as any.
        let output = outputs.into_iter().next().ok_or("it makes no stream")?;
        let result = StreamKey::new(RESULTS, &key.to_string()).map_err(|error| error.to_string())?;
        let job = Job {
            template: template.clone(),
            values,
            input: Some(Input {
                key: key.clone(),
                id,
                ancestors: Vec::new(),
            }),
            destination: Destination::Streams(BTreeMap::from([(output, result.clone())])),
        };
        let equipment = Equipment::new(&Encoders::default())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let services = Services {
            hub: hub.clone(),
            segments: hls::Store::new(0),
            pictures: Pictures::default(),
            hls: hls::Settings::default(),
            // Whoever looks on wants to see a crash.
            workers: None,
            limits: Limits::default(),
            encoders: equipment.bench,
            kits: equipment.kits,
        };
        let (status, shown) = watch::channel(Status::default());
        let (commands, received) = mpsc::channel(1);
        let stop = CancellationToken::new();
        tokio::spawn(supervise(job, services, status, received, stop.clone()));
        Ok(Self {
            result,
            status: shown,
            _commands: commands,
            _stop: stop.drop_guard(),
        })
    }

    /// Where its result is published.
    pub(super) fn result(&self) -> &StreamKey {
        &self.result
    }

    /// Waits until it cannot do what it is there for. A server would try again; whoever looks on wants to know.
    pub(super) async fn failure(work: &mut Option<Self>) -> String {
        let Some(work) = work else {
            return std::future::pending().await;
        };
        let is_stuck = |status: &Status| matches!(status.state, State::Restarting | State::Idle);
        match work.status.wait_for(is_stuck).await {
            Ok(status) if status.state == State::Restarting => status.last_error.clone().unwrap_or_default(),
            Ok(_) => "the stream has no track that it works on".to_owned(),
            // It is over, as the stream is.
            Err(_) => std::future::pending().await,
        }
    }
}
