//! Loading: built-in defaults, then files in order, then `STREAMMILL__RTMP__LISTEN`-style environment.
//!
//! Each file is first read on its own against the schema, because only there an error can still say the line. The
//! layers are then put together by the `config` crate.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use ::config::{Environment, File, FileFormat};

use super::{App, Config, PipelineUse, vhosts};
use crate::hub::StreamKey;

const ENVIRONMENT_PREFIX: &str = "STREAMMILL";

/// Lists in the environment are comma-separated.
const LIST_KEYS: &[&str] = &[
    "rtmp.listen",
    "rtmp.tls_listen",
    "rtmp.proxy_protocol_from",
    "http.listen",
    "templates.paths",
    "encoders.prefer",
    "encoders.forbid",
];

/// Loads the configuration. Without files the built-in application `live`, with HLS, is there.
///
/// `environment` is what the process got; it is a parameter so that tests need not change their own.
pub fn load(files: &[PathBuf], environment: BTreeMap<String, String>) -> Result<Config, ConfigError> {
    let mut builder = ::config::Config::builder();
    let mut problems = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.clone(),
            source,
        })?;
        match toml::from_str::<Config>(&text) {
            Ok(_) => builder = builder.add_source(File::from_str(&text, FileFormat::Toml)),
            Err(error) => problems.push(Problem::of_file(path, &text, &error)),
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError::Invalid(problems));
    }
    let mut variables = Environment::with_prefix(ENVIRONMENT_PREFIX)
        .prefix_separator("__")
        .separator("__")
        .list_separator(",")
        .try_parsing(true)
        .source(Some(environment.into_iter().collect()));
    for key in LIST_KEYS {
        variables = variables.with_list_parse_key(key);
    }
    let mut config: Config = builder
        .add_source(variables)
        .build()
        .and_then(::config::Config::try_deserialize)
        .map_err(|error| ConfigError::Invalid(vec![Problem::of_environment(&error.to_string())]))?;
    if files.is_empty() && config.apps.is_empty() {
        config.apps.insert("live".to_owned(), built_in_app());
    }
    config.files = files.to_vec();
    let mut problems = misnamed(&config);
    if problems.is_empty() {
        vhosts::flatten(&mut config);
        problems = contradictions(&config);
    }
    match problems.is_empty() {
        true => Ok(config),
        false => Err(config.invalid(problems)),
    }
}

impl Config {
    /// An error with the file and the line of each problem whose key stands in a file.
    pub fn invalid(&self, mut problems: Vec<Problem>) -> ConfigError {
        for problem in &mut problems {
            problem.key = problem.key.take().map(|key| self.key_as_written(key));
        }
        for problem in problems.iter_mut().filter(|problem| problem.place.is_none()) {
            // What a later file says overrides an earlier one.
            problem.place = problem.key.as_ref().and_then(|key| {
                self.files.iter().rev().find_map(|path| {
                    let text = std::fs::read_to_string(path).ok()?;
                    Some((path.clone(), line_of(&text, key)?))
                })
            });
        }
        ConfigError::Invalid(problems)
    }

    /// Names an application of a host where it stands: below its host.
    fn key_as_written(&self, key: String) -> String {
        let hosts = self.vhosts.iter();
        let mut apps = hosts.flat_map(|(host, vhost)| vhost.apps.keys().map(move |app| (host, app)));
        let written = apps.find_map(|(host, app)| {
            let full = vhosts::full_name(app, host);
            let rest = key.strip_prefix("apps.")?.strip_prefix(&full)?;
            (rest.is_empty() || rest.starts_with('.')).then(|| format!("vhosts.\"{host}\".apps.{app}{rest}"))
        });
        written.unwrap_or(key)
    }
}

