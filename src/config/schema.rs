//! The keys of the configuration and their built-in defaults. `config/default.toml` shows each with a comment.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{CallbackUrl, Callbacks, Encoders, ListenAddress, LocalSocket, Seconds, Size};
use crate::hub::{KeyError, StreamKey};

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The RTMP front end.
    pub rtmp: Rtmp,
    /// The HTTP server.
    pub http: Http,
    /// Certificates.
    pub tls: Tls,
    /// Where templates are found.
    pub templates: Templates,
    /// Which encoders pipelines get.
    pub encoders: Encoders,
    /// HLS packaging.
    pub hls: Hls,
    /// Processes that pipelines run in.
    pub workers: Workers,
    /// Services that are asked about clients.
    pub callbacks: Callbacks,
    /// How the server stops.
    pub shutdown: Shutdown,
    /// Settings of every application, where the application does not set its own.
    pub defaults: App,
    /// The applications. Clients that ask for another one are refused.
    pub apps: BTreeMap<String, App>,
    /// Hosts with applications of their own, by name or `*.DOMAIN`. Loading adds their applications to `apps`.
    pub vhosts: BTreeMap<String, Vhost>,
    /// Pipelines without an input that run while the server does.
    pub sources: BTreeMap<String, Source>,
    /// The files it was read from.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
}

/// `[rtmp]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rtmp {
    /// Where to listen. `[::]` is for IPv6 alone, so it can stand beside `0.0.0.0`.
    pub listen: Vec<ListenAddress>,
    /// Where to listen for RTMPS, with the certificates of `[tls]`.
    pub tls_listen: Vec<ListenAddress>,
    /// The socket at which programs of the same user find the server: the GStreamer elements, `streammill preview`.
    pub local_socket: LocalSocket,
    /// Networks of load balancers. A connection from there begins with a PROXY header, which is believed; from elsewhere
    /// none is looked for.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Chunk size of what is sent, bytes.
    pub chunk_size: Size,
    /// Largest message that is accepted, bytes.
    pub max_message: Size,
    /// Window after which a peer must acknowledge, bytes.
    pub ack_window: Size,
    /// Time a client has for handshake and connect, and a blocked write may take.
    pub timeout: Seconds,
    /// Silence after which a peer is pinged.
    pub ping: Seconds,
    /// Time that a pinged peer has to send anything.
    pub ping_timeout: Seconds,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Most connections of one client at a time: of an IPv4 address, or an IPv6 network of 64 bits. 0 is no limit.
    pub max_connections_per_address: usize,
    /// How far a player may fall behind before video is skipped to a newer key frame.
    pub max_lag: Seconds,
    /// Most bytes that one stream holds for its players.
    pub max_buffer: Size,
}

impl Default for Rtmp {
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 1935)))],
            tls_listen: Vec::new(),
            local_socket: LocalSocket::Auto,
            proxy_protocol_from: Vec::new(),
            chunk_size: Size(4096),
            max_message: Size(16 << 20),
            ack_window: Size(5_000_000),
            timeout: Seconds::new(20),
            ping: Seconds::new(30),
            ping_timeout: Seconds::new(30),
            max_connections: 10_000,
            max_connections_per_address: 0,
            max_lag: Seconds::new(10),
            max_buffer: Size(32 << 20),
        }
    }
}

/// `[tls]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificates, each for the names that stand in it. The first is for clients that ask for another name, or none.
    pub certificates: Vec<Certificate>,
}

/// A certificate with its key, in PEM. The files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate, followed by those that lead to a known authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `[vhosts."HOST"]`: a host with applications of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vhost {
    /// Its applications. Everywhere but in the host's own URLs, `NAME` is called `NAME@HOST`.
    pub apps: BTreeMap<String, App>,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
        }
    }
}

/// `[templates]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Templates {
    /// Directories with templates. They are added to the shipped ones; an equal name replaces a shipped one.
    pub paths: Vec<PathBuf>,
}

/// `[workers]`: the processes that pipelines run in which decode or encode.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workers {
    /// Which pipelines run in a process of their own.
    pub isolation: Isolation,
    /// Keep one ready for the next pipeline, so that it begins at once.
    pub spare: bool,
    /// Lowers the priority of workers, from 0 to 19, so that players are served first.
    pub nice: u8,
    /// Most processor cores one worker may use. 0 is all.
    pub cores: usize,
    /// Most memory one worker may use; it is ended beyond that. 0 is no limit.
    pub memory: Size,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            isolation: Isolation::Template,
            spare: true,
            nice: 5,
            cores: 0,
            memory: Size(2 << 30),
        }
    }
}

