//! The codes of `onStatus` and `_error` (RTMP 1.0 §7.2.2, and what Adobe's servers and nginx-rtmp say beyond it).
//!
//! Clients act on the codes, people read the descriptions.

use crate::amf::Value;

/// A code and its level, which go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// As clients compare it.
    pub text: &'static str,
    is_error: bool,
}

impl Code {
    const fn status(text: &'static str) -> Self {
        Self { text, is_error: false }
    }

    const fn error(text: &'static str) -> Self {
        Self { text, is_error: true }
    }

    /// `status` or `error`.
    pub fn level(self) -> &'static str {
        if self.is_error { "error" } else { "status" }
    }

    /// The information object.
    pub(super) fn object(self, description: &str) -> Value {
        Value::Object(vec![
            ("level".to_owned(), Value::string(self.level())),
            ("code".to_owned(), Value::string(self.text)),
            ("description".to_owned(), Value::string(description)),
        ])
    }
}

/// A client is let in.
pub const CONNECT_SUCCESS: Code = Code::status("NetConnection.Connect.Success");
/// It is not, whatever it asks for.
pub const CONNECT_REJECTED: Code = Code::error("NetConnection.Connect.Rejected");
/// There is no such application.
pub const CONNECT_INVALID_APP: Code = Code::error("NetConnection.Connect.InvalidApp");
/// It is in already.
pub const CONNECT_FAILED: Code = Code::error("NetConnection.Connect.Failed");
/// It should connect anew, maybe elsewhere ("Enhanced RTMP" v2, "Reconnect Request").
pub const CONNECT_RECONNECT: Code = Code::status("NetConnection.Connect.ReconnectRequest");
/// A command cannot be done.
pub const CALL_FAILED: Code = Code::error("NetConnection.Call.Failed");

/// Publishing has begun.
pub const PUBLISH_START: Code = Code::status("NetStream.Publish.Start");
/// The name is in use, or none.
pub const PUBLISH_BAD_NAME: Code = Code::error("NetStream.Publish.BadName");
/// Publishing ends because of the server.
pub const PUBLISH_FAILED: Code = Code::error("NetStream.Publish.Failed");
/// Publishing has ended as asked.
pub const UNPUBLISH_SUCCESS: Code = Code::status("NetStream.Unpublish.Success");

/// What played before is replaced.
pub const PLAY_RESET: Code = Code::status("NetStream.Play.Reset");
/// Playing has begun.
pub const PLAY_START: Code = Code::status("NetStream.Play.Start");
/// Playing has ended.
pub const PLAY_STOP: Code = Code::status("NetStream.Play.Stop");
/// There is no such stream.
pub const PLAY_STREAM_NOT_FOUND: Code = Code::error("NetStream.Play.StreamNotFound");
/// The stream has nothing that the player can read.
pub const PLAY_NO_SUPPORTED_TRACK: Code = Code::error("NetStream.Play.NoSupportedTrackFound");
/// A publisher came.
pub const PLAY_PUBLISH_NOTIFY: Code = Code::status("NetStream.Play.PublishNotify");
/// The publisher left.
pub const PLAY_UNPUBLISH_NOTIFY: Code = Code::status("NetStream.Play.UnpublishNotify");
/// Paused as asked.
pub const PAUSE_NOTIFY: Code = Code::status("NetStream.Pause.Notify");
/// Going on as asked.
pub const UNPAUSE_NOTIFY: Code = Code::status("NetStream.Unpause.Notify");
/// There is nothing to seek in.
pub const SEEK_FAILED: Code = Code::error("NetStream.Seek.Failed");
/// Whatever else failed.
pub const FAILED: Code = Code::error("NetStream.Failed");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_levels_are_those_that_clients_compare() {
        for (code, text, level) in [
            (CONNECT_SUCCESS, "NetConnection.Connect.Success", "status"),
            (CONNECT_REJECTED, "NetConnection.Connect.Rejected", "error"),
            (CONNECT_INVALID_APP, "NetConnection.Connect.InvalidApp", "error"),
            (CONNECT_FAILED, "NetConnection.Connect.Failed", "error"),
            (CONNECT_RECONNECT, "NetConnection.Connect.ReconnectRequest", "status"),
            (CALL_FAILED, "NetConnection.Call.Failed", "error"),
            (PUBLISH_START, "NetStream.Publish.Start", "status"),
            (PUBLISH_BAD_NAME, "NetStream.Publish.BadName", "error"),
            (PUBLISH_FAILED, "NetStream.Publish.Failed", "error"),
            (UNPUBLISH_SUCCESS, "NetStream.Unpublish.Success", "status"),
            (PLAY_RESET, "NetStream.Play.Reset", "status"),
            (PLAY_START, "NetStream.Play.Start", "status"),
            (PLAY_STOP, "NetStream.Play.Stop", "status"),
            (PLAY_STREAM_NOT_FOUND, "NetStream.Play.StreamNotFound", "error"),
            (PLAY_NO_SUPPORTED_TRACK, "NetStream.Play.NoSupportedTrackFound", "error"),
            (PLAY_PUBLISH_NOTIFY, "NetStream.Play.PublishNotify", "status"),
            (PLAY_UNPUBLISH_NOTIFY, "NetStream.Play.UnpublishNotify", "status"),
            (PAUSE_NOTIFY, "NetStream.Pause.Notify", "status"),
            (UNPAUSE_NOTIFY, "NetStream.Unpause.Notify", "status"),
            (SEEK_FAILED, "NetStream.Seek.Failed", "error"),
            (FAILED, "NetStream.Failed", "error"),
        ] {
            let object = code.object("why");
            let property = |name: &str| object.property(name).and_then(Value::as_str).unwrap_or_default();
            let told = (property("code"), property("level"), property("description"));
            assert_eq!(told, (text, level, "why"));
        }
    }
}
