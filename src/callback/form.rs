//! Forms: what a service is told, field by field as nginx-rtmp-module tells it.

use std::net::IpAddr;

use form_urlencoded::Serializer;

/// A client, as it described itself when it connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The application.
    pub app: String,
    /// What it calls itself.
    pub flash_ver: String,
    /// The program that plays.
    pub swf_url: String,
    /// URL it was given.
    pub tc_url: String,
    /// The page that embeds it.
    pub page_url: String,
    /// Where it comes from; none for a socket file.
    pub address: Option<IpAddr>,
    /// Number of its connection.
    pub number: u64,
}

/// A client that wants to publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishCall {
    /// The client.
    pub caller: Caller,
    /// The name it asks for.
    pub name: String,
    /// What stood behind the name's `?`. Often a secret.
    pub args: Option<String>,
    /// `live`, `record` or `append`.
    pub kind: String,
}

impl Caller {
    fn write(&self, form: &mut Serializer<'_, String>) {
        let address = self.address.map(|address| address.to_string()).unwrap_or_default();
        form.append_pair("app", &self.app)
            .append_pair("flashver", &self.flash_ver)
            .append_pair("swfurl", &self.swf_url)
            .append_pair("tcurl", &self.tc_url)
            .append_pair("pageurl", &self.page_url)
            .append_pair("addr", &address)
            .append_pair("clientid", &self.number.to_string());
    }
}

impl PublishCall {
    /// The body of the request. The client's own arguments come last and are written anew, so that none of them can pass for
    /// a field before it.
    pub(super) fn form(&self) -> String {
        let mut form = Serializer::new(String::new());
        self.caller.write(&mut form);
        form.append_pair("call", "publish")
            .append_pair("name", &self.name)
            .append_pair("type", &self.kind);
        let args = self.args.as_deref().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(args.as_bytes()) {
            if !FIELDS.contains(&&*name) {
                form.append_pair(&name, &value);
            }
        }
        form.finish()
    }
}

/// Fields of ours, which no client may say.
const FIELDS: [&str; 10] = [
    "app", "flashver", "swfurl", "tcurl", "pageurl", "addr", "clientid", "call", "name", "type",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_fields_are_nginx_rtmps_in_its_order() {
        let call = PublishCall {
            caller: Caller {
                app: "live".to_owned(),
                flash_ver: "FMLE/3.0 (compatible; FMSc/1.0)".to_owned(),
                tc_url: "rtmp://h/live".to_owned(),
                address: Some("192.0.2.1".parse().unwrap()),
                number: 7,
                ..Caller::default()
            },
            name: "cam 1".to_owned(),
            args: Some("key=s%26cret&x".to_owned()),
            kind: "live".to_owned(),
        };
        assert_eq!(
            call.form(),
            "app=live&flashver=FMLE%2F3.0+%28compatible%3B+FMSc%2F1.0%29&swfurl=&tcurl=rtmp%3A%2F%2Fh%2Flive&pageurl=\
             &addr=192.0.2.1&clientid=7&call=publish&name=cam+1&type=live&key=s%26cret&x="
        );
    }

    #[test]
    fn a_client_cannot_speak_for_the_server() {
        let call = PublishCall {
            name: "a&addr=127.0.0.1".to_owned(),
            args: Some("addr=127.0.0.1&name=other&token=1".to_owned()),
            ..PublishCall::default()
        };
        let form = call.form();
        let all: Vec<_> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let of = |wanted: &str| all.iter().filter(|(name, _)| name == wanted).count();
        assert_eq!((of("addr"), of("name"), of("token")), (1, 1, 1), "{all:?}");
        assert!(all.contains(&("name".to_owned(), "a&addr=127.0.0.1".to_owned())));
    }
}
