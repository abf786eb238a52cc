//! The roster: the pipelines there are, and what is asked of them.
//!
//! The conductor keeps it; the interfaces read it and put their orders into it. Nothing here runs anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    control::Answer,
    demand::Demand,
    job::{Command, Destination, Request, State, Status},
    plan::{Candidate, LiveStream, PipelineId, Plan, Prepared, RECORD, Start},
};
use crate::{
    config::{PipelineUse, Problem},
    hub::{Hub, PublicationId, StreamKey},
};

/// Pipelines that can be ordered for one stream.
const MAX_ORDERS: usize = 64;
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(12);

/// The pipelines there are, for the interfaces to show and to change. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    book: Arc<Mutex<Book>>,
    pub(super) changed: Arc<Notify>,
    pub(super) demand: Demand,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) plan: Arc<Plan>,
    /// Why what the template files say now is not the plan.
    pub(super) refused: Vec<Problem>,
    pub(super) members: BTreeMap<PipelineId, Member>,
    /// What was ordered beyond the plan.
    pub(super) orders: BTreeMap<PublicationId, Vec<Order>>,
    /// What is to run although nothing else starts it.
    pub(super) started: BTreeSet<PipelineId>,
    /// What was stopped, and is not to be started again.
    pub(super) stopped: BTreeSet<PipelineId>,
    next_order: u64,
    next_number: u64,
}

/// A pipeline that was ordered for a stream.
#[derive(Debug)]
pub(super) struct Order {
    number: u64,
    app: String,
    used: PipelineUse,
    prepared: Prepared,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u64,
    pub(super) template: String,
    pub(super) input: Option<StreamKey>,
    pub(super) destination: Destination,
    pub(super) status: watch::Receiver<Status>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) stop: CancellationToken,
}

/// A pipeline as it is now.
#[derive(Clone, Debug)]
pub struct PipelineSnapshot {
    /// Its number, as long as it runs.
    pub number: u64,
    /// Which one.
    pub id: PipelineId,
    /// Its template.
    pub template: String,
    /// The stream it works on.
    pub input: Option<StreamKey>,
    /// Where its result goes.
    pub destination: Destination,
    /// How it is.
    pub status: Status,
}

impl Roster {
    /// All pipelines of streams that are live, and all sources.
    pub fn list(&self) -> Vec<PipelineSnapshot> {
        let snapshot = |(id, member): (&PipelineId, &Member)| member.snapshot(id);
        self.book().members.iter().map(snapshot).collect()
    }

    /// The one of this number.
    pub fn find(&self, number: u64) -> Option<PipelineSnapshot> {
        let book = self.book();
        let mut members = book.members.iter();
        let (id, member) = members.find(|(_, member)| member.number == number)?;
        Some(member.snapshot(id))
    }

    /// Starts a pipeline on a stream that is live, until its publisher leaves.
    pub fn order(&self, hub: &Hub, key: &StreamKey, used: &PipelineUse) -> Result<PipelineId, OrderError> {
        let stream = hub.stream(key).as_ref().and_then(LiveStream::of);
        let stream = stream.ok_or_else(|| OrderError::NotLive(key.clone()))?;
        let mut book = self.book();
        let prepared = book.plan.prepare(key.app(), used).map_err(OrderError::Refused)?;
        let number = book.next_order;
        let id = PipelineId::Ordered(stream.id, number);
        let candidate = prepared.candidate(&stream, id.clone());
        let candidate = candidate.map_err(|refusal| OrderError::Refused(refusal.reason))?;
        let at_work = book.members.values().filter(|member| member.is_at_work());
        let published: Vec<_> = at_work.flat_map(|member| member.destination.streams()).collect();
        let targets = candidate.job.destination.streams();
        if let Some(target) = targets.iter().find(|target| published.contains(target)) {
            return Err(OrderError::Refused(format!(
                "{target} is published by a pipeline already"
            )));
        }
        let orders = book.orders.entry(stream.id).or_default();
        if orders.len() >= MAX_ORDERS {
            return Err(OrderError::Refused(format!(
                "{key} has {MAX_ORDERS} ordered pipelines already"
            )));
        }
        orders.push(Order {
            number,
            app: key.app().to_owned(),
            used: used.clone(),
            prepared,
        });
        book.next_order += 1;
        if candidate.start == Start::Manual {
            book.started.insert(id.clone());
        }
        drop(book);
        self.changed.notify_one();
        Ok(id)
    }