/// The line of the last part of a dotted key that stands in the text.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let table = toml::de::DeTable::parse(text).ok()?;
    let mut start = None;
    let mut values = table.get_ref();
    for part in key_parts(key) {
        let Some((name, value)) = values.iter().find(|(name, _)| name.get_ref() == part) else {
            break;
        };
        start = Some(name.span().start);
        match value.get_ref() {
            toml::de::DeValue::Table(inner) => values = inner,
            _ => break,
        }
    }
    Some(1 + text.get(..start?)?.matches('\n').count())
}

/// The parts of a dotted key. A part in quotes may hold dots.
fn key_parts(key: &str) -> Vec<&str> {
    let quoted = key.split('"').enumerate();
    let parts = quoted.flat_map(|(index, piece)| match index % 2 {
        1 => vec![piece],
        _ => piece.split('.').collect(),
    });
    parts.filter(|part| !part.is_empty()).collect()
}

fn built_in_app() -> App {
    App {
        pipelines: Some(vec![PipelineUse::of("hls")]),
        ..App::default()
    }
}

/// Names that hosts and applications cannot have.
fn misnamed(config: &Config) -> Vec<Problem> {
    let key_of_host = |host: &str| format!("vhosts.\"{host}\"");
    let hosts = config.vhosts.iter();
    let hosts_apps = hosts.flat_map(|(host, vhost)| {
        let keys = vhost.apps.keys();
        keys.map(move |app| (format!("{}.apps.{app}", key_of_host(host)), vhosts::check_app(app)))
    });
    let hosts = config.vhosts.keys();
    let hosts = hosts.map(|host| (key_of_host(host), vhosts::check_host(host)));
    let apps = config.apps.keys();
    let apps = apps.map(|app| (format!("apps.{app}"), vhosts::check_app(app)));
    let checked = hosts.chain(apps).chain(hosts_apps);
    let problems = checked.filter_map(|(key, checked)| {
        Some(Problem {
            place: None,
            key: Some(key),
            message: checked.err()?,
            hint: None,
        })
    });
    problems.collect()
}

/// What each key allows but the whole does not.
fn contradictions(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut problem = |key: String, message: String| {
        problems.push(Problem {
            place: None,
            key: Some(key),
            message,
            hint: None,
        });
    };
    if !(128..=16 << 20).contains(&config.rtmp.chunk_size.0) {
        let message = format!(
            "a chunk size of {} is not between 128B and 16MiB",
            config.rtmp.chunk_size
        );
        problem("rtmp.chunk_size".to_owned(), message);
    }
    if !config.rtmp.tls_listen.is_empty() && config.tls.certificates.is_empty() {
        let message = "RTMPS needs a certificate; name one in tls.certificates".to_owned();
        problem("rtmp.tls_listen".to_owned(), message);
    }
    for name in config.apps.keys() {
        if let Err(error) = StreamKey::new(name, "name") {
            problem(format!("apps.{name}"), error.to_string());
        }
    }
    for (name, app) in &config.apps {
        for used in app.or(&config.defaults).pipelines() {
            let Some(target) = &used.publish_to else { continue };
            // The app part of a target never depends on the stream's name, so one sample tells for all.
            let Ok(sample) = StreamKey::new(name, "name") else {
                continue;
            };
            let Ok(target) = target.resolve(Some(&sample)) else {
                continue;
            };
            let key = format!("apps.{name}.pipelines");
            if target == sample {
                problem(
                    key,
                    format!("template {} would publish the stream it works on", used.template),
                );
            } else if !config.apps.contains_key(target.app()) {
                let hint = nearest(target.app(), config.apps.keys().map(String::as_str));
                problem(
                    key,
                    format!(
                        "there is no application '{}' to publish to{}",
                        target.app(),
                        or_hint(hint)
                    ),
                );
            }
        }
    }
    for (name, source) in &config.sources {
        let key = format!("sources.{name}.publish_to");
        match source.publish_to.resolve(None) {
            Ok(target) if config.apps.contains_key(target.app()) => {}
            Ok(target) => {
                let hint = nearest(target.app(), config.apps.keys().map(String::as_str));
                problem(
                    key,
                    format!(
                        "there is no application '{}' to publish to{}",
                        target.app(),
                        or_hint(hint)
                    ),
                );
            }
            Err(error) => problem(key, error.to_string()),
        }
    }
    problems
}

