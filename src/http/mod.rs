//! The server's HTTP side: the page, FLV and HLS for players, the JSON interface and statistics.
//!
//! It owns no stream and no segment; it asks the [`Hub`] and the [store](output::hls::Store). Every answer, good or bad, may be read
//! by pages of other sites, and an error says what to do. Names from the network reach HTML only as JSON that the page
//! shows as text.

mod api;
mod audience;
mod body;
mod connection;
mod hls;
mod live;
mod meter;
mod metrics;
mod page;
mod pictures;
mod pipelines;
mod reply;
mod route;
mod stat;
mod templates;
mod websocket;

use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Buf;
use futures_util::Stream;
use hyper::{ext::Protocol, upgrade::OnUpgrade};
use tokio::{net::TcpListener, sync::Semaphore, time::interval};
use tracing::debug;
use warp::{
    Filter,
    filters::path::FullPath,
    http::{HeaderMap, Method, StatusCode, Version, header, uri::Authority},
    reply::Response,
};

pub use connection::Stop;

use crate::{
    config::Vhosts,
    hub::Hub,
    output,
    pipeline::{
        encoder::status::EncodersStatus,
        roster::{PipelineSnapshot, Roster},
    },
};
use audience::{Audience, Viewer};
use connection::Slot;
use meter::Meter;
use route::{Route, RouteError};

/// Most connections at a time.
const MAX_CONNECTIONS: usize = 10_000;

/// What HTTP asks.
pub struct Site {
    /// The live streams.
    pub hub: Hub,
    /// The segments.
    pub hls: output::hls::Store,
    /// The newest picture of each stream.
    pub pictures: output::pictures::Pictures,
    /// The pipelines there are, as they stand.
    pub pipelines: Box<dyn Fn() -> Vec<PipelineSnapshot> + Send + Sync>,
    /// Where they can be changed.
    pub roster: Roster,
    /// The encoders there are, as they stand.
    pub encoders: Box<dyn Fn() -> EncodersStatus + Send + Sync>,
    /// What an application gives its viewers; `None` if there is no such application.
    pub apps: Box<Apps>,
    /// Which application a name means at the host that is asked.
    pub vhosts: Vhosts,
    /// The port of the first RTMP listener, for the addresses that the page shows.
    pub rtmp_port: Option<u16>,
    statistics: Statistics,
}

/// Knows what each application gives its viewers.
pub type Apps = dyn Fn(&str) -> Option<App> + Send + Sync;

/// What an application gives its viewers.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Viewers may wait for a publisher, and for one who left to return.
    pub idle_streams: bool,
    /// But no longer than this each time.
    pub idle_timeout: Duration,
    /// Viewers begin with the newest group of pictures.
    pub gop_cache: bool,
}

impl Default for App {
    fn default() -> Self {
        Self {
            idle_streams: true,
            idle_timeout: Duration::from_secs(30),
            gop_cache: true,
        }
    }
}

#[derive(Debug)]
struct Statistics {
    started: Instant,
    meter: Mutex<Meter>,
    audience: Mutex<Audience>,
}

impl Site {
    /// A site over a hub and a store, without pipelines, that has every application.
    pub fn new(hub: Hub, hls: output::hls::Store) -> Self {
        Self {
            hub,
            hls,
            pictures: output::pictures::Pictures::default(),
            pipelines: Box::new(Vec::new),
            roster: Roster::default(),
            encoders: Box::new(EncodersStatus::default),
            apps: Box::new(|_| Some(App::default())),
            vhosts: Vhosts::default(),
            rtmp_port: None,
            statistics: Statistics {
                started: Instant::now(),
                meter: Mutex::default(),
                audience: Mutex::default(),
            },
        }
    }

    /// Locks are held for map operations only; what a panic left is still whole.
    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.statistics.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.statistics.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}

/// Serves a site on all listeners until it is stopped. Connections go on in tasks of `stop`.
pub async fn serve(listeners: Vec<TcpListener>, site: Arc<Site>, stop: Stop) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    for listener in listeners {
        let answers = {
            let (site, stop) = (site.clone(), stop.clone());
            move |peer| answers(site.clone(), peer, stop.clone())
        };
        let accept = connection::accept(listener, answers, slots.clone(), stop.clone());
        stop.tasks.spawn(accept);
    }
    let mut ticks = interval(meter::PERIOD);
    while stop.connections.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = Instant::now();
        let streams = site.hub.streams();
        let mut audience = site.audience();
        site.meter().sample(now, &streams, |key| audience.bytes_out(key));
        audience.forget(now);
    }
}

