//! Addresses: the properties by which both elements are told which stream of which server they are for.

use std::path::PathBuf;

use gst::{glib, prelude::*};

use crate::location::{Location, LocationError};

/// The values of those properties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    location: Option<String>,
    stream: Option<String>,
    socket: Option<String>,
}

impl Address {
    /// The properties' descriptions, for one element: GObject does not let two classes share them.
    pub(crate) fn properties() -> [glib::ParamSpec; 3] {
        [
            text(
                "stream",
                "Stream",
                "app/name of a stream of the server on this machine; unset where a host takes care of the element",
            ),
            text(
                "socket",
                "Socket",
                "That server's local socket; unset: STREAMMILL_SOCKET, or where a server of this user opens it by itself",
            ),
            text(
                "location",
                "Location",
                "rtmp://host[:port]/app/name of a stream of any server, instead of stream",
            ),
        ]
    }

    /// Sets a property. False if it is none of these.
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let Some(place) = self.place(name) else { return false };
        // GObject has checked the type before it calls the element.
        *place = value.get::<Option<String>>().unwrap_or_default();
        true
    }

    /// The value of a property, if it is one of these.
    pub(crate) fn get(&mut self, name: &str) -> Option<glib::Value> {
        self.place(name).map(|place| place.to_value())
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "location" => Some(&mut self.location),
            "stream" => Some(&mut self.stream),
            "socket" => Some(&mut self.socket),
            _ => None,
        }
    }

    /// Whether anything says where the stream is.
    pub(crate) fn is_set(&self) -> bool {
        self.location.is_some() || self.stream.is_some()
    }

    /// The stream; none where a host takes care of the element.
    pub(crate) fn resolve(&self) -> Result<Option<Location>, LocationError> {
        match (&self.location, &self.stream) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(LocationError::Both),
            (Some(location), None) => location.parse().map(Some),
            (None, Some(stream)) => {
                let socket = self.socket.as_ref().filter(|path| !path.is_empty()).map(PathBuf::from);
                Location::on_this_machine(stream, socket).map(Some)
            }
        }
    }
}

fn text(name: &str, nick: &str, blurb: &str) -> glib::ParamSpec {
    glib::ParamSpecString::builder(name)
        .nick(nick)
        .blurb(blurb)
        .mutable_ready()
        .build()
}
