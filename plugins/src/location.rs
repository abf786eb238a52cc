//! Locations: `rtmp://host[:port]/app/name`, or `app/name` of the server on this machine.

use std::{fmt, path::PathBuf, str::FromStr};

const DEFAULT_PORT: u16 = 1935;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Tcp {
        host: String,
        port: u16,
    },
    /// At this socket file, or where servers of this user listen by themselves.
    Local(Option<PathBuf>),
}

/// Where a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) server: Server,
    pub(crate) app: String,
    /// The stream name with its arguments, as `play` and `publish` take it.
    pub(crate) name: String,
}

impl Location {
    /// A stream of the server on this machine, written `app/name`.
    pub(crate) fn on_this_machine(stream: &str, socket: Option<PathBuf>) -> Result<Self, LocationError> {
        let (app, name) = parts(stream).ok_or(LocationError::Stream)?;
        Ok(Self {
            server: Server::Local(socket),
            app,
            name,
        })
    }

    /// The `tcUrl` of the connect command.
    pub(crate) fn tc_url(&self) -> String {
        let app = &self.app;
        match &self.server {
            Server::Tcp { host, port } if host.contains(':') => format!("rtmp://[{host}]:{port}/{app}"),
            Server::Tcp { host, port } => format!("rtmp://{host}:{port}/{app}"),
            Server::Local(_) => format!("rtmp://localhost/{app}"),
        }
    }
}

/// As people know the stream; what stands behind `?` may be a secret.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.split('?').next().unwrap_or_default();
        write!(f, "{}/{name}", self.app)
    }
}

/// App and name. The rest of what can be wrong with them is for the server to say; a line that is broken by a name would
/// not even be legible in a log.
fn parts(path: &str) -> Option<(String, String)> {
    let (app, name) = path.split_once('/')?;
    let is_good = !app.is_empty() && !name.is_empty() && !path.chars().any(char::is_control);
    is_good.then(|| (app.to_owned(), name.to_owned()))
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let rest = text.strip_prefix("rtmp://").ok_or(LocationError::Scheme)?;
        let (authority, path) = rest.split_once('/').ok_or(LocationError::Path)?;
        let (app, name) = parts(path).ok_or(LocationError::Path)?;
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
            server: Server::Tcp {
                host: host.to_owned(),
                port,
            },
            app,
            name,
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
    #[error("stream must be APP/NAME, without control characters")]
    Stream,
    #[error("location and stream both say where the stream is; set one of them")]
    Both,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_location_is_taken_apart() {
        let location: Location = "rtmp://studio/live/cam/1?key=s".parse().unwrap();
        assert_eq!(location.tc_url(), "rtmp://studio:1935/live");
        assert_eq!((location.app.as_str(), location.name.as_str()), ("live", "cam/1?key=s"));
        let location: Location = "rtmp://[::1]:1936/live/x".parse().unwrap();
        assert_eq!(location.tc_url(), "rtmp://[::1]:1936/live");
    }

    #[test]
    fn a_stream_of_this_machine_is_an_app_and_a_name() {
        let location = Location::on_this_machine("live/cam/1?key=s", None).unwrap();
        assert_eq!((location.app.as_str(), location.name.as_str()), ("live", "cam/1?key=s"));
        assert_eq!(location.tc_url(), "rtmp://localhost/live");
        assert_eq!(location.to_string(), "live/cam/1", "the argument is a secret");
        for hostile in ["", "live", "live/", "/x", "live/a\nb", "live/a\0b", "li\rve/x"] {
            let result = Location::on_this_machine(hostile, None);
            assert_eq!(result, Err(LocationError::Stream), "{hostile:?}");
        }
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
