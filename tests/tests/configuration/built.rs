//! Right configurations, and what is built of them.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use cache_core::config::{HumanDuration, Section};
use cache_core::testkit::Gate;
use cache_core::{Cache, CacheConfig, MemoryProvider, Registry, Ttl};
use cache_tests::memcached_server::MemcachedServer;
use cache_tests::redis_server::RedisServer;

async fn registry(text: &str, environment: &[(&str, &str)]) -> Registry {
    let builder = CacheConfig::builder().yaml("cache.yaml", text);
    let config = builder.environment(environment.iter().copied()).build();
    let registry = Registry::from_config(config.expect("a configuration")).await;
    registry.expect("a registry")
}

/// How long the cache keeps what is stored without a time to live.
async fn kept(cache: &Cache) -> Ttl {
    cache.set("k", "v").await.unwrap();
    cache.get_ttl("k").await.unwrap().expect("it is stored")
}

async fn assert_kept(cache: &Cache, seconds: u64) {
    let Ttl::After(kept) = kept(cache).await else {
        panic!("a limited time to live");
    };
    let expected = Duration::from_secs(seconds);
    assert!(
        kept <= expected && kept + Duration::from_secs(5) > expected,
        "{kept:?}"
    );
}

#[tokio::test]
async fn without_settings_there_are_the_ready_made_caches_in_memory() {
    let registry = registry("", &[]).await;
    assert_eq!(registry.default_cache().provider_name(), "memory");
    let ready = [
        ("confirmation", 300),
        ("rate_limit", 3_600),
        ("session", 86_400),
        ("signup", 1_800),
        ("temp", 60),
    ];
    assert!(registry.names().eq(ready.map(|(name, _)| name)));
    for (name, seconds) in ready {
        assert_kept(&registry.cache(name).unwrap(), seconds).await;
    }
    assert_kept(&registry.default_cache(), 300).await;
}

#[tokio::test]
async fn the_manual_has_a_configuration_that_can_be_built() {
    let server = RedisServer::start();
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let (_, rest) = manual.split_once("```yaml\n").expect("an example in YAML");
    let (yaml, rest) = rest.split_once("```").unwrap();
    let (_, rest) = rest.split_once("```toml\n").expect("one in TOML");
    let (toml, _) = rest.split_once("```").unwrap();
    let port = server.port().to_string();
    let environment = [("REDIS_PORT", &*port), ("REDIS_HOST", "127.0.0.1")];
    for builder in [
        CacheConfig::builder().yaml("cache.yaml", yaml),
        CacheConfig::builder().toml("cache.toml", toml),
    ] {
        let config = builder.environment(environment).build().unwrap();
        let registry = Registry::from_config(config).await.unwrap();
        let users = registry.cache("users").unwrap();
        assert_kept(&users, 3_600).await;
        assert_eq!(users.provider_name(), "redis");
        assert_eq!(registry.cache("drafts").unwrap().provider_name(), "memory");
        assert_eq!(registry.cache("reports").unwrap().provider_name(), "null");
        assert_kept(&registry.cache("session").unwrap(), 43_200).await;
        assert_eq!(
            kept(&registry.cache("countries").unwrap()).await,
            Ttl::Never
        );
        assert_kept(&registry.default_cache(), 600).await;
    }
    let keys: Vec<String> = server.cli(&["KEYS", "shop:users:*"]);
    assert_eq!(keys, ["shop:users:k"]);
    let clients: String = server.cli(&["CLIENT", "LIST"]);
    assert!(clients.contains("name=shop-web"), "{clients}");
}

