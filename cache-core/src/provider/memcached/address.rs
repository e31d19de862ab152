//! What a URL says: where the server is.

use std::fmt;

use super::error::configuration;
use crate::error::Result;

const ACCEPTED: &str = "the memcached URL cannot be used: expected memcache://host[:port]";
const SCHEME: &str = "memcache://";
const DEFAULT_PORT: u16 = 11_211;

/// Host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Reads a URL. One that cannot be read is not shown: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let address = url.strip_prefix(SCHEME).and_then(split);
        address.ok_or_else(|| configuration(ACCEPTED))
    }
}

fn split(address: &str) -> Option<Address> {
    let address = address.strip_suffix('/').unwrap_or(address);
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => address.split_at(address.find(':').unwrap_or(address.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits.parse().ok()?,
        None if port.is_empty() => DEFAULT_PORT,
        None => return None,
    };
    let is_host = !host.is_empty() && !host.contains(|c: char| "@/?#[] ".contains(c));
    is_host.then(|| Address {
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_url_names_host_and_port() {
        for (url, address) in [
            ("memcache://cache", "cache:11211"),
            ("memcache://cache:11212/", "cache:11212"),
            ("memcache://127.0.0.1:1", "127.0.0.1:1"),
            ("memcache://[::1]", "[::1]:11211"),
            ("memcache://[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(Address::parse(url).unwrap().to_string(), address);
        }
    }

    #[test]
    fn an_unusable_url_is_refused_with_what_would_do_and_without_its_password() {
        for url in [
            "",
            "cache",
            "redis://cache",
            "memcache://",
            "memcache://:11211",
            "memcache://u:hunter2@cache",
            "memcache://u@cache",
            "memcache://cache:port",
            "memcache://cache/hunter2",
            "memcache://cache?hunter2",
            "memcache://[::1]x",
            "memcache://::1",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("memcache://host[:port]"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
