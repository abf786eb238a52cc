//! Virtual hosts: which application a client means that names a host and an application.
//!
//! Two hosts may have an application of the same name, and their streams must not meet. So an application of a host has
//! a name that no other has, `live@studio.example.com`, and everything behind the doors (hub, pipelines, recordings, the
//! API) knows it by that name alone. A host is only what the client says it wants: it chooses, and protects nothing.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::Config;

/// What stands between an application and its host.
const AT: char = '@';

/// The hosts and their applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vhosts {
    /// Full names of all applications.
    apps: BTreeSet<String>,
    /// Lower case.
    exact: BTreeSet<String>,
    /// `example.com` for `*.example.com`, lower case.
    wildcards: BTreeSet<String>,
}

impl Vhosts {
    /// Of a loaded configuration, the applications of whose hosts are among all others.
    pub fn new(config: &Config) -> Self {
        let mut vhosts = Self {
            apps: config.apps.keys().cloned().collect(),
            ..Self::default()
        };
        for host in config.vhosts.keys() {
            match host.strip_prefix("*.") {
                Some(domain) => vhosts.wildcards.insert(domain.to_owned()),
                None => vhosts.exact.insert(host.clone()),
            };
        }
        vhosts
    }

    /// The full name of the application that `app` means at `host`, with or without a port.
    ///
    /// The host decides first: the very name, then the longest wildcard that covers it, then the plain `[apps]`. A host
    /// has the applications that stand below it and no others. A full name means the same at every host.
    pub fn resolve(&self, host: Option<&str>, app: &str) -> Option<&str> {
        self.apps.get(&*self.full_name(host, app)).map(String::as_str)
    }

    /// What the application would be called that `app` means at `host`, whether it is there or not.
    pub fn full_name<'a>(&self, host: Option<&str>, app: &'a str) -> Cow<'a, str> {
        match host.and_then(|host| self.host(host)) {
            Some(host) if !app.contains(AT) => full_name(app, &host).into(),
            _ => app.into(),
        }
    }

    /// The configured host that a client's host belongs to.
    fn host(&self, host: &str) -> Option<String> {
        if self.exact.is_empty() && self.wildcards.is_empty() {
            return None;
        }
        let host = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        if self.exact.contains(&host) {
            return Some(host);
        }
        let mut rest = host.as_str();
        while let Some((_, domain)) = rest.split_once('.') {
            if self.wildcards.contains(domain) {
                return Some(format!("*.{domain}"));
            }
            rest = domain;
        }
        None
    }
}

/// What an application of a host is called.
pub(super) fn full_name(app: &str, host: &str) -> String {
    format!("{app}{AT}{host}")
}

/// Why an application cannot be called so.
pub(super) fn check_app(name: &str) -> Result<(), String> {
    match name.contains(AT) {
        true => Err(format!(
            "'{AT}' stands between an application and its host; see [vhosts]"
        )),
        false => Ok(()),
    }
}

/// Why a host cannot be written so.
pub(super) fn check_host(host: &str) -> Result<(), String> {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    match name.len() <= 253 && name.split('.').all(is_label) {
        true => Ok(()),
        false => Err(format!(
            "'{host}' is not a host; write \"studio.example.com\" or \"*.example.com\", in small letters and without a port"
        )),
    }
}

/// `[::1]:1935` without brackets and port, `example.com:1935` without its port.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match host.split_once(':') {
        // More than one colon: an IPv6 address without brackets.
        Some((_, rest)) if rest.contains(':') => host,
        Some((name, _)) => name,
        None => host,
    }
}

/// Puts the applications of all hosts among the others, under their full names.
pub(super) fn flatten(config: &mut Config) {
    let mut apps = BTreeMap::new();
    for (host, vhost) in &config.vhosts {
        for (name, app) in &vhost.apps {
            apps.insert(full_name(name, host), app.clone());
        }
    }
    config.apps.append(&mut apps);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn vhosts() -> Vhosts {
        let text = "[apps.live]\n[apps.only]\n\
                    [vhosts.'a.example.com'.apps.live]\n\
                    [vhosts.'*.example.com'.apps.live]\n\
                    [vhosts.'*.b.example.com'.apps.live]\n";
        let mut config: Config = toml::from_str(text).unwrap();
        flatten(&mut config);
        Vhosts::new(&config)
    }

    #[test]
    fn the_exact_host_goes_before_the_longest_wildcard_before_the_default() {
        let vhosts = vhosts();
        for (host, app) in [
            ("a.example.com", "live@a.example.com"),
            ("A.Example.COM.:1935", "live@a.example.com"),
            ("x.example.com", "live@*.example.com"),
            ("x.a.example.com", "live@*.example.com"),
            ("x.b.example.com:80", "live@*.b.example.com"),
            ("b.example.com", "live@*.example.com"),
            ("example.com", "live"),
            ("[::1]:1935", "live"),
            ("::1", "live"),
            ("", "live"),
        ] {
            assert_eq!(vhosts.resolve(Some(host), "live"), Some(app), "{host}");
        }
        assert_eq!(vhosts.resolve(None, "live"), Some("live"));
    }

    #[test]
    fn a_host_has_its_own_applications_only_and_full_names_mean_the_same_everywhere() {
        let vhosts = vhosts();
        assert_eq!(vhosts.resolve(Some("a.example.com"), "only"), None);
        assert_eq!(vhosts.resolve(Some("other.org"), "only"), Some("only"));
        for host in [None, Some("x.example.com"), Some("other.org")] {
            assert_eq!(vhosts.resolve(host, "live@a.example.com"), Some("live@a.example.com"));
            assert_eq!(vhosts.resolve(host, "live@nowhere"), None);
        }
    }

    #[test]
    fn what_can_never_be_a_host_is_refused() {
        for host in [
            "",
            "*",
            "*.",
            "a..b",
            "a.example.com:1935",
            "A.example.com",
            "a.*.com",
            "**.com",
            "a b",
        ] {
            assert!(check_host(host).is_err(), "{host:?} was accepted");
        }
        for host in [
            "localhost",
            "a.example.com",
            "*.example.com",
            "127.0.0.1",
            "xn--bcher-kva.example",
        ] {
            assert!(check_host(host).is_ok(), "{host:?} was refused");
        }
    }
}
