//! Addresses: where something is fetched from or sent to. Keys and passwords in them are secrets.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Secret;

/// What of a stream's name is left as it is in an address.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Longest address.
const LONGEST: usize = 2048;

/// A URL as it was written. `{app}` and `{name}` in it stand for the stream's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Address(Secret);

impl Address {
    /// Reads a URL of one of these schemes; of any, if there are none.
    pub fn parse(text: &str, schemes: &[String]) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("an address of {} bytes is longer than {LONGEST}", text.len()));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("an address holds no spaces; write %20".to_owned());
        }
        let plain = text.replace("{app}", "app").replace("{name}", "name");
        if plain.contains(['{', '}']) {
            return Err("in an address only {app} and {name} stand for something".to_owned());
        }
        let url = Url::parse(&plain).map_err(|error| format!("this is no address: {error}"))?;
        if !schemes.is_empty() && !schemes.iter().any(|scheme| scheme == url.scheme()) {
            return Err(format!(
                "an address that begins with {}:// is needed",
                schemes.join(":// or ")
            ));
        }
        match url.has_host() {
            true => Ok(Self(Secret::new(text))),
            false => Err("the address names no host".to_owned()),
        }
    }

    /// The text, for an element.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// Whether it depends on the stream.
    pub fn is_pattern(&self) -> bool {
        self.reveal().contains('{')
    }

    /// The address for a stream.
    pub fn of_stream(&self, app: &str, name: &str) -> Self {
        let encoded = |text: &str| utf8_percent_encode(text, KEPT).to_string();
        let text = self.reveal().replace("{app}", &encoded(app));
        Self(Secret::new(text.replace("{name}", &encoded(name))))
    }

    /// What of it nobody is to see, as elements may write it.
    pub(super) fn pieces(&self) -> Vec<String> {
        let mut pieces = vec![self.reveal().to_owned()];
        let Ok(url) = Url::parse(self.reveal()) else {
            return pieces;
        };
        pieces.push(url.to_string());
        pieces.extend(url.password().map(str::to_owned));
        let path = url.path().trim_start_matches('/');
        pieces.extend(path.split_once('/').map(|(_, key)| key.to_owned()));
        pieces.extend(path.rsplit('/').next().map(str::to_owned));
        if let Some(query) = url.query() {
            pieces.push(query.to_owned());
            pieces.extend(
                query
                    .split('&')
                    .filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())),
            );
        }
        let decoded = |piece: &String| {
            percent_decode_str(piece)
                .decode_utf8()
                .map(|text| text.into_owned())
                .ok()
        };
        let more: Vec<_> = pieces.iter().filter_map(decoded).collect();
        pieces.extend(more);
        pieces
    }
}

/// Without what follows the host: for RTMP that is a key, for others it may be.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.reveal().replace(['{', '}'], "");
        let Ok(url) = Url::parse(&plain) else {
            return f.write_str("***");
        };
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        match url.path().len() > 1 || url.query().is_some() {
            true => f.write_str("/***"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (text, shown) in [
            ("rtmp://user:pass@a.example/live2/key?x=1", "rtmp://a.example/***"),
            ("rtmps://a.example:443/app/{name}", "rtmps://a.example:443/***"),
            ("srt://[::1]:9000?streamid=x", "srt://[::1]:9000/***"),
            ("srt://h.example:9000", "srt://h.example:9000"),
        ] {
            let address = Address::parse(text, &[]).unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("key"), "{address:?}");
        }
    }

    #[test]
    fn only_addresses_of_the_right_kind_are_taken() {
        let schemes = ["rtmp".to_owned(), "rtmps".to_owned()];
        for (text, wrong) in [
            ("", "this is no address"),
            ("a.example/live", "this is no address"),
            ("file:///etc/passwd", "rtmp:// or rtmps:// is needed"),
            ("rtmp:key", "names no host"),
            ("rtmp://a.example/x y", "no spaces"),
            ("rtmp://a.example/x\n", "no spaces"),
            ("rtmp://a.example/\0", "no spaces"),
            ("rtmp://a.example/{app}/{key}", "only {app} and {name}"),
            ("rtmp://a.example/x\" ! filesink location=/tmp/x", "no spaces"),
        ] {
            let error = Address::parse(text, &schemes).unwrap_err();
            assert!(error.contains(wrong), "{text:?}: {error}");
        }
        assert!(Address::parse(&format!("rtmp://a/{}", "x".repeat(3000)), &schemes).is_err());
    }

    #[test]
    fn a_streams_name_adds_nothing_to_an_address_but_a_name() {
        let address = Address::parse("rtmp://a.example/{app}/{name}?x=1", &[]).unwrap();
        assert!(address.is_pattern());
        let of_stream = address.of_stream("live", "a/../b?y=2#{app} ü");
        assert_eq!(
            of_stream.reveal(),
            "rtmp://a.example/live/a%2F..%2Fb%3Fy%3D2%23%7Bapp%7D%20%C3%BC?x=1"
        );
        assert!(!of_stream.is_pattern());
    }
}