#[tokio::test]
async fn a_tier_and_what_is_behind_it_are_one_cache() {
    let server = RedisServer::start();
    let text = "
providers:
  near: { kind: tiered, remote: far, max_bytes: 8MiB, max_ttl: 1m, serve_while_away: 5s }
  far: { kind: redis, url: '${URL}' }
";
    let registry = registry(text, &[("URL", &server.url())]).await;
    let (near, far) = (registry.default_cache(), registry.provider("far").unwrap());
    near.set("k", "v").await.unwrap();
    assert!(near.get::<String>("k").await.unwrap().is_some());
    let asked = server.calls_of("mget") + server.calls_of("get");
    assert!(near.get::<String>("k").await.unwrap().is_some());
    assert_eq!(
        server.calls_of("mget") + server.calls_of("get"),
        asked,
        "from memory"
    );
    far.delete("k").await.unwrap();
    assert_eq!(near.get::<String>("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_disk_keeps_what_it_was_given_for_the_next_registry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.redb");
    let environment = [("FILE", path.to_str().unwrap())];
    let text = "
key_prefix: shop
providers:
  main: { kind: disk, path: '${FILE}', max_bytes: 8MiB, timeout: 5s, sweep: never, on_damage: start_empty, compression: lz4, compression_above: 16 }
  near: { kind: tiered, remote: main, max_bytes: 1MiB }
";
    for expected in [None, Some("v".to_owned())] {
        let cache = registry(text, &environment).await.default_cache();
        assert_eq!(cache.provider_name(), "disk");
        assert_eq!(cache.get::<String>("k").await.unwrap(), expected);
        cache.set("k", "v").await.unwrap();
        let large = "secret".repeat(100);
        cache.set("large", &large).await.unwrap();
        assert_eq!(cache.get("large").await.unwrap(), Some(large));
    }
    let file = std::fs::read(path).unwrap();
    let file = String::from_utf8_lossy(&file);
    assert!(!file.contains("secretsecretsecret"), "compressed");
}

#[tokio::test]
async fn a_memcached_is_built_of_its_url_or_of_its_parts() {
    let server = MemcachedServer::start();
    let address = server.address();
    let port = address.rsplit(':').next().unwrap();
    for address in [
        format!("url: '{}'", server.url()),
        format!("host: 127.0.0.1, port: {port}"),
    ] {
        let text = format!(
            "
key_prefix: shop
providers:
  main: {{ kind: memcached, {address}, connect_timeout: 5s, command_timeout: 5s, heartbeat: 1s, touch_bound: 20s, lease_ttl: 5s, log_bytes: 16KiB, lazy: false }}
"
        );
        let cache = registry(&text, &[]).await.default_cache();
        assert_eq!(cache.provider_name(), "memcached");
        assert_kept(&cache, 300).await;
        assert!(server.item("shop::k").is_some());
        cache.delete("k").await.unwrap();
    }
}

#[tokio::test]
async fn the_environment_alone_is_enough_for_redis() {
    let server = RedisServer::start();
    let port = server.port().to_string();
    let parts = [
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &*port),
        ("REDIS_DB", "2"),
    ];
    for environment in [&parts[..], &[("REDIS_URL", &format!("{}/2", server.url()))]] {
        let registry = registry("", environment).await;
        let cache = registry.default_cache();
        assert_eq!(cache.provider_name(), "redis");
        cache.set("k", "v").await.unwrap();
        let keyspace: String = server.cli(&["INFO", "keyspace"]);
        assert!(keyspace.contains("db2:"), "{keyspace}");
        cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_password_is_taken_as_it_is_written() {
    let password = "0123#: {%}@/é";
    let server = RedisServer::start_with(&["--requirepass", password]);
    let port = server.port().to_string();
    let text = "
providers:
  main: { kind: redis, host: 127.0.0.1, port: '${PORT}', password: '${SECRET}' }
";
    let registry = registry(text, &[("PORT", &port), ("SECRET", password)]).await;
    registry.default_cache().set("k", "v").await.unwrap();
    assert!(!format!("{registry:?}").contains("0123"), "{registry:?}");
}

#[tokio::test]
async fn what_comes_later_counts_more() {
    let kept_with = async |environment: &[(&str, &str)]| {
        let builder = CacheConfig::builder()
            .yaml(
                "base.yaml",
                "{ default_ttl: 10s, namespaces: { a: { ttl: 20s }, b: {} } }",
            )
            .toml(
                "local.toml",
                "default_ttl = \"30s\"\n[namespaces.a]\nttl = 40\n",
            );
        let config = builder
            .environment(environment.iter().copied())
            .build()
            .unwrap();
        Registry::from_config(config).await.unwrap()
    };
    let registry = kept_with(&[]).await;
    assert_kept(&registry.cache("a").unwrap(), 40).await;
    assert_kept(&registry.cache("b").unwrap(), 30).await;
    let registry = kept_with(&[("CACHE_DEFAULT_TTL", "1h"), ("CACHE_KEY_PREFIX", "p")]).await;
    assert_kept(&registry.cache("b").unwrap(), 3_600).await;
    assert!(format!("{:?}", registry.default_cache()).contains("\"p:\""));
}

#[tokio::test]
async fn a_variable_has_a_default_and_an_empty_one_counts_as_not_set() {
    let text = "default_ttl: ${A:50}s\nkey_prefix: $${x}${B:}y\n";
    for environment in [&[][..], &[("A", "")]] {
        let registry = registry(text, environment).await;
        assert_kept(&registry.default_cache(), 50).await;
        assert!(format!("{:?}", registry.default_cache()).contains("%24%7Bx%7Dy:"));
    }
    assert_kept(&registry(text, &[("A", "70")]).await.default_cache(), 70).await;
}

#[tokio::test]
async fn a_kind_of_ones_own_is_chosen_from_the_file() {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shelf {
        boards: u64,
        patience: HumanDuration,
    }
    let build = async |text: &str| {
        let shelf = async |section: Section| {
            let shelf: Shelf = section.read()?;
            if shelf.boards > 9 {
                return Err(section.error("boards", "a shelf has 9 boards at most"));
            }
            assert_eq!(shelf.patience.0, Duration::from_secs(5));
            Ok(MemoryProvider::new())
        };
        let none: [(&str, &str); 0] = [];
        let config = CacheConfig::builder()
            .yaml("cache.yaml", text)
            .environment(none);
        let builder = Registry::builder().kind("shelf", shelf);
        builder.build(config.build().unwrap()).await
    };
    let registry = build("providers: { a: { kind: shelf, boards: 3, patience: 5s } }").await;
    registry
        .unwrap()
        .default_cache()
        .set("k", "v")
        .await
        .unwrap();

    let message = async |text: &str| build(text).await.unwrap_err().to_string();
    assert_eq!(
        message("providers: { a: { kind: shelf, boards: 12, patience: 5s } }").await,
        "cache.yaml, line 1: `providers.a.boards`: a shelf has 9 boards at most"
    );
    assert_eq!(
        message("providers: { a: { kind: shlef } }").await,
        "cache.yaml, line 1: `providers.a.kind`: there is no provider kind `shlef`; there are `disk`, `memcached`, `memory`, `null`, `redis`, `shelf`, `tiered`"
    );
}

#[tokio::test]
async fn a_kind_that_is_there_cannot_be_replaced() {
    let none: [(&str, &str); 0] = [];
    let config = CacheConfig::builder().environment(none).build().unwrap();
    let builder = Registry::builder().kind("memory", async |_| Ok(MemoryProvider::new()));
    let error = builder.build(config).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is a provider kind `memory` already; choose another name"
    );
}

#[tokio::test]
async fn a_name_that_is_not_there_is_an_error_with_those_that_are() {
    let registry = registry("namespaces: { users: {} }", &[]).await;
    let error = registry.cache("user").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no cache `user`; there are `confirmation`, `rate_limit`, `session`, `signup`, `temp`, `users`"
    );
    let error = registry.provider("redis").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no provider `redis`; there is `memory`"
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_no_mistake_in_the_file() {
    let text = "providers: { main: { kind: redis, host: 127.0.0.1, port: 1 } }";
    let none: [(&str, &str); 0] = [];
    let config = CacheConfig::builder()
        .yaml("cache.yaml", text)
        .environment(none);
    let error = Registry::from_config(config.build().unwrap())
        .await
        .unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with("cache.yaml, line 1: `providers.main`: "),
        "{error}"
    );
}

