//! What a URL says: where a server is, and how it is spoken to.

use std::time::Duration;

use ::redis::io::tcp::TcpSettings;
use ::redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::error::configuration;
use crate::error::Result;

/// How long the kernel waits at most for what was sent to arrive: it counts no further than some
/// 24 days.
#[cfg(target_os = "linux")]
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);

/// What the provider can be told as an address.
const ACCEPTED: &str = "expected redis[s]://[user:password@]host[:port][/database][?protocol=resp3] \
                        or unix:///path/of/the/socket[?db=…&user=…&pass=…&protocol=resp3]";

/// The port of a URL without one.
const DEFAULT_PORT: u16 = 6379;

/// What a URL can say behind its `?`; the second are for sockets, whose URL has no room else.
const QUERY: [&str; 1] = ["protocol"];
const SOCKET_QUERY: [&str; 4] = ["protocol", "db", "user", "pass"];

/// Reads a URL. What is sent goes unanswered for at most `touch` before the connection is given
/// up.
pub(super) fn parse(url: &str, touch: Duration) -> Result<ConnectionInfo> {
    refuse_unsupported(url)?;
    // What cannot be parsed may hold a password: neither it nor the parser's words are shown.
    let info = url
        .into_connection_info()
        .map_err(|_| configuration(format!("the Redis URL cannot be used: {ACCEPTED}")))?;
    // Without a bound of its own the kernel waits a quarter of an hour for a host that is gone.
    let tcp = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(touch.min(LONGEST_SILENCE));
    #[cfg(not(target_os = "linux"))]
    let _ = touch;
    Ok(info.set_tcp_settings(tcp))
}

/// How a server elsewhere is reached, in all else like this one.
pub(super) fn at(info: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let mut addr = info.addr().clone();
    if let ConnectionAddr::Tcp(old_host, old_port)
    | ConnectionAddr::TcpTls {
        host: old_host,
        port: old_port,
        ..
    } = &mut addr
    {
        (*old_host, *old_port) = (host, port);
    }
    info.clone().set_addr(addr)
}

/// The name by which sentinels know the primary that a URL is about.
pub(super) fn primary_name(info: &ConnectionInfo) -> Result<String> {
    match info.addr() {
        ConnectionAddr::Tcp(name, DEFAULT_PORT)
        | ConnectionAddr::TcpTls {
            host: name,
            port: DEFAULT_PORT,
            ..
        } => Ok(name.clone()),
        _ => Err(configuration(
            "with sentinels, the URL has the primary's name for a host, and no port: redis://mymaster",
        )),
    }
}

/// Whether a node of a cluster can be reached so.
#[cfg(feature = "redis-cluster")]
pub(super) fn check_cluster_node(info: &ConnectionInfo) -> Result<()> {
    if info.redis_settings().db() != 0 {
        return Err(configuration(
            "a cluster has no databases: leave the number out of the URL",
        ));
    }
    match info.addr() {
        ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { .. } => Ok(()),
        _ => Err(configuration(
            "the nodes of a cluster are reached by TCP, not by unix sockets",
        )),
    }
}

/// Whether a URL asks for TLS.
pub(super) fn is_secure(url: &str) -> bool {
    url.starts_with("rediss:") || url.starts_with("valkeys:")
}

/// The parser passes over what it does not know, and knows what this build cannot do.
fn refuse_unsupported(url: &str) -> Result<()> {
    let refuse = |what: &str| Err(configuration(format!("{what}: {ACCEPTED}")));
    if is_secure(url) && !cfg!(feature = "tls") {
        return refuse("TLS needs the feature `tls` of cache-core");
    }
    let (address, fragment) = url.split_once('#').unwrap_or((url, ""));
    if !fragment.is_empty() {
        return refuse("a Redis URL with a fragment is not supported; certificates are verified");
    }
    let (address, query) = address.split_once('?').unwrap_or((address, ""));
    let is_socket = !address.contains("://") || address.contains("unix://");
    let known: &[_] = if is_socket { &SOCKET_QUERY } else { &QUERY };
    let name = |part: &str| {
        known
            .iter()
            .any(|name| part.starts_with(&format!("{name}=")))
    };
    let mut parts = query.split('&').filter(|part| !part.is_empty());
    if parts.all(name) {
        return Ok(());
    }
    // Not which: it may be the end of a password that should have been percent-encoded.
    refuse("the Redis URL sets something that is not supported behind its `?`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn refusal(url: &str) -> String {
        let error = parse(url, Duration::from_secs(3)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
        format!("{error} {error:?}")
    }

    #[test]
    fn an_unusable_url_is_refused_with_what_would_do_and_without_its_password() {
        for url in [
            "",
            "localhost",
            "http://u:hunter2@host",
            "redis://u:hunter2@host:port",
            "redis://u:hunter2@host/notanumber",
            "redis://u:hunter2@host?protocol=resp4",
        ] {
            let shown = refusal(url);
            assert!(shown.contains("://[user:password@]host"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_and_not_passed_over() {
        for url in [
            "redis://u:hunter2@host?timeout=5",
            "redis://host/1?protocol=resp3&db=2",
            "redis://u:p?hunter2@host",
            "unix:///socket?db=2&tls=1",
        ] {
            let shown = refusal(url);
            assert!(shown.contains("behind its `?`"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let shown = refusal("redis://host#fragment");
        assert!(shown.contains("a fragment"), "{shown}");
    }

    #[cfg(feature = "tls")]
    #[test]
    fn certificates_are_verified_whatever_the_url_says() {
        let shown = refusal("rediss://host#insecure");
        assert!(shown.contains("certificates are verified"), "{shown}");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_the_feature_tls_is_refused_by_its_name() {
        let shown = refusal("rediss://u:hunter2@host");
        assert!(shown.contains("feature `tls`"), "{shown}");
    }
}
