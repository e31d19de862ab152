//! TLS to a real server: its certificate, the client's, and what goes wrong with either.

use std::error::Error as _;
use std::fs;
use std::time::{Duration, Instant};

use cache_core::testkit::eventually;
use cache_core::{Error, ErrorKind, Provider, RedisProvider, RedisProviderBuilder};
use cache_tests::redis_node::{
    build, delivered, entry, invalidate, key, key_record, refused, set, shown,
};
use cache_tests::redis_server::{RedisServer, free_port};
use cache_tests::sentinels::{NAME, Watched};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority that vouches for servers and clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "the tests' authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn vouch_for(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        Identity {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A server that speaks TLS, and asks its clients for certificates.
struct SecureServer {
    _plain: RedisServer,
    port: u16,
    _files: TempDir,
}

impl SecureServer {
    fn start(authority: &Authority, clients: &str) -> Self {
        let (files, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut arguments = vec!["--tls-port".into(), port.to_string()];
        for (name, value) in settings(authority, "localhost", clients, &files) {
            arguments.extend([format!("--{name}"), value]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let plain = RedisServer::start_with(&arguments);
        Self {
            _plain: plain,
            port,
            _files: files,
        }
    }

    fn builder(&self) -> RedisProviderBuilder {
        RedisProvider::builder(format!("rediss://localhost:{}", self.port))
            .connect_timeout(Duration::from_secs(5))
    }
}

/// How a server comes to speak TLS under a name, by files of its own.
fn settings(
    authority: &Authority,
    name: &str,
    clients: &str,
    files: &TempDir,
) -> Vec<(&'static str, String)> {
    let identity = authority.vouch_for(name);
    let file = |name: &str, content: &str| {
        let path = files.path().join(name);
        fs::write(&path, content).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    vec![
        ("tls-auth-clients", clients.into()),
        ("tls-ca-cert-file", file("ca.pem", &authority.pem())),
        ("tls-cert-file", file("server.pem", &identity.certificate)),
        ("tls-key-file", file("server.key", &identity.key)),
    ]
}

async fn refusal(builder: RedisProviderBuilder) -> Error {
    refused(builder.build().await)
}

/// All that an error says, down to its first cause.
fn told(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

#[tokio::test]
async fn nodes_share_entries_and_invalidations_over_tls() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, "no");
    let one = build(server.builder().tls_ca(authority.pem())).await;
    let two = build(server.builder().tls_ca(authority.pem())).await;
    set(&one, &key("x"), entry(&one, "secret")).await;
    assert_eq!(shown(&two, &key("x")).await.as_deref(), Some("secret"));
    invalidate(&one, key_record(&key("x"))).await;
    delivered(&one, &two).await;
    assert_eq!(shown(&two, &key("x")).await, None);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_clients() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, "yes");
    let Identity { certificate, key } = authority.vouch_for("client");
    let builder = server.builder().tls_ca(authority.pem());
    let one = build(builder.clone().tls_client(certificate, key)).await;
    set(&one, "cache:n:x", entry(&one, "secret")).await;
    assert_eq!(shown(&one, "cache:n:x").await.as_deref(), Some("secret"));

    let stranger = Authority::new().vouch_for("client");
    let stranger = builder
        .clone()
        .tls_client(stranger.certificate, stranger.key);
    for builder in [builder, stranger] {
        let error = refusal(builder).await;
        assert_eq!(error.kind(), ErrorKind::Connection, "{}", told(&error));
    }
}

#[tokio::test]
async fn a_server_that_no_trusted_authority_vouches_for_is_refused() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, "no");
    let stranger = Authority::new().pem();
    for builder in [server.builder(), server.builder().tls_ca(stranger)] {
        let error = refusal(builder).await;
        assert_eq!(error.kind(), ErrorKind::Connection);
        let told = told(&error);
        assert!(told.contains("no terms on TLS"), "{told}");
        assert!(told.contains("invalid peer certificate"), "{told}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, "no");
    let url = format!("rediss://127.0.0.1:{}", server.port);
    let error = refusal(RedisProvider::builder(url).tls_ca(authority.pem())).await;
    let told = told(&error);
    assert!(told.contains("not valid for name"), "{told}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_an_error_within_the_connect_timeout() {
    let server = RedisServer::start();
    let url = server.url().replace("redis://", "rediss://");
    let builder = RedisProvider::builder(url).tls_ca(Authority::new().pem());
    let began = Instant::now();
    let error = refusal(builder.connect_timeout(Duration::from_millis(300))).await;
    assert!(error.is_retryable(), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_plain_url_to_a_port_that_speaks_tls_is_an_error() {
    let server = SecureServer::start(&Authority::new(), "no");
    let url = format!("redis://localhost:{}", server.port);
    let error = refusal(RedisProvider::builder(url)).await;
    assert_eq!(error.kind(), ErrorKind::Connection, "{}", told(&error));
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_before_anything_is_sent() {
    let authority = Authority::new();
    let Identity { certificate, key } = authority.vouch_for("client");
    let other_key = authority.vouch_for("client").key;
    let nowhere = || RedisProvider::builder("rediss://localhost:1").lazy();
    for (builder, reason) in [
        (nowhere().tls_ca(""), "no certificate in the PEM"),
        (nowhere().tls_ca(key.clone()), "no certificate in the PEM"),
        (nowhere().tls_client("", key.clone()), "no certificate"),
        (nowhere().tls_client(certificate.clone(), ""), "private key"),
        (
            nowhere().tls_client(certificate.clone(), other_key),
            "do not fit",
        ),
        (
            RedisProvider::builder("redis://localhost:1").tls_ca(authority.pem()),
            "rediss:// URL only",
        ),
    ] {
        let error = refusal(builder).await;
        assert_eq!(error.kind(), ErrorKind::Configuration, "{reason}");
        assert!(error.to_string().contains(reason), "{error}");
        let shown = format!("{error:?}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    }
}

#[tokio::test]
async fn a_failover_is_followed_over_tls_to_sentinels_and_servers() {
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let settings = settings(&authority, "127.0.0.1", "no", &files);
    let watched = Watched::start_over_tls(&settings);
    let builder = RedisProvider::builder(format!("rediss://{NAME}"))
        .sentinels(watched.tls_urls())
        .heartbeat(Duration::from_millis(100));
    let one = build(builder.clone().tls_ca(authority.pem())).await;
    set(&one, &key("x"), entry(&one, "old")).await;
    let old = one.log().stamp().incarnation();
    watched.fail_over();
    let arrived = || one.log().stamp().incarnation() != old;
    eventually("the node goes over to the promoted replica", arrived).await;
    set(&one, &key("x"), entry(&one, "new")).await;
    assert_eq!(watched.replica.cli::<u64>(&["EXISTS", &key("x")]), 1);
    assert_eq!(shown(&one, &key("x")).await.as_deref(), Some("new"));

    let stranger = builder.tls_ca(Authority::new().pem());
    let told = told(&refusal(stranger).await);
    assert!(told.contains("invalid peer certificate"), "{told}");
}