/// Which pipelines run in a process of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Those whose template says so, or decodes or encodes.
    #[default]
    Template,
    /// None.
    Never,
}

/// `[hls]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hls {
    /// Segments a playlist lists.
    pub playlist_segments: usize,
    /// How long an ended stream can still be fetched.
    pub linger: Seconds,
    /// Most bytes of segments one stream keeps.
    pub max_stream_bytes: Size,
    /// Most bytes of segments all streams keep.
    pub max_total_bytes: Size,
}

impl Default for Hls {
    fn default() -> Self {
        Self {
            playlist_segments: 6,
            linger: Seconds::new(60),
            max_stream_bytes: Size(256 << 20),
            max_total_bytes: Size(2 << 30),
        }
    }
}

/// `[shutdown]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Time to finish files and tell clients after SIGTERM.
    pub deadline: Seconds,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            deadline: Seconds::new(10),
        }
    }
}

/// `[apps.NAME]` and `[defaults]`. What is not set is taken from `[defaults]`, then from [`App::pipelines`] and its kin.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// Pipelines that run on every stream of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipelines: Option<Vec<PipelineUse>>,
    /// Values for parameters of templates, by the template's name: the defaults of every pipeline of the app.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: TemplateParams,
    /// Records every stream of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// A service that is asked whether a client may publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_publish: Option<CallbackUrl>,
    /// Whether players may wait for a stream that is not live (`true`) or are refused at once (`false`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_streams: Option<bool>,
    /// How long a player may wait for a stream that is not live, before it begins or after it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Seconds>,
    /// Begin players with the newest group of pictures for a picture at once, at the price of its length in latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gop_cache: Option<bool>,
    /// What becomes of a second publisher of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_policy: Option<PublishPolicy>,
    /// How long a stream waits for its publisher to come back, players and pipelines included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher_grace: Option<Seconds>,
    /// A publisher that sends no audio and no video for this long is sent away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_idle_publisher: Option<Seconds>,
    /// Begin players' pictures at a key frame; what came before it could not be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_for_key_frame: Option<bool>,
    /// Send no sound before the first picture, where there is video: some players take a stream that begins with sound
    /// for one that has nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_for_video: Option<bool>,
    /// Send sound on the chunk stream of the pictures, for players that keep their order only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interleave: Option<bool>,
    /// Tell waiting players when the publisher comes and goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_notice: Option<bool>,
    /// End players' playing when the publisher goes and begin it anew when he comes, in the words of a play command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub play_restart: Option<bool>,
    /// What players are sent that do not announce which codings they read.
    #[serde(default)]
    pub unannounced_codecs: Option<Unannounced>,
    /// What players get of the publisher's metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Longest time that packets for RTMP players are held to be written together, when there are many players. 0 sends
    /// each at once, whatever that costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_writes: Option<Seconds>,
    /// Most RTMP connections to the app at a time. 0 is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
}

impl App {
    /// This app's settings, and the defaults' where it has none.
    pub fn or(&self, defaults: &Self) -> Self {
        Self {
            pipelines: self.pipelines.clone().or_else(|| defaults.pipelines.clone()),
            templates: overlaid(&self.templates, &defaults.templates),
            record: self.record.clone().or_else(|| defaults.record.clone()),
            on_publish: self.on_publish.clone().or_else(|| defaults.on_publish.clone()),
            idle_streams: self.idle_streams.or(defaults.idle_streams),
            idle_timeout: self.idle_timeout.or(defaults.idle_timeout),
            gop_cache: self.gop_cache.or(defaults.gop_cache),
            publish_policy: self.publish_policy.or(defaults.publish_policy),
            publisher_grace: self.publisher_grace.or(defaults.publisher_grace),
            drop_idle_publisher: self.drop_idle_publisher.or(defaults.drop_idle_publisher),
            wait_for_key_frame: self.wait_for_key_frame.or(defaults.wait_for_key_frame),
            wait_for_video: self.wait_for_video.or(defaults.wait_for_video),
            interleave: self.interleave.or(defaults.interleave),
            publish_notice: self.publish_notice.or(defaults.publish_notice),
            play_restart: self.play_restart.or(defaults.play_restart),
            unannounced_codecs: self.unannounced_codecs.or(defaults.unannounced_codecs),
            metadata: self.metadata.or(defaults.metadata),
            merge_writes: self.merge_writes.or(defaults.merge_writes),
            max_connections: self.max_connections.or(defaults.max_connections),
        }
    }

    /// Pipelines that run on every stream.
    pub fn pipelines(&self) -> &[PipelineUse] {
        self.pipelines.as_deref().unwrap_or_default()
    }