fn or_hint(hint: Option<String>) -> String {
    hint.map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

/// The candidate that was probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        // The one measure forgives what is left out or added, the other what is swapped in a short word.
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, candidate)| {
            *likeness > 0.75 || strsim::normalized_damerau_levenshtein(word, candidate) > 0.6
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File and line, if it comes from a file.
    pub place: Option<(PathBuf, usize)>,
    /// The key, as far as it is known.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// The key that was probably meant.
    pub hint: Option<String>,
}

impl Problem {
    /// What is wrong with the value of a key, with the causes of it.
    pub fn of(key: &str, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let message: Vec<_> = causes.map(ToString::to_string).collect();
        Self {
            place: None,
            key: Some(key.to_owned()),
            message: message.join(": "),
            hint: None,
        }
    }

    pub(crate) fn of_file(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let line = error
            .span()
            .map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let key = error.span().map(|span| key_at(text, line, span.start));
        Self {
            place: Some((path.to_owned(), line)),
            key: key.filter(|key| !key.is_empty()),
            message: error.message().to_owned(),
            hint: hint(error.message()),
        }
    }

    fn of_environment(message: &str) -> Self {
        Self {
            place: None,
            key: None,
            message: format!("in the environment ({ENVIRONMENT_PREFIX}__…): {message}"),
            hint: hint(message),
        }
    }
}

/// The dotted key at a place in a TOML text: the table header above it and the key on its line.
fn key_at(text: &str, line: usize, offset: usize) -> String {
    let lines: Vec<_> = text.lines().take(line).collect();
    let header = |line: &&str| line.trim_start().starts_with('[') && !line.contains('=');
    let table = lines.iter().rev().find(|line| header(line));
    let table = table.map_or("", |line| line.trim().trim_matches(['[', ']']));
    let own = lines
        .last()
        .filter(|line| !header(line))
        .and_then(|line| line.split_once('='));
    // Inside an inline table the key nearest before the offset is the one.
    let start = text[..offset.min(text.len())].rfind('\n').map_or(0, |end| end + 1);
    let inline = text[start..].lines().next().unwrap_or_default();
    let inner = inline
        .get(offset - start..)
        .and_then(|rest| rest.split_once('='))
        .map(|(key, _)| key.trim());
    let own = own.map_or("", |(key, _)| key.trim());
    let is_key = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    let inner = inner.filter(|inner| is_key(inner) && *inner != own).unwrap_or("");
    let parts = [table, own, inner];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(".")
}