    /// Starts one of its app's pipelines that waits for being told to, by its template's name.
    pub fn start(&self, hub: &Hub, key: &StreamKey, template: &str) -> Result<(), OrderError> {
        let stream = hub.stream(key).as_ref().and_then(LiveStream::of);
        let stream = stream.ok_or_else(|| OrderError::NotLive(key.clone()))?;
        let mut book = self.book();
        let (candidates, _) = book.plan.candidates(&[stream]);
        let mut candidates = candidates.into_iter();
        let waiting = candidates
            .find(|candidate| candidate.start == Start::Manual && candidate.job.template.name == template)
            .ok_or_else(|| {
                OrderError::Refused(format!("{key} has no pipeline '{template}' that waits to be started"))
            })?;
        book.stopped.remove(&waiting.id);
        book.started.insert(waiting.id);
        drop(book);
        self.changed.notify_one();
        Ok(())
    }

    /// Records a stream, or does not, whatever its app does with streams.
    pub fn record(&self, hub: &Hub, key: &StreamKey, on: bool) -> Result<(), OrderError> {
        let stream = hub.stream(key).as_ref().and_then(LiveStream::of);
        let stream = stream.ok_or_else(|| OrderError::NotLive(key.clone()))?;
        let mut book = self.book();
        let (candidates, _) = book.plan.candidates(&[stream]);
        let recorders = candidates.into_iter().filter(|one| one.job.template.name == RECORD);
        let recorders: Vec<_> = recorders.map(|one| one.id).collect();
        if recorders.is_empty() && on {
            return Err(OrderError::Refused(format!(
                "its app says nowhere to record {key} to; it needs record = {{ path = …, when = \"manual\" }}"
            )));
        }
        for id in recorders {
            match on {
                true => {
                    book.stopped.remove(&id);
                    book.started.insert(id);
                }
                false => {
                    book.started.remove(&id);
                    if let Some(member) = book.members.get(&id) {
                        member.stop.cancel();
                    }
                    book.stopped.insert(id);
                }
            }
        }
        drop(book);
        self.changed.notify_one();
        Ok(())
    }

    /// Stops a pipeline: it works off what it was fed, and is not started again for the stream as it is now.
    pub fn stop(&self, number: u64) -> Result<(), OrderError> {
        let mut book = self.book();
        let id = book.id_of(number)?;
        if let Some(publication) = id.publication()
            && let Some(orders) = book.orders.get_mut(&publication)
        {
            orders.retain(|order| PipelineId::Ordered(publication, order.number) != id);
        }
        book.started.remove(&id);
        if let Some(member) = book.members.get(&id) {
            member.stop.cancel();
        }
        book.stopped.insert(id);
        drop(book);
        self.changed.notify_one();
        Ok(())
    }

    /// Starts a pipeline anew, also one that has failed too often.
    pub fn restart(&self, number: u64) -> Result<(), OrderError> {
        let mut book = self.book();
        let id = book.id_of(number)?;
        if let Some(member) = book.members.get(&id) {
            // Whatever it was: the conductor starts what is wanted and not there.
            member.stop.cancel();
        }
        book.stopped.remove(&id);
        Ok(())
    }

    /// Asks something of a pipeline that runs.
    pub async fn ask(&self, number: u64, request: Request) -> Result<Answer, OrderError> {
        let commands = {
            let book = self.book();
            let id = book.id_of(number)?;
            book.members.get(&id).map(|member| member.commands.clone())
        };
        let commands = commands.ok_or(OrderError::NoSuch(number))?;
        let (answer, awaited) = oneshot::channel();
        let asked = async {
            commands.send(Command { request, answer }).await.ok()?;
            awaited.await.ok()
        };
        match timeout(PATIENCE, asked).await {
            Ok(Some(answer)) => answer.map_err(OrderError::Refused),
            Ok(None) => Err(OrderError::Refused("the pipeline has ended".to_owned())),
            Err(_) => Err(OrderError::Refused("the pipeline does not answer".to_owned())),
        }
    }

