//! Callbacks: HTTP services that are asked about clients.

use serde::{Deserialize, Serialize};
use url::Url;

use super::Seconds;

/// `[callbacks]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Callbacks {
    /// Time a service has for its answer.
    pub timeout: Seconds,
    /// What becomes of a client where a service cannot be asked, or fails.
    pub unreachable: Unreachable,
}

impl Default for Callbacks {
    fn default() -> Self {
        Self {
            timeout: Seconds::new(10),
            unreachable: Unreachable::Deny,
        }
    }
}

/// What becomes of a client where nobody can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unreachable {
    /// It is refused.
    #[default]
    Deny,
    /// It is let in.
    Allow,
}

/// Where a service is: an `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallbackUrl(Url);

impl CallbackUrl {
    /// The URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

impl TryFrom<String> for CallbackUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = Url::parse(&text).map_err(|error| format!("'{text}' is no URL: {error}"))?;
        match url.scheme() {
            "http" | "https" => Ok(Self(url)),
            scheme => Err(format!("a callback goes to http:// or https://, not to {scheme}:")),
        }
    }
}

impl From<CallbackUrl> for String {
    fn from(url: CallbackUrl) -> Self {
        url.0.into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_web_addresses_are_called() {
        let read = |text: &str| CallbackUrl::try_from(text.to_owned());
        assert_eq!(read("https://x/a?b").unwrap().as_url().path(), "/a");
        assert!(read("ftp://x/").unwrap_err().contains("not to ftp:"));
        assert!(read("localhost:9000/x").unwrap_err().contains("not to localhost:"));
        assert!(read("/publish").unwrap_err().contains("is no URL"));
    }
}
