//! Replies: what a service's answer means.

use serde::Deserialize;

use super::Answer;
use crate::config::{PipelineUse, Seconds};

/// What a service wants done with a publisher that it lets in. All of it may be left out.
///
/// ```json
/// {"name": "public-name", "pipelines": ["hls", {"template": "transcode", "publish_to": "small/{name}"}],
///  "record": true, "max_duration": "4h"}
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Reply {
    /// The name that it publishes under, in place of the one it asked for.
    pub name: Option<String>,
    /// Pipelines beside those of the application.
    pub pipelines: Vec<PipelineUse>,
    /// Whether it is recorded, whatever the application does.
    pub record: Option<bool>,
    /// How long it may publish.
    pub max_duration: Option<Seconds>,
}

/// Reads an answer; else why the client is refused.
pub(super) fn read(answer: &Answer) -> Result<Reply, String> {
    match answer.status {
        200..=299 => body(answer),
        300..=399 => renamed(answer.location.as_deref().unwrap_or_default()),
        status => Err(format!("the service answers {status}")),
    }
}

fn body(answer: &Answer) -> Result<Reply, String> {
    let media_type = answer.media_type.as_deref().unwrap_or_default();
    let is_json = media_type.split(';').next().map(str::trim) == Some("application/json");
    // Many services answer "OK" or a page, which nginx-rtmp does not read either.
    if !is_json || answer.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Reply::default());
    }
    // A mistake in it must not let anyone in under conditions that nobody meant.
    let object = serde_json::from_slice::<serde_json::Map<_, _>>(&answer.body);
    let reply = object.and_then(|object| serde_json::from_value(object.into()));
    reply.map_err(|error| format!("the service's JSON cannot be read: {error}"))
}

fn renamed(location: &str) -> Result<Reply, String> {
    if location.is_empty() {
        return Ok(Reply::default());
    }
    if location.contains("://") {
        return Err("the service redirects to another server, which is not supported".to_owned());
    }
    Ok(Reply {
        name: Some(location.to_owned()),
        ..Reply::default()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn answer(status: u16, media_type: &str, body: &str) -> Answer {
        Answer {
            status,
            location: None,
            media_type: Some(media_type.to_owned()),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn json_says_what_is_done_with_the_stream() {
        let text = r#"{"name": "p", "pipelines": ["hls", {"template": "transcode", "params": {"height": 720}, "publish_to": "x/{name}"}],
                       "record": true, "max_duration": "4h", "later": 1}"#;
        let reply = read(&answer(200, "application/json; charset=utf-8", text)).unwrap();
        assert_eq!(reply.name.as_deref(), Some("p"));
        assert_eq!(reply.pipelines[1].params["height"], toml::Value::Integer(720));
        assert_eq!(
            (reply.record, reply.max_duration),
            (Some(true), Some(Seconds::new(4 * 3600)))
        );
    }

    #[test]
    fn other_answers_mean_what_they_mean_to_nginx_rtmp() {
        assert_eq!(read(&answer(200, "text/html", "<p>ok")), Ok(Reply::default()));
        assert_eq!(read(&answer(204, "application/json", " ")), Ok(Reply::default()));
        assert!(read(&answer(404, "text/html", "")).is_err());
        let redirect = |location: &str| Answer {
            status: 302,
            location: Some(location.to_owned()),
            ..Answer::default()
        };
        assert_eq!(read(&redirect("public")).unwrap().name.as_deref(), Some("public"));
        assert_eq!(read(&redirect("")), Ok(Reply::default()));
        assert!(read(&redirect("rtmp://elsewhere/live")).is_err());
    }

    #[test]
    fn json_that_cannot_be_read_lets_nobody_in() {
        for text in [
            "{",
            "[]",
            r#"{"record": "yes"}"#,
            r#"{"max_duration": 4}"#,
            r#"{"pipelines": [{"template": "x", "parms": {}}]}"#,
        ] {
            assert!(read(&answer(200, "application/json", text)).is_err(), "{text}");
        }
    }
}