    /// Someone wants to see a stream that is not live. Answers whether it may be soon.
    pub fn want(&self, hub: &Hub, key: &StreamKey) -> bool {
        let plan = self.book().plan.clone();
        if !plan.has_demand() {
            return false;
        }
        let live: Vec<_> = hub.streams().iter().filter_map(LiveStream::of).collect();
        let (candidates, _) = plan.candidates(&live);
        let makes =
            |candidate: &Candidate| matches!(&candidate.start, Start::Demand { keys, .. } if keys.contains(key));
        let offered = candidates.iter().any(makes);
        if offered && self.demand.want(key, Instant::now()) {
            self.changed.notify_one();
        }
        offered
    }

    /// Exchanges the plan: pipelines that run keep what they began with.
    pub fn adopt(&self, plan: Plan) {
        let mut book = self.book();
        // What was ordered is for the next start from the new templates, too; from the old ones where it does not fit those.
        for order in book.orders.values_mut().flatten() {
            if let Ok(prepared) = plan.prepare(&order.app, &order.used) {
                order.prepared = prepared;
            }
        }
        book.plan = Arc::new(plan);
        book.refused.clear();
        drop(book);
        self.changed.notify_one();
    }

    /// Keeps the plan, because the configuration does not fit the templates as they are now.
    pub fn refuse(&self, problems: Vec<Problem>) {
        self.book().refused = problems;
    }

    /// The plan, and why what the template files say now is not it.
    pub fn plan(&self) -> (Arc<Plan>, Vec<Problem>) {
        let book = self.book();
        (book.plan.clone(), book.refused.clone())
    }

    /// The lock is held for map operations only; a poisoned one is still whole.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn id_of(&self, number: u64) -> Result<PipelineId, OrderError> {
        let mut members = self.members.iter();
        let found = members.find(|(_, member)| member.number == number);
        found.map(|(id, _)| id.clone()).ok_or(OrderError::NoSuch(number))
    }

    /// A number for a pipeline.
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// What was ordered for these streams.
    pub(super) fn ordered(&self, live: &[LiveStream]) -> Vec<Candidate> {
        let of_stream = |stream: &LiveStream| {
            let orders = self.orders.get(&stream.id).map(Vec::as_slice).unwrap_or_default();
            let candidate = |order: &Order| {
                let id = PipelineId::Ordered(stream.id, order.number);
                // That it can run was found out when it was ordered.
                order.prepared.candidate(stream, id).ok()
            };
            orders.iter().filter_map(candidate).collect::<Vec<_>>()
        };
        live.iter().flat_map(of_stream).collect()
    }

    /// Forgets what belongs to publications that are over.
    pub(super) fn forget(&mut self, is_live: impl Fn(PublicationId) -> bool) {
        let stays = |id: &PipelineId| id.publication().is_none_or(&is_live);
        self.orders.retain(|publication, _| is_live(*publication));
        self.started.retain(stays);
        self.stopped.retain(stays);
    }
}

impl Member {
    fn snapshot(&self, id: &PipelineId) -> PipelineSnapshot {
        PipelineSnapshot {
            number: self.number,
            id: id.clone(),
            template: self.template.clone(),
            input: self.input.clone(),
            destination: self.destination.clone(),
            status: self.status.borrow().clone(),
        }
    }

    fn is_at_work(&self) -> bool {
        self.status.borrow().state != State::Ended
    }
}

/// Why an order is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// There is no pipeline of this number.
    #[error("there is no pipeline {0}; the list is at /api/v1/pipelines")]
    NoSuch(u64),
    /// There is no such stream.
    #[error("{0} is not live")]
    NotLive(StreamKey),
    /// It cannot be done.
    #[error("{0}")]
    Refused(String),
}
