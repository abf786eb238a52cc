//! Places to listen at: an IP address with a port, or a socket file.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const UNIX_PREFIX: &str = "unix:";

/// Where to listen, written `127.0.0.1:1935`, `[::]:1935` or `unix:/run/streammill/rtmp.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address of the network.
    Tcp(SocketAddr),
    /// A file that clients on this machine connect to.
    Unix(PathBuf),
}

impl ListenAddress {
    /// From text as it stands in configurations.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX_PREFIX) {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(format!(
                "'{text}' is not a place to listen at; a socket file has a path from /"
            )),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                format!("'{text}' is not a place to listen at; write ADDRESS:PORT, [IPV6]:PORT or unix:/PATH")
            }),
        }
    }

    /// The address, if it is one of the network.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The socket for programs of this user on this machine, written `auto`, `off` or `/run/user/1000/streammill.sock`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LocalSocket {
    /// Where such programs look for it by themselves.
    #[default]
    Auto,
    /// None.
    Off,
    /// Elsewhere; they have to be told.
    At(PathBuf),
}

impl LocalSocket {
    /// From text as it stands in configurations.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            path if path.starts_with('/') => Ok(Self::At(path.into())),
            _ => Err(format!(
                "'{text}' is no place for the local socket; write \"auto\", \"off\" or a path from /"
            )),
        }
    }
}

impl fmt::Display for LocalSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Off => write!(f, "off"),
            Self::At(path) => write!(f, "{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for LocalSocket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for LocalSocket {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses_and_socket_files_are_read_back_as_they_are_written() {
        for text in ["127.0.0.1:1935", "[::]:1935", "unix:/run/streammill/rtmp.sock"] {
            assert_eq!(ListenAddress::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "1935", "localhost:1935", "::1:1935:", "unix:", "unix:rtmp.sock"] {
            assert!(ListenAddress::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn the_local_socket_is_chosen_switched_off_or_put_elsewhere() {
        for text in ["auto", "off", "/run/user/1000/streammill.sock"] {
            assert_eq!(LocalSocket::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "on", "Auto", "streammill.sock", "unix:/run/x.sock"] {
            assert!(LocalSocket::parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
