//! Our glob matcher against the server's own, on random patterns and keys.

use std::sync::Mutex;

use cache_core::Pattern;
use cache_tests::redis_server::RedisServer;
use proptest::prelude::*;
use redis::Connection;

/// A server whose opinion counts.
struct Oracle {
    connection: Mutex<Connection>,
    _server: RedisServer,
}

impl Oracle {
    fn start() -> Self {
        let server = RedisServer::start();
        Self {
            connection: Mutex::new(server.connect().expect("a connection")),
            _server: server,
        }
    }

    /// Whether the server finds `key`, its only one, by `pattern`.
    fn matches(&self, pattern: &str, key: &str) -> bool {
        let mut connection = self.connection.lock().unwrap();
        let (_, _, (_, found)): ((), (), (u64, Vec<Vec<u8>>)) = redis::pipe()
            .cmd("FLUSHDB")
            .cmd("SET")
            .arg(key)
            .arg("x")
            .cmd("SCAN")
            .arg(0)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(1_000)
            .query(&mut connection)
            .expect("the server's answer");
        found == [key.as_bytes()]
    }
}

/// Pieces that patterns are made of, the awkward ones more often than chance would have it.
fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[ab]",
        2 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        1 => "\\\\[ab*?\\[\\]^\\\\-]",
        2 => "\\[\\^?[abc^-]{0,4}\\]",
        1 => "\\[[abc]-[abc\\]^]\\]?\\]",
        1 => "\\[\\^?(\\\\[ab\\]\\\\-]|[abc]){1,3}\\]",
        1 => "[\\]^é-]",
    ];
    proptest::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat())
}

/// Keys are never empty: the server has its own opinion of `**` on nothing.
fn key() -> impl Strategy<Value = String> {
    "([abc]|[*?\\[\\]^\\\\é-]){1,6}"
}

#[test]
fn a_pattern_matches_what_it_matches_on_a_real_server() {
    let oracle = Oracle::start();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&(pattern(), key()), |(source, key)| {
        let Ok(pattern) = Pattern::new(source.clone()) else {
            return Err(TestCaseError::reject("not a complete pattern"));
        };
        prop_assert_eq!(
            pattern.matches(&key),
            oracle.matches(&source, &key),
            "{} on {}",
            source,
            key
        );
        Ok(())
    });
    outcome.unwrap();
}