/// What answers the requests of one client.
fn answers(
    site: Arc<Site>,
    peer: SocketAddr,
    stop: Stop,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
    warp::method()
        .and(warp::path::full())
        .and(warp::host::optional().or(warp::any().map(|| None)).unify())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Version>())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::ext::optional::<Protocol>())
        .and(warp::ext::get::<Arc<Slot>>())
        .and(warp::body::stream())
        .then(move |method, path: FullPath, host, query, headers, version, upgrade, protocol, slot, body| {
            let (site, stop) = (site.clone(), stop.clone());
            async move {
                let request = Request {
                    method,
                    host,
                    query,
                    headers,
                    version,
                    upgrade,
                    protocol,
                    peer,
                    slot,
                    stop,
                };
                let response = reply::finish(request.answer(&site, path.as_str(), body).await);
                debug!(method = %request.method, path = path.as_str(), status = response.status().as_u16(), "request");
                response
            }
        })
        // Every connection says which slot it has; there is nothing else that could be missing.
        .recover(async |_| Ok::<_, Infallible>(reply::failure(StatusCode::INTERNAL_SERVER_ERROR, "no connection")))
        .unify()
}

struct Request {
    method: Method,
    /// The host that is asked, with its port.
    host: Option<Authority>,
    query: String,
    headers: HeaderMap,
    version: Option<Version>,
    /// What the connection becomes if it is to speak something else than HTTP.
    upgrade: Option<OnUpgrade>,
    /// What it is to speak, if that is asked for over HTTP/2 (RFC 8441 §4).
    protocol: Option<Protocol>,
    peer: SocketAddr,
    slot: Arc<Slot>,
    stop: Stop,
}

impl Request {
    async fn answer(
        &self,
        site: &Site,
        path: &str,
        body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    ) -> Response {
        match self.method {
            Method::GET | Method::HEAD => {}
            _ if pipelines::is_change(&self.method) && path.starts_with("/api/") => {}
            Method::CONNECT if websocket::is_wanted(self) => {}
            Method::OPTIONS => return reply::preflight(),
            _ => return reply::method_not_allowed(&self.method),
        }
        let host = self.host.as_ref().map(Authority::as_str);
        let route = match Route::parse(path).and_then(|route| route.at(host, &site.vhosts)) {
            Ok(route) => route,
            Err(error @ RouteError::Unknown) => return reply::failure(StatusCode::NOT_FOUND, &error.to_string()),
            Err(error) => return reply::failure(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        if self.method == Method::CONNECT && !matches!(route, Route::Flv(_)) {
            return reply::failure(StatusCode::NOT_FOUND, "a WebSocket is at /APP/NAME.flv only");
        }
        if pipelines::is_change(&self.method) && !matches!(route, Route::Pipelines(_)) {
            return reply::method_not_allowed(&self.method);
        }
        // Answers may wait for a segment; a server that stops does not.
        let answer = self.follow(site, route, body);
        let answer = self.stop.connections.run_until_cancelled(answer).await;
        answer.unwrap_or_else(|| reply::failure(StatusCode::SERVICE_UNAVAILABLE, STOPPING))
    }

    async fn follow(
        &self,
        site: &Site,
        route: Route,
        body: impl Stream<Item = Result<impl Buf, warp::Error>>,
    ) -> Response {
        match route {
            Route::Page => page::page(&self.headers),
            Route::Asset(path) => page::asset(&self.headers, &path),
            Route::Flv(key) => live::flv(site, &key, self),
            Route::Multivariant(key, folder) => hls::multivariant(site, &key, &folder).await,
            Route::HlsFile(key, resource) => {
                let viewer = Viewer::new(self.peer.ip(), &self.software());
                hls::file(site, &key, resource, &self.headers, viewer)
            }
            Route::Picture(key) => pictures::newest(site, &key, &self.headers).await,
            Route::Server => reply::json(&api::server(site)),
            Route::Streams => reply::json(&api::streams(site)),
            Route::Stream(key) => match api::stream(site, &key) {
                Some(stream) => reply::json(&stream),
                None => reply::failure(StatusCode::NOT_FOUND, live::NOT_LIVE),
            },
            Route::Pipelines(route) => pipelines::answer(site, route, self, body).await,
            Route::TemplateGraph(name) => templates::graph(site, &name).await,
            Route::Templates => reply::json(&templates::list(site)),
            Route::Encoders => reply::json(&(site.encoders)()),
            Route::Stat => match stat::document(site) {
                Ok(document) => reply::whole("text/xml", reply::FRESH, document),
                Err(error) => reply::failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("no XML: {error}")),
            },
            Route::Metrics => match metrics::text(site) {
                Ok(text) => reply::whole(metrics::CONTENT_TYPE, reply::FRESH, text),
                Err(error) => reply::failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("no metrics: {error}")),
            },
            Route::Health => reply::whole("text/plain", reply::FRESH, "ok\n"),
            Route::Ready if self.stop.accepting.is_cancelled() => {
                reply::failure(StatusCode::SERVICE_UNAVAILABLE, STOPPING)
            }
            Route::Ready => reply::whole("text/plain", reply::FRESH, "ready\n"),
        }
    }

    /// What the client calls itself, cut to what a list can show.
    fn software(&self) -> String {
        let agent = self.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        agent.chars().take(200).collect()
    }
}

const STOPPING: &str = "the server is stopping";

#[cfg(test)]
mod tests;