    /// See [`App::idle_streams`].
    pub fn allows_idle_streams(&self) -> bool {
        self.idle_streams.unwrap_or(true)
    }

    /// See [`App::idle_timeout`].
    pub fn idle_timeout(&self) -> std::time::Duration {
        self.idle_timeout.unwrap_or(Seconds::new(30)).0
    }

    /// See [`App::merge_writes`].
    pub fn merge_writes(&self) -> std::time::Duration {
        self.merge_writes
            .map_or(std::time::Duration::from_millis(85), |longest| longest.0)
    }

    /// See [`App::max_connections`]; no limit is the largest number.
    pub fn max_connections(&self) -> usize {
        self.max_connections.filter(|limit| *limit > 0).unwrap_or(usize::MAX)
    }

    /// See [`App::gop_cache`].
    pub fn gop_cache(&self) -> bool {
        self.gop_cache.unwrap_or(true)
    }
}

/// Values for parameters of templates, by the template's name.
pub type TemplateParams = BTreeMap<String, BTreeMap<String, toml::Value>>;

/// An app's values for templates, and the defaults' where it has none.
fn overlaid(own: &TemplateParams, defaults: &TemplateParams) -> TemplateParams {
    let mut all = defaults.clone();
    for (template, params) in own {
        let params = params.iter().map(|(name, value)| (name.clone(), value.clone()));
        all.entry(template.clone()).or_default().extend(params);
    }
    all
}

/// What becomes of a second publisher of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishPolicy {
    /// He is refused.
    #[default]
    Reject,
    /// He replaces the first.
    Takeover,
}

/// What players get of the publisher's `onMetaData`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Metadata {
    /// As the publisher sent it.
    #[default]
    Copy,
    /// What describes the media, and nothing else.
    Rebuild,
    /// Nothing.
    Off,
}

/// What players are sent that do not announce which codings they read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unannounced {
    /// Everything: most players that read Enhanced RTMP announce nothing.
    #[default]
    Send,
    /// H.264, AAC and MP3.
    LeaveOut,
}

/// A template with its parameters: `"hls"`, or a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineUse {
    /// Name of the template.
    pub template: String,
    /// Values of its parameters; the template's defaults stand in for the others.
    pub params: BTreeMap<String, toml::Value>,
    /// Where its output goes, for templates that publish a stream.
    pub publish_to: Option<TargetPattern>,
    /// What starts it.
    pub when: When,
    /// Only for streams whose name fits this, where `*` stands for any characters and `?` for one.
    #[serde(rename = "match")]
    pub names: Option<String>,
    /// How long one that runs on demand goes on when the last viewer has left.
    pub keep: Seconds,
}

/// What starts a pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Its stream is published.
    #[default]
    Publish,
    /// Someone wants to see what it makes.
    Demand,
    /// The API.
    Manual,
}

impl PipelineUse {
    /// A template with its own defaults, for every stream.
    pub fn of(template: &str) -> Self {
        Self {
            template: template.to_owned(),
            params: BTreeMap::new(),
            publish_to: None,
            when: When::default(),
            names: None,
            keep: keep(),
        }
    }
}

/// Long enough for a player that comes back.
fn keep() -> Seconds {
    Seconds::new(30)
}