/// The bytes that stand on the server at the only key that matches.
fn stored(server: &RedisServer, pattern: &str) -> Vec<u8> {
    let keys: Vec<String> = server.cli(&["KEYS", pattern]);
    assert_eq!(keys.len(), 1, "{keys:?}");
    server.cli(&["GET", &keys[0]])
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn values_are_written_compressed_and_encrypted_as_configured() {
    let server = RedisServer::start();
    let key = "0f".repeat(32);
    let text = format!(
        "
default_provider: plain
codec: messagepack
providers:
  plain: {{ kind: redis, url: '{url}', prefix: plain }}
  small: {{ kind: redis, url: '{url}', prefix: small, compression: zstd, compression_above: 100 }}
  sealed:
    kind: redis
    url: '{url}'
    prefix: sealed
    encryption: [{{ id: 2, key: {key} }}, {{ id: 1, key: {other} }}]
namespaces:
  json: {{ codec: json }}
  small: {{ provider: small }}
  sealed: {{ provider: sealed }}
",
        url = server.url(),
        other = "A1".repeat(32),
    );
    let registry = registry(&text, &[]).await;
    let value = vec!["abc".to_owned(); 50];
    for name in ["json", "small", "sealed"] {
        let cache = registry.cache(name).unwrap();
        cache.set("k", &value).await.unwrap();
        assert_eq!(cache.get("k").await.unwrap(), Some(value.clone()), "{name}");
    }
    registry.default_cache().set("k", &value).await.unwrap();
    let message_pack = b"\xa3abc\xa3abc";
    assert!(contains(
        &stored(&server, "plain:json:k"),
        br#"["abc","abc","#
    ));
    assert!(contains(&stored(&server, "plain::k"), message_pack));
    let small = stored(&server, "small:small:k");
    assert!(
        small.len() < 160 && !contains(&small, message_pack),
        "{}",
        small.len()
    );
    let sealed = stored(&server, "sealed:sealed:k");
    assert!(sealed.len() > 250 && !contains(&sealed, b"abc"));
}

/// How long somebody takes who wants a key that another process is loading, until he loads himself.
async fn waits(text: &str, name: &str) -> Duration {
    let one = registry(text, &[]).await.cache(name).unwrap();
    let other = registry(text, &[]).await.cache(name).unwrap();
    let (gate, held) = Gate::new();
    let first = tokio::spawn(async move {
        let load = || async {
            held.pass().await;
            Ok::<_, Infallible>(())
        };
        one.get_or_set("k", load).await
    });
    gate.entered().await;
    let began = Instant::now();
    let load = || async { Ok::<_, Infallible>(()) };
    other.get_or_set("k", load).await.unwrap();
    let waited = began.elapsed();
    gate.open();
    first.await.unwrap().unwrap();
    waited
}

#[tokio::test]
async fn another_processs_load_is_waited_for_where_that_is_configured() {
    let server = RedisServer::start();
    let text = format!(
        "
flight_wait: 60s
lock_wait: 900ms
distributed_lock: true
providers:
  main: {{ kind: redis, url: '{}' }}
namespaces:
  alone: {{ distributed_lock: false }}
",
        server.url()
    );
    let lock_wait = Duration::from_millis(900);
    assert!(waits(&text, "temp").await >= lock_wait);
    assert!(waits(&text, "alone").await < lock_wait);
}

#[tokio::test]
async fn policies_are_those_of_all_with_the_options_of_the_namespace_changed() {
    let text = "
policy: { stale_if_error: 1h, jitter: 0, early_refresh: 1.5, retry_after: 0 }
namespaces:
  all: { ttl: 1s }
  none: { ttl: 1s, policy: { stale_if_error: 0 } }
  other: { ttl: 1h, policy: { jitter: 1.0, negative_ttl: 5s } }
";
    let registry = registry(text, &[]).await;
    let call = async |cache: &Cache, result: Result<u8, &'static str>| {
        cache.get_or_set("k", || async move { result }).await
    };
    let (all, none) = (
        registry.cache("all").unwrap(),
        registry.cache("none").unwrap(),
    );
    for cache in [&all, &none] {
        assert_eq!(call(cache, Ok(1)).await, Ok(1));
    }
    // The only clock that a configuration has.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(call(&all, Err("no")).await, Ok(1));
    assert_eq!(call(&none, Err("no")).await, Err("no"));

    let other = registry.cache("other").unwrap();
    let load = || async { Ok::<_, Infallible>(None::<u8>) };
    assert_eq!(other.get_or_set("absent", load).await, Ok(None));
    let Some(Ttl::After(left)) = other.get_ttl("absent").await.unwrap() else {
        panic!("a limited time to live");
    };
    assert!(left <= Duration::from_secs(5), "{left:?}");
    // With a jitter of 1 no two of ten are likely to live as long.
    let mut spans = std::collections::BTreeSet::new();
    for key in 0..10 {
        let key = key.to_string();
        other.set(&key, "v").await.unwrap();
        spans.extend(match other.get_ttl(&key).await.unwrap() {
            Some(Ttl::After(left)) => Some(left.as_secs() / 60),
            _ => None,
        });
    }
    assert!(spans.len() > 2, "{spans:?}");
}
