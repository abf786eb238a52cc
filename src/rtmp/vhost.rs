//! The host that a client names, which its `connect` carries in `tcUrl` (RTMP 1.0 §7.2.1.1).

/// Host and port of a URL such as `rtmp://user@example.com:1935/live?key=value`; IPv6 addresses keep their brackets.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_stands_between_the_scheme_and_the_path() {
        assert_eq!(host_of("rtmp://example.com/live"), Some("example.com"));
        assert_eq!(
            host_of("rtmps://user:p@ss@example.com:443?x=//y@z"),
            Some("example.com:443")
        );
        assert_eq!(host_of("rtmp://[2001:db8::1]:1935/live"), Some("[2001:db8::1]:1935"));
        for url in ["", "live", "rtmp:///live", "rtmp://user@/live", "://"] {
            assert_eq!(host_of(url), None, "{url}");
        }
    }
}