/// Reads serde's "unknown field `lisen`, expected one of `listen`, …" for the name that was probably meant.
fn hint(message: &str) -> Option<String> {
    let (unknown, expected) = message.split_once("expected")?;
    let unknown = unknown.split('`').nth(1)?;
    nearest(unknown, expected.split('`').skip(1).step_by(2))
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((path, line)) = &self.place {
            write!(f, "{}:{line}: ", path.display())?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; did you mean `{hint}`?"),
            None => Ok(()),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that was named cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// One or more keys are wrong; all that were found are listed, a line each.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Problem>),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::ListenAddress;

    fn load_text(text: &str) -> Result<Config, String> {
        let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(&[file.path().to_owned()], BTreeMap::new()).map_err(|error| {
            let file = file.path().display().to_string();
            error.to_string().replace(&file, "FILE")
        })
    }

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn without_a_file_the_app_live_is_open_on_loopback() {
        let config = load(&[], BTreeMap::new()).unwrap();
        assert_eq!(config.apps.keys().collect::<Vec<_>>(), ["live"]);
        let loopback = |address: &ListenAddress| address.tcp().is_some_and(|address| address.ip().is_loopback());
        assert!(config.rtmp.listen.iter().all(loopback));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file_its_line_and_the_nearest_key() {
        let error = load_text("[http]\n\n[rtmp]\nlisen = [\"127.0.0.1:1935\"]\n").unwrap_err();
        assert!(error.starts_with("FILE:4: rtmp.lisen: unknown field"), "{error}");
        assert!(error.ends_with("did you mean `listen`?"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key() {
        let error = load_text("[hls]\nlinger = 5\n").unwrap_err();
        assert!(error.starts_with("FILE:2: hls.linger: "), "{error}");
        let error = load_text("[apps.tv]\nrecord = { path = \"/tmp\", format = \"avi\" }\n").unwrap_err();
        assert!(error.contains("FILE:2: apps.tv.record"), "{error}");
    }

    #[test]
    fn a_target_in_an_unknown_app_is_named() {
        let text =
            "[apps.live]\npipelines = [{ template = \"transcode\", publish_to = \"smal/{name}\" }]\n[apps.small]\n";
        let error = load_text(text).unwrap_err();
        assert!(
            error.contains("apps.live.pipelines: there is no application 'smal'"),
            "{error}"
        );
        assert!(error.contains("did you mean 'small'?"), "{error}");
    }

    #[test]
    fn the_apps_of_a_host_are_among_all_apps_and_their_mistakes_are_found_below_the_host() {
        let config = load_text("[apps.live]\n[vhosts.'a.example.com'.apps.live]\ngop_cache = false\n").unwrap();
        assert!(!config.apps["live@a.example.com"].gop_cache());
        assert!(config.apps["live"].gop_cache());

        let error = load_text(
            "[apps.live]\n[vhosts.'a.example.com'.apps.live]\n\n\
             pipelines = [{ template = \"transcode\", publish_to = \"{app}/{name}\" }]\n",
        );
        let error = error.unwrap_err();
        assert!(
            error.starts_with("FILE:4: vhosts.\"a.example.com\".apps.live.pipelines: template"),
            "{error}"
        );
        let error = load_text("[apps.live]\n[vhosts.'A.example.com'.apps.live]\n").unwrap_err();
        assert!(error.starts_with("FILE:2: vhosts.\"A.example.com\": "), "{error}");
        let error = load_text("[apps.'live@a.example.com']\n").unwrap_err();
        assert!(error.contains("[vhosts]"), "{error}");
    }

    #[test]
    fn rtmps_without_a_certificate_is_a_contradiction() {
        let error = load_text("[rtmp]\ntls_listen = [\"127.0.0.1:0\"]\n").unwrap_err();
        assert!(error.starts_with("FILE:2: rtmp.tls_listen: "), "{error}");
    }

    #[test]
    fn the_environment_overrides_files() {
        let config = load(
            &[],
            variables(&[
                ("STREAMMILL__RTMP__LISTEN", "127.0.0.1:7000,[::1]:7000"),
                ("STREAMMILL__RTMP__MAX_CONNECTIONS", "5"),
                ("STREAMMILL__HLS__LINGER", "3s"),
                ("STREAMMILL__ENCODERS__PREFER", "va,x264enc"),
                ("STREAMMILL__ENCODERS__SOFTWARE", "2"),
                ("STREAMMILL__ENCODERS__LIMITS__NVIDIA", "3"),
                ("PATH", "/bin"),
            ]),
        )
        .unwrap();
        assert_eq!(config.rtmp.listen.len(), 2);
        assert_eq!(config.rtmp.max_connections, 5);
        assert_eq!(config.hls.linger, super::super::Seconds::new(3));
        assert_eq!(config.encoders.prefer, ["va", "x264enc"]);
        assert_eq!(config.encoders.software, crate::config::SoftwareUse::UpTo(2));
        assert_eq!(config.encoders.limits["nvidia"], 3);
    }

    #[test]
    fn a_mistake_in_the_environment_is_an_error_too() {
        let error = load(&[], variables(&[("STREAMMILL__RTMP__LISEN", "127.0.0.1:7000")])).unwrap_err();
        assert!(error.to_string().contains("did you mean `listen`?"), "{error}");
    }
}
