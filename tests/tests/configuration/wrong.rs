//! Wrong configurations, each with all that a newcomer is told.

use cache_core::{CacheConfig, ErrorKind, Registry};

/// What is said of a text in YAML, with an empty environment.
async fn told(text: &str) -> String {
    told_with(text, &[]).await
}

async fn told_with(text: &str, environment: &[(&str, &str)]) -> String {
    let builder = CacheConfig::builder().yaml("cache.yaml", text);
    let config = builder.environment(environment.iter().copied()).build();
    refusal(config).await
}

async fn refusal(config: cache_core::Result<CacheConfig>) -> String {
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    let registry = match config {
        Ok(config) => Registry::from_config(config).await,
        Err(error) => Err(error),
    };
    let error = registry.expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
    error.to_string()
}

/// One test for each mistake: the configuration, and the message.
macro_rules! wrong {
    ($($name:ident: $text:expr => $message:expr;)*) => { $(
        #[tokio::test]
        async fn $name() {
            assert_eq!(told($text).await, $message);
        }
    )* };
}

wrong! {
    a_field_that_is_not_known: "defualt_ttl: 10m" => "cache.yaml, line 1: `defualt_ttl`: unknown field, expected one of `default_provider`, `default_ttl`, `key_prefix`, `flight_wait`, `lock_wait`, `distributed_lock`, `codec`, `policy`, `providers`, `namespaces`";
    a_field_of_a_provider_that_is_not_known: "
providers:
  main:
    kind: redis
    url: redis://localhost
    passwort: hunter2
" => "cache.yaml, line 6: `providers.main.passwort`: unknown field, expected one of `url`, `host`, `port`, `user`, `password`, `db`, `tls`, `cluster_nodes`, `sentinels`, `tls_ca`, `tls_certificate`, `tls_key`, `connect_timeout`, `command_timeout`, `heartbeat`, `touch_bound`, `lease_ttl`, `sweep`, `prefix`, `client_name`, `on_failover`, `lazy`, `compression`, `compression_above`, `encryption`";
    a_codec_that_is_not_known: "codec: bson" => "cache.yaml, line 1: `codec`: expected `json`, `messagepack`, `postcard` or `raw`";
    a_codec_of_a_namespace_that_is_not_known: "namespaces: { users: { codec: JSON } }" => "cache.yaml, line 1: `namespaces.users.codec`: expected `json`, `messagepack`, `postcard` or `raw`";
    a_lock_wait_that_leaves_no_time_to_load: "
flight_wait: 2s
lock_wait: 90s
" => "cache.yaml, line 3: `lock_wait`: lock_wait is 90s, and flight_wait 2s; it can be half of that at most, so that there is time left to load";
    an_option_of_a_policy_that_is_not_known: "policy: { stale_while_error: 1m }" => "cache.yaml, line 1: `policy.stale_while_error`: unknown field, expected one of `stale_while_revalidate`, `stale_if_error`, `retry_after`, `early_refresh`, `soft_timeout`, `hard_timeout`, `load_timeout`, `jitter`, `negative_ttl`";
    a_jitter_in_percent: "namespaces: { users: { policy: { jitter: 10 } } }" => "cache.yaml, line 1: `namespaces.users.policy.jitter`: expected a number from 0 to 1, such as `0.1`";
    a_negative_early_refresh: "policy: { early_refresh: -1 }" => "cache.yaml, line 1: `policy.early_refresh`: expected a number that is not negative, such as `1`";
    a_compression_that_is_not_known: "
providers:
  main: { kind: redis, url: redis://localhost, compression: gzip }
" => "cache.yaml, line 3: `providers.main.compression`: expected `zstd` or `lz4`";
    a_threshold_without_a_compression: "
providers:
  main: { kind: redis, url: redis://localhost, compression_above: 4KiB }
" => "cache.yaml, line 3: `providers.main.compression_above`: this needs `compression`, `zstd` or `lz4`";
    an_encryption_key_that_is_a_password: "
providers:
  main:
    kind: redis
    url: redis://localhost
    encryption:
      - { id: 2, key: hunter2 }
" => "cache.yaml, line 6: `providers.main.encryption`: the key 2 is not 64 hexadecimal digits, as `openssl rand -hex 32` prints them";
    an_encryption_without_keys: "
providers:
  main: { kind: redis, url: redis://localhost, encryption: [] }
" => "cache.yaml, line 3: `providers.main.encryption`: expected at least one key; leave the field out to store values as they are";
    a_field_of_another_kind: "
providers:
  main:
    kind: memory
    max_ttl: 10m
" => "cache.yaml, line 5: `providers.main.max_ttl`: unknown field, expected `max_bytes`";
    a_field_of_a_namespace_that_is_not_known: "
namespaces:
  users:
    tll: 10m
" => "cache.yaml, line 4: `namespaces.users.tll`: unknown field, expected one of `ttl`, `provider`, `codec`, `distributed_lock`, `policy`";
    a_field_of_a_disk_that_is_not_known: "
providers:
  main: { kind: disk, file: cache.redb }
" => "cache.yaml, line 3: `providers.main.file`: unknown field, expected one of `path`, `max_bytes`, `timeout`, `sweep`, `prefix`, `on_damage`, `compression`, `compression_above`, `encryption`";
    a_disk_without_a_file: "
providers:
  main: { kind: disk }
" => "cache.yaml, line 3: `providers.main.path`: is missing; expected the file to keep entries in";
    a_disk_with_an_empty_path: "
providers:
  main: { kind: disk, path: '' }
" => "cache.yaml, line 3: `providers.main.path`: is missing; expected the file to keep entries in";
    a_disk_that_may_keep_nothing: "
providers:
  main:
    kind: disk
    path: cache.redb
    max_bytes: 0
" => "cache.yaml, line 6: `providers.main.max_bytes`: expected a number of bytes, or of `KiB`, `MiB` or `GiB`, such as `64MiB`";
    a_disk_whose_damage_is_to_be_overlooked: "
providers:
  main: { kind: disk, path: cache.redb, on_damage: ignore }
" => "cache.yaml, line 3: `providers.main.on_damage`: expected `refuse` or `start_empty`";
    a_disk_that_never_answers_in_time: "
providers:
  main: { kind: disk, path: cache.redb, timeout: 0 }
" => "cache.yaml, line 3: `providers.main`: build on disk: the timeout is zero, so no disk could answer in time";
    a_disk_in_a_folder_that_is_not_there: "
providers:
  main: { kind: disk, path: /no/such/folder/cache.redb }
" => "cache.yaml, line 3: `providers.main`: build on disk: the file `/no/such/folder/cache.redb` cannot be opened; it needs a folder that is there, and in which this program may make, read and write it";
    a_field_for_the_kind_that_takes_none: "
providers:
  none:
    kind: null
    max_bytes: 1
" => "cache.yaml, line 5: `providers.none.max_bytes`: unknown field, there is none but `kind`";
    a_duration_with_an_unknown_unit: "default_ttl: 10 minutes" => "cache.yaml, line 1: `default_ttl`: expected a number of seconds, or of `ms`, `s`, `m`, `h` or `d`, such as `10m` or `1h30m`, or `never`";
    a_duration_with_a_fraction: "
namespaces:
  users: { ttl: 1.5h }
" => "cache.yaml, line 3: `namespaces.users.ttl`: expected a number of seconds, or of `ms`, `s`, `m`, `h` or `d`, such as `10m` or `1h30m`, or `never`";
    a_time_to_live_of_zero: "default_ttl: 0" => "cache.yaml, line 1: `default_ttl`: expected more than zero; write `never` for no limit, and use a provider of the kind `null` to keep nothing";
    a_size_with_an_unknown_unit: "
providers:
  main: { kind: memory, max_bytes: 64MB }
" => "cache.yaml, line 3: `providers.main.max_bytes`: expected a number of bytes, or of `KiB`, `MiB` or `GiB`, such as `64MiB`";
    a_duration_that_is_a_list: "default_ttl: [10m]" => "cache.yaml, line 1: `default_ttl`: expected one text, such as `10m` or `64MiB`, or a whole number";
    a_port_that_is_a_text: "
providers:
  main: { kind: redis, host: localhost, port: hunter2 }
" => "cache.yaml, line 3: `providers.main.port`: expected a whole number";
    a_port_that_is_too_large: "
providers:
  main: { kind: redis, host: localhost, port: 70000 }
" => "cache.yaml, line 3: `providers.main.port`: expected a whole number from 0 to 65535";
    a_truth_value_that_is_none: "
providers:
  main: { kind: redis, host: localhost, lazy: perhaps }
" => "cache.yaml, line 3: `providers.main.lazy`: expected `true` or `false`";
    a_list_that_is_a_text: "
providers:
  main: { kind: redis, url: redis://mymaster, sentinels: 'redis://:hunter2@10.0.0.1' }
" => "cache.yaml, line 3: `providers.main.sentinels`: expected a list, such as `[one, two]`";
    an_unknown_kind: "
providers:
  main:
    kind: redsi
" => "cache.yaml, line 4: `providers.main.kind`: there is no provider kind `redsi`; there are `disk`, `memcached`, `memory`, `null`, `redis`, `tiered`";
    a_section_without_a_kind: "
providers:
  main:
    url: redis://:hunter2@localhost
" => "cache.yaml, line 3: `providers.main.kind`: expected the kind of the provider, such as `memory`, `redis`, `tiered` or `null`";
    an_empty_kind: "
providers:
  main:
    kind:
" => "cache.yaml, line 4: `providers.main.kind`: expected the kind of the provider, such as `memory`, `redis`, `tiered` or `null`";
    a_provider_that_is_no_section: "
providers:
  main: redis
" => "cache.yaml, line 3: `providers.main`: expected the fields of a provider: `kind`, and what that takes";
    providers_that_are_a_list: "
providers:
  - kind: memory
" => "cache.yaml, line 2: `providers`: expected a section for each provider, under the name that you give it";
    an_address_that_is_missing: "
providers:
  main:
    kind: redis
    client_name: shop
" => "cache.yaml, line 3: `providers.main`: the address of the server is missing; expected `url`, `host`, or `cluster_nodes`";
    an_address_that_is_given_twice: "
providers:
  main:
    kind: redis
    url: redis://localhost
    password: hunter2
" => "cache.yaml, line 6: `providers.main.password`: the address is given twice; say it in `url`, or in `host`, `port`, `user`, `password`, `db` and `tls`";
    a_part_of_an_address_without_a_host: "
providers:
  main:
    kind: redis
    port: 6380
" => "cache.yaml, line 5: `providers.main.port`: this is a part of an address without a `host`; add that, or write all of it as `url`";
    a_url_of_another_scheme: "
providers:
  main:
    kind: redis
    url: http://:hunter2@localhost
" => "cache.yaml, line 3: `providers.main`: build on redis: the Redis URL cannot be used: expected redis[s]://[user:password@]host[:port][/database][?protocol=resp3] or unix:///path/of/the/socket[?db=…&user=…&pass=…&protocol=resp3]";
    a_field_of_memcached_that_is_not_known: "
providers:
  main:
    kind: memcached
    host: localhost
    password: hunter2
" => "cache.yaml, line 6: `providers.main.password`: unknown field, expected one of `url`, `host`, `port`, `connect_timeout`, `command_timeout`, `heartbeat`, `touch_bound`, `lease_ttl`, `log_bytes`, `prefix`, `lazy`, `compression`, `compression_above`, `encryption`";
    a_memcached_without_an_address: "
providers:
  main:
    kind: memcached
    lazy: true
" => "cache.yaml, line 3: `providers.main`: the address of the server is missing; expected `url` or `host`";
    a_memcached_whose_address_is_given_twice: "
providers:
  main:
    kind: memcached
    url: memcache://localhost
    port: 11211
" => "cache.yaml, line 6: `providers.main.port`: the address is given twice; say it in `url`, or in `host` and `port`";
    a_memcached_whose_host_is_missing: "
providers:
  main:
    kind: memcached
    port: 11211
" => "cache.yaml, line 5: `providers.main.port`: this is a part of an address without a `host`; add that, or write all of it as `url`";
    a_memcached_url_with_a_password: "
providers:
  main:
    kind: memcached
    url: memcache://user:hunter2@localhost
" => "cache.yaml, line 3: `providers.main`: build on memcached: the memcached URL cannot be used: expected memcache://host[:port]";
    a_log_of_memcached_without_room: "
providers:
  main:
    kind: memcached
    host: localhost
    log_bytes: 1KiB
" => "cache.yaml, line 3: `providers.main`: build on memcached: log_bytes is 1024; 8192 to 524288 are possible";
    a_failover_that_is_not_known: "
providers:
  main:
    kind: redis
    host: localhost
    on_failover: keep
" => "cache.yaml, line 6: `providers.main.on_failover`: expected `hide` or `reappend`";
    a_heartbeat_that_is_too_slow: "
providers:
  main:
    kind: redis
    host: localhost
    heartbeat: 10s
" => "cache.yaml, line 3: `providers.main`: build on redis: touch_bound must be longer than heartbeat, or the provider loses touch between two of them";
    a_certificate_that_is_not_there: "
providers:
  main:
    kind: redis
    host: localhost
    tls: true
    tls_ca: /nowhere/ca.pem
" => "cache.yaml, line 7: `providers.main.tls_ca`: the file `/nowhere/ca.pem` cannot be read: No such file or directory (os error 2); expected one in PEM";
    a_certificate_without_its_key: "
providers:
  main:
    kind: redis
    host: localhost
    tls: true
    tls_certificate: client.pem
" => "cache.yaml, line 7: `providers.main.tls_certificate`: this needs `tls_key`, the file with its private key";
    a_tier_in_front_of_nothing: "
providers:
  main:
    kind: tiered
" => "cache.yaml, line 3: `providers.main.remote`: is missing; expected the name of the provider behind the tier";
    a_tier_in_front_of_an_unknown_provider: "
providers:
  main: { kind: tiered, remote: shared }
  sharde: { kind: redis, host: localhost }
" => "cache.yaml, line 3: `providers.main.remote`: there is no provider `shared`; there is `sharde`";
    a_tier_in_front_of_memory: "
providers:
  main: { kind: tiered, remote: local }
  local: { kind: memory }
" => "cache.yaml, line 3: `providers.main.remote`: `local` is of the kind `memory`; a memory tier belongs in front of a remote provider: add one, such as a section with `kind: redis`";
    a_tier_in_front_of_memcached: "
providers:
  main: { kind: tiered, remote: shared }
  shared: { kind: memcached, host: localhost }
" => "cache.yaml, line 3: `providers.main.remote`: `shared` is of the kind `memcached`, which tells nobody what has changed, so that copies in memory would go stale; use it without a tier";
    two_tiers_in_front_of_one_provider: "
default_provider: one
providers:
  one: { kind: tiered, remote: shared }
  two: { kind: tiered, remote: shared }
  shared: { kind: redis, host: localhost }
" => "cache.yaml, line 5: `providers.two.remote`: there is a memory tier in front of `shared` already: `one`; use that one";
    a_default_provider_that_is_not_there: "
default_provider: mian
providers:
  main: { kind: memory }
  off: { kind: null }
" => "cache.yaml, line 2: `default_provider`: there is no provider `mian`; there are `main`, `off`";
    several_providers_and_no_default: "
providers:
  main: { kind: memory }
  off: { kind: null }
" => "cache.yaml, line 2: `default_provider`: is missing, and there are several providers to choose from; there are `main`, `off`";
    a_namespace_on_a_provider_that_is_not_there: "
providers:
  main: { kind: memory }
namespaces:
  users:
    provider: redis
" => "cache.yaml, line 6: `namespaces.users.provider`: there is no provider `redis`; there is `main`";
    an_empty_key_prefix: "key_prefix: ''" => "cache.yaml, line 1: `key_prefix`: a key prefix has 1 to 128 bytes, not 0";
    a_variable_that_is_not_set: "
providers:
  main:
    kind: redis
    password: ${REDIS_SECRET}
" => "cache.yaml, line 5: `providers.main.password`: the environment variable REDIS_SECRET is not set; set it, or give a default: `${REDIS_SECRET:default}`";
    a_variable_that_is_not_closed: "key_prefix: ${NAME" => "cache.yaml, line 1: `key_prefix`: `${` has no `}`; write `${NAME}` or `${NAME:default}`, and `$${` for the characters themselves";
    a_default_as_in_a_shell: "key_prefix: ${NAME:-shop}" => "cache.yaml, line 1: `key_prefix`: the default of `NAME` begins with `-`, as in a shell; write `${NAME:default}`";
    a_text_that_is_not_yaml: "
providers:
  main: { kind: redis, password: hunter2
" => "cache.yaml, line 4: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'";
    a_field_that_is_given_twice: "
default_ttl: 10m
default_ttl: 20m
" => "cache.yaml, line 3: this is not YAML: duplicated key in mapping";
    a_file_that_is_a_list: "- default_ttl" => "cache.yaml, line 1: expected fields, each as `name: value`, such as `default_ttl: 10m`";
}

#[tokio::test]
async fn a_wrong_variable_is_named() {
    let environment = [("CACHE_DEFAULT_TTL", "soon")];
    assert_eq!(
        told_with("", &environment).await,
        "environment variable CACHE_DEFAULT_TTL: `default_ttl`: expected a number of seconds, or of `ms`, `s`, `m`, `h` or `d`, such as `10m` or `1h30m`, or `never`"
    );
}

#[tokio::test]
async fn a_wrong_part_of_an_address_in_the_environment_is_named() {
    let environment = [("REDIS_HOST", "localhost"), ("REDIS_PORT", "hunter2")];
    assert_eq!(
        told_with("", &environment).await,
        "environment variable REDIS_PORT: `providers.redis.port`: expected a whole number"
    );
}

#[tokio::test]
async fn an_address_in_the_environment_that_could_be_for_two_is_refused() {
    let text = "
providers:
  one: { kind: redis, host: a }
  two: { kind: redis, host: b }
";
    let environment = [("REDIS_URL", "redis://:hunter2@localhost")];
    assert_eq!(
        told_with(text, &environment).await,
        "environment variable REDIS_URL: `providers`: it is not clear which provider this is about: `one`, `two`; name one of them `redis`, or refer to the variable in its section"
    );
}

#[tokio::test]
async fn toml_is_told_of_in_the_same_words() {
    let told = async |text: &str| {
        let builder = CacheConfig::builder().toml("cache.toml", text);
        refusal(builder.environment([("A", "b")]).build()).await
    };
    assert_eq!(
        told("[providers.main]\nkind = \"redis\"\npasswort = \"hunter2\"\n").await,
        "cache.toml, line 3: `providers.main.passwort`: unknown field, expected one of `url`, `host`, `port`, `user`, `password`, `db`, `tls`, `cluster_nodes`, `sentinels`, `tls_ca`, `tls_certificate`, `tls_key`, `connect_timeout`, `command_timeout`, `heartbeat`, `touch_bound`, `lease_ttl`, `sweep`, `prefix`, `client_name`, `on_failover`, `lazy`, `compression`, `compression_above`, `encryption`"
    );
    assert_eq!(
        told("[providers.main]\npassword = hunter2\n").await,
        "cache.toml, line 2: this is not TOML: string values must be quoted, expected literal string"
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_or_of_no_known_format_is_named() {
    assert_eq!(
        refusal(CacheConfig::from_file("/nowhere/cache.yaml")).await,
        "/nowhere/cache.yaml: the file cannot be read: No such file or directory (os error 2)"
    );
    assert_eq!(
        refusal(CacheConfig::from_file("/nowhere/cache.ini")).await,
        "/nowhere/cache.ini: the name of the file does not tell its format; expected `.yaml`, `.yml` or `.toml`"
    );
}

#[test]
fn a_text_that_is_nested_without_end_is_refused() {
    let depth = 100_000;
    for open in ["[", "{a: ", "- "] {
        let text = format!("a: \n  {}", open.repeat(depth));
        let config = CacheConfig::builder().yaml("cache.yaml", text).build();
        assert_eq!(config.unwrap_err().kind(), ErrorKind::Configuration);
    }
    for text in [
        format!("a = {}", "[".repeat(depth)),
        format!("[{}a]", "a.".repeat(depth)),
    ] {
        let config = CacheConfig::builder().toml("cache.toml", text).build();
        assert_eq!(config.unwrap_err().kind(), ErrorKind::Configuration);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "([a-z_]{1,9}|[\\[\\]{}:,&*!|>'\"$#%=. \n\t-]|kind|providers|\\PC){0,60}") {
        for builder in [
            CacheConfig::builder().yaml("cache.yaml", &text),
            CacheConfig::builder().toml("cache.toml", &text),
        ] {
            let read = builder.environment([("A", &text)]).build();
            if let Err(error) = read {
                assert_eq!(error.kind(), ErrorKind::Configuration);
            }
        }
    }
}
