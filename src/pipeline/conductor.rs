//! The conductor: keeps running what the plan asks for.
//!
//! It looks at the whole at every change instead of following single events, so a missed one is made up for by the next. A
//! pipeline is started when its stream is live and no sooner than the plan says; it ends by itself when its stream does,
//! because only it knows when the last frame has been worked off.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};

use super::{
    demand::Warmth,
    job::{Job, Status},
    plan::{Candidate, LiveStream, PipelineId, Plan, Start},
    roster::{Member, Roster},
    supervisor::{Services, supervise},
};
use crate::hub::StreamSnapshot;

/// Changes that may wait for one pipeline.
const MAX_COMMANDS: usize = 16;
/// How often it is looked whether someone still watches, where that matters.
const LOOK: Duration = Duration::from_millis(500);

/// Runs the plan until it is told to stop, and then until every pipeline has finished.
pub async fn conduct(plan: Plan, services: Services, roster: Roster, stop: CancellationToken) {
    roster.adopt(plan);
    let mut conductor = Conductor {
        services,
        roster,
        stop,
        tasks: JoinSet::new(),
        refused: BTreeSet::new(),
        warmth: Warmth::default(),
    };
    conductor.run().await;
}

struct Conductor {
    services: Services,
    roster: Roster,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// What was refused and said so.
    refused: BTreeSet<PipelineId>,
    warmth: Warmth,
}

impl Conductor {
    async fn run(&mut self) {
        let (mut changes, stop) = (self.services.hub.changes(), self.stop.clone());
        let changed = self.roster.changed.clone();
        while !stop.is_cancelled() {
            changes.borrow_and_update();
            let depends_on_viewers = self.look();
            let look = async {
                match depends_on_viewers {
                    true => sleep(LOOK).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                // The sender lives in the hub that `services` holds.
                _ = changes.changed() => {}
                () = changed.notified() => {}
                () = look => {}
                Some(ended) = self.tasks.join_next() => report(ended),
            }
        }
        while let Some(ended) = self.tasks.join_next().await {
            report(ended);
        }
        if let Some(workers) = &self.services.workers {
            workers.close().await;
        }
        self.roster.book().members.clear();
    }

    /// Starts what has to run and does not, stops what runs and must not. Answers whether that depends on who watches.
    fn look(&mut self) -> bool {
        let streams = self.services.hub.streams();
        let live: Vec<_> = streams.iter().filter_map(LiveStream::of).collect();
        let is_live = |id| live.iter().any(|stream| stream.id == id);
        let mut book = self.roster.book();
        book.forget(is_live);
        let (mut candidates, refusals) = book.plan.candidates(&live);
        candidates.extend(book.plan.sources());
        candidates.extend(book.ordered(&live));
        for refusal in &refusals {
            if self.refused.insert(refusal.id.clone()) {
                warn!("{}", refusal.reason);
            }
        }
        self.refused
            .retain(|id| refusals.iter().any(|refusal| refusal.id == *id));
        let depends = |candidate: &Candidate| matches!(candidate.start, Start::Demand { .. });
        let depends_on_viewers = candidates.iter().any(depends);
        let (started, stopped) = (book.started.clone(), book.stopped.clone());
        drop(book);

        let now = Instant::now();
        let there: BTreeSet<_> = candidates.iter().map(|candidate| candidate.id.clone()).collect();
        self.warmth.retain(|id| there.contains(id));
        candidates.retain(|candidate| {
            let is_started = match &candidate.start {
                Start::Now => true,
                Start::Manual => started.contains(&candidate.id),
                Start::Demand { .. } => self.is_warm(candidate, &streams, now),
            };
            is_started && !stopped.contains(&candidate.id)
        });

        let is_wanted = |id: &PipelineId| candidates.iter().any(|candidate| candidate.id == *id);
        let roster = self.roster.clone();
        let mut book = roster.book();
        book.members.retain(|id, member| {
            let has_ended = member.status.has_changed().is_err();
            // One whose stream is over ends by itself, when it has worked off what came. One that is over is kept while its
            // stream is live, or it would be started again, unless that is what was asked for.
            if !is_wanted(id) && id.publication().is_none_or(is_live) {
                member.stop.cancel();
            }
            !has_ended || (is_wanted(id) && !member.stop.is_cancelled())
        });
        let missing: Vec<_> = candidates
            .into_iter()
            .filter(|candidate| !book.members.contains_key(&candidate.id))
            .collect();
        for Candidate { id, job, .. } in missing {
            let number = book.number();
            let member = self.start(number, job);
            book.members.insert(id, member);
        }
        depends_on_viewers
    }

    fn is_warm(&mut self, candidate: &Candidate, streams: &[StreamSnapshot], now: Instant) -> bool {
        let Start::Demand { keys, keep } = &candidate.start else {
            return false;
        };
        let is_wanted = |key| self.roster.demand.is_wanted(key, streams, now);
        let is_wanted = keys.iter().any(is_wanted);
        self.warmth.keeps(&candidate.id, is_wanted, *keep, now)
    }

    fn start(&mut self, number: u64, job: Job) -> Member {
        let (status, shown) = watch::channel(Status::default());
        let (commands, received) = mpsc::channel(MAX_COMMANDS);
        let stop = self.stop.child_token();
        let stream = match (&job.input, &job.destination) {
            (Some(input), _) => input.key.to_string(),
            (None, destination) => destination
                .streams()
                .first()
                .map_or_else(String::new, ToString::to_string),
        };
        let member = Member {
            number,
            template: job.template.name.clone(),
            input: job.input.as_ref().map(|input| input.key.clone()),
            destination: job.destination.clone(),
            status: shown,
            commands,
            stop: stop.clone(),
        };
        let span = info_span!("pipeline", template = job.template.name, stream);
        let supervised = supervise(job, self.services.clone(), status, received, stop);
        self.tasks.spawn(supervised.instrument(span));
        member
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a pipeline's supervisor failed; the pipeline is gone until its stream begins anew");
    }
}
