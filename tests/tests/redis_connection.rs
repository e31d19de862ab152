//! What a URL says to the provider: user, password, database, socket, protocol.

use cache_core::log::Record;
use cache_core::testkit::Nodes;
use cache_core::{Cache, ErrorKind, Provider, RedisProvider};
use cache_tests::redis_node::{
    build, delivered, entry, invalidate, key, node, refused, set, shown, slow, tagged,
};
use cache_tests::redis_server::RedisServer;

fn with(server: &RedisServer, credentials: &str, rest: &str) -> String {
    format!("redis://{credentials}{}{rest}", server.address())
}

/// What the server knows of the connections of clients that go by this name.
fn clients(server: &RedisServer, name: &str) -> Vec<String> {
    let list: String = server.cli(&["CLIENT", "LIST"]);
    let name = format!(" name={name} ");
    let named = list.lines().filter(|line| line.contains(&name));
    named.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_user_of_the_acl_is_logged_in_on_every_connection() {
    let server = RedisServer::start();
    let _: () = server.cli(&[
        "ACL", "SETUSER", "ada", "on", ">p@ss/w", "~*", "&*", "+@all",
    ]);
    let _: () = server.cli(&["ACL", "SETUSER", "default", "resetpass", ">root"]);
    let one = RedisProvider::builder(with(&server, "ada:p%40ss%2Fw@", "")).client_name("ours");
    let one = build(one).await;
    let two = build(slow(RedisProvider::builder(with(&server, ":root@", "")))).await;
    set(&one, &key("x"), tagged(&one, "x", &["t"])).await;
    invalidate(&one, Record::Tag("t".into())).await;
    // By the connection of the tail alone.
    delivered(&one, &two).await;
    assert_eq!(shown(&two, &key("x")).await, None);
}

#[tokio::test]
async fn wrong_credentials_are_a_configuration_error_that_shows_no_password() {
    let server = RedisServer::start();
    let _: () = server.cli(&["ACL", "SETUSER", "ada", "on", ">right", "~*", "+@all"]);
    for url in [
        with(&server, "ada:hunter2@", ""),
        with(&server, "bob:hunter2@", ""),
    ] {
        let error = refused(RedisProvider::builder(url).build().await);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("the user name or the password"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn a_database_is_a_deployment_of_its_own() {
    let server = RedisServer::start();
    let third = build(RedisProvider::builder(with(&server, "", "/3"))).await;
    let same = build(RedisProvider::builder(with(&server, "", "/3"))).await;
    let first = node(&server).await;
    set(&third, &key("x"), tagged(&third, "third", &["t"])).await;
    assert_eq!(shown(&first, &key("x")).await, None);
    set(&first, &key("x"), tagged(&first, "first", &["t"])).await;
    invalidate(&first, Record::Tag("t".into())).await;
    assert_eq!(shown(&third, &key("x")).await.as_deref(), Some("third"));
    invalidate(&third, Record::Tag("t".into())).await;
    delivered(&third, &same).await;
    assert_eq!(shown(&same, &key("x")).await, None);
}

#[tokio::test]
async fn a_database_that_the_server_does_not_have_is_an_error() {
    let server = RedisServer::start_with(&["--databases", "2"]);
    let error = RedisProvider::builder(with(&server, "", "/7"))
        .build()
        .await;
    let error = refused(error);
    assert!(!error.to_string().is_empty(), "{error}");
    assert_ne!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_server_is_reached_by_its_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let server = RedisServer::start_with(&["--unixsocket", socket]);
    let _: () = server.cli(&["ACL", "SETUSER", "ada", "on", ">right", "~*", "&*", "+@all"]);
    let url = format!("unix://{socket}?db=2&user=ada&pass=right");
    let one = build(RedisProvider::builder(url)).await;
    let two = build(RedisProvider::builder(with(&server, "", "/2"))).await;
    set(&one, &key("x"), tagged(&one, "x", &["t"])).await;
    assert_eq!(shown(&two, &key("x")).await.as_deref(), Some("x"));
    invalidate(&two, Record::Tag("t".into())).await;
    delivered(&two, &one).await;
    assert_eq!(shown(&one, &key("x")).await, None);
}

#[tokio::test]
async fn resp3_is_spoken_where_the_url_says_so_and_resp2_elsewhere() {
    let server = RedisServer::start();
    let new = RedisProvider::builder(with(&server, "", "?protocol=resp3")).client_name("new");
    let old = RedisProvider::builder(server.url()).client_name("old");
    let (new, old) = (build(new).await, build(old).await);
    for node in [&new, &old] {
        invalidate(node, Record::Tag("t".into())).await;
        set(node, &key("x"), entry(node, "x")).await;
    }
    delivered(&new, &old).await;
    delivered(&old, &new).await;
    for (name, version) in [("new", "resp=3"), ("old", "resp=2")] {
        let clients = clients(&server, name);
        assert_eq!(clients.len(), 2, "commands and tail: {clients:?}");
        assert!(
            clients.iter().all(|client| client.contains(version)),
            "{clients:?}"
        );
    }
}

#[tokio::test]
async fn a_new_node_reads_the_whole_state_by_resp3() {
    let server = RedisServer::start();
    let one = node(&server).await;
    let tags: Vec<_> = (0..2_500)
        .map(|tag| Record::Tag(tag.to_string().into()))
        .collect();
    one.invalidate(&tags).await.unwrap();
    set(&one, &key("x"), tagged(&one, "x", &["7"])).await;
    invalidate(&one, Record::Tag("7".into())).await;
    let two = build(RedisProvider::builder(with(&server, "", "?protocol=resp3"))).await;
    assert_eq!(two.log().stamp(), one.log().stamp());
    assert_eq!(shown(&two, &key("x")).await, None);
}

async fn resp3_nodes() -> Nodes {
    let server = RedisServer::start();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let node = build(RedisProvider::builder(with(&server, "", "?protocol=resp3"))).await;
        nodes.push(Cache::builder(node).build().expect("the cache is built"));
    }
    Nodes::two(nodes.remove(0), nodes.remove(0)).keeping(server)
}

mod by_resp3 {
    cache_core::conformance!(crate::resp3_nodes());
}