impl<'de> Deserialize<'de> for PipelineUse {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            template: String,
            #[serde(default)]
            params: BTreeMap<String, toml::Value>,
            #[serde(default)]
            publish_to: Option<TargetPattern>,
            #[serde(default)]
            when: When,
            #[serde(default, rename = "match")]
            names: Option<String>,
            #[serde(default = "keep")]
            keep: Seconds,
        }

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = PipelineUse;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a template's name, or a table with template, params, publish_to, when, match and keep")
            }

            fn visit_str<E: serde::de::Error>(self, template: &str) -> Result<PipelineUse, E> {
                Ok(PipelineUse::of(template))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<PipelineUse, A::Error> {
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(PipelineUse {
                    template: table.template,
                    params: table.params,
                    publish_to: table.publish_to,
                    when: table.when,
                    names: table.names,
                    keep: table.keep,
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Where a pipeline publishes: `app/name`, in which `{app}` and `{name}` stand for those of the stream it works on, and
/// `{output}` for the name of one of its outputs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetPattern(String);

impl TargetPattern {
    /// The key for a pipeline with one output that works on `source`, or on nothing.
    pub fn resolve(&self, source: Option<&StreamKey>) -> Result<StreamKey, KeyError> {
        self.resolve_output(source, ONLY_OUTPUT)
    }

    /// The key for an output of a pipeline that works on `source`, or on nothing.
    ///
    /// What is put in comes from a key and a template, and what comes out is checked as a key, so it cannot become anything
    /// else.
    pub fn resolve_output(&self, source: Option<&StreamKey>, output: &str) -> Result<StreamKey, KeyError> {
        let (app, name) = self.0.split_once('/').ok_or(KeyError::NoSlash)?;
        let fill = |part: &str| match source {
            // One pass, so that a name which holds "{app}" is not filled in again.
            Some(key) => part
                .split("{name}")
                .map(|piece| piece.replace("{output}", output).replace("{app}", key.app()))
                .collect::<Vec<_>>()
                .join(key.name()),
            None => part.replace("{output}", output),
        };
        StreamKey::new(&fill(app), &fill(name))
    }

    /// Whether it tells outputs apart.
    pub fn has_output(&self) -> bool {
        self.0.contains("{output}")
    }
}

/// The name of an output that is the only one.
pub const ONLY_OUTPUT: &str = "out";

impl TryFrom<String> for TargetPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let pattern = Self(text);
        let sample = StreamKey::parse("app/name").map_err(|error| error.to_string())?;
        match pattern.resolve(Some(&sample)) {
            Ok(key) if !key.to_string().contains(['{', '}']) => Ok(pattern),
            Ok(_) => Err(format!(
                "'{}' holds a placeholder other than {{app}}, {{name}} and {{output}}",
                pattern.0
            )),
            Err(error) => Err(format!("'{}' is not a place to publish to: {error}", pattern.0)),
        }
    }
}

impl From<TargetPattern> for String {
    fn from(pattern: TargetPattern) -> Self {
        pattern.0
    }
}

/// `record = { path = …, format = … }`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Directory the files go to. It is made if it is not there.
    pub path: PathBuf,
    /// Container.
    #[serde(default)]
    pub format: RecordFormat,
    /// What starts a recording: a publisher, or someone who says so.
    #[serde(default)]
    pub when: RecordWhen,
}

/// What starts a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordWhen {
    /// A stream begins.
    #[default]
    Publish,
    /// The API or a callback's reply.
    Manual,
}

/// Container of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordFormat {
    /// MP4 with its index at hand, seekable everywhere.
    #[default]
    Mp4,
    /// FLV with duration and index.
    Flv,
}

impl RecordFormat {
    /// The file name suffix, and the value of the template's `format` parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Flv => "flv",
        }
    }
}

/// `[sources.NAME]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of a template without an input.
    pub template: String,
    /// Values of its parameters.
    #[serde(default)]
    pub params: BTreeMap<String, toml::Value>,
    /// The stream it publishes, as `app/name`.
    pub publish_to: TargetPattern,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn pattern(text: &str) -> Result<TargetPattern, String> {
        TargetPattern::try_from(text.to_owned())
    }

    #[test]
    fn a_target_takes_the_name_of_its_source_and_nothing_else() {
        let source = StreamKey::new("live", "a {app} ! b").unwrap();
        let target = pattern("small/{name}").unwrap().resolve(Some(&source)).unwrap();
        assert_eq!((target.app(), target.name()), ("small", "a {app} ! b"));
    }

    #[test]
    fn a_target_tells_outputs_apart() {
        let source = StreamKey::new("live", "a {output}").unwrap();
        let pattern = pattern("{app}_{output}/{name}_{output}").unwrap();
        let target = pattern.resolve_output(Some(&source), "720").unwrap();
        assert_eq!((target.app(), target.name()), ("live_720", "a {output}_720"));
        assert!(pattern.has_output());
    }

    #[test]
    fn a_target_that_can_never_be_a_key_is_refused_when_it_is_read() {
        for text in ["small", "/x", "small/../x", "small/{title}", ""] {
            assert!(pattern(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn an_app_overrides_the_defaults_setting_by_setting() {
        let defaults: App = toml::from_str("pipelines = [\"hls\"]\ngop_cache = false").unwrap();
        let app: App = toml::from_str("pipelines = []").unwrap();
        let merged = app.or(&defaults);
        assert_eq!((merged.pipelines().len(), merged.gop_cache()), (0, false));
    }

    #[test]
    fn an_app_overrides_templates_parameter_by_parameter() {
        let defaults: App = toml::from_str("[templates.t]\na = 1\nb = 2\n[templates.u]\nc = 3").unwrap();
        let app: App = toml::from_str("[templates.t]\nb = 4").unwrap();
        let expected: App = toml::from_str("[templates.t]\na = 1\nb = 4\n[templates.u]\nc = 3").unwrap();
        assert_eq!(app.or(&defaults).templates, expected.templates);
    }
}
