//! Locations: `rtmp://host[:port]/app/name` of a running server.

use std::str::FromStr;

const DEFAULT_PORT: u16 = 1935;

/// Where a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) app: String,
    /// The stream name with its arguments, as `play` and `publish` take it.
    pub(crate) name: String,
}

impl Location {
    /// The `tcUrl` of the connect command.
    pub(crate) fn tc_url(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        format!("rtmp://{host}:{}/{}", self.port, self.app)
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let rest = text.strip_prefix("rtmp://").ok_or(LocationError::Scheme)?;
        let (authority, path) = rest.split_once('/').ok_or(LocationError::Path)?;
        let (app, name) = path.split_once('/').ok_or(LocationError::Path)?;
        if app.is_empty() || name.is_empty() {
            return Err(LocationError::Path);
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once(']').ok_or(LocationError::Host)?;
                (host, port.strip_prefix(':'))
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        if host.is_empty() {
            return Err(LocationError::Host);
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| LocationError::Port)?,
            None => DEFAULT_PORT,
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            app: app.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Text that is no location. The text itself is not repeated: it may hold a stream's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LocationError {
    #[error("location must begin with rtmp://")]
    Scheme,
    #[error("location names no host")]
    Host,
    #[error("the port in location is not a number up to 65535")]
    Port,
    #[error("location must end with /APP/NAME")]
    Path,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_location_is_taken_apart() {
        let location: Location = "rtmp://studio/live/cam/1?key=s".parse().unwrap();
        assert_eq!((location.host.as_str(), location.port), ("studio", 1935));
        assert_eq!((location.app.as_str(), location.name.as_str()), ("live", "cam/1?key=s"));
        let location: Location = "rtmp://[::1]:1936/live/x".parse().unwrap();
        assert_eq!((location.host.as_str(), location.port), ("::1", 1936));
        assert_eq!(location.tc_url(), "rtmp://[::1]:1936/live");
    }

    #[test]
    fn what_names_no_stream_is_refused() {
        for (text, error) in [
            ("http://host/live/x", LocationError::Scheme),
            ("rtmp://host", LocationError::Path),
            ("rtmp://host/live", LocationError::Path),
            ("rtmp://host//x", LocationError::Path),
            ("rtmp:///live/x", LocationError::Host),
            ("rtmp://[::1/live/x", LocationError::Host),
            ("rtmp://host:99999/live/x", LocationError::Port),
        ] {
            assert_eq!(text.parse::<Location>(), Err(error), "{text}");
        }
    }
}
