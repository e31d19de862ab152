//! The quick start as a user starts it.

use std::net::TcpListener;
use std::process::{Command, Output};

use cache_tests::redis_server::RedisServer;

fn quickstart(arguments: &[&str], redis_url: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command.args(arguments).env_remove("REDIS_URL");
    command.envs(redis_url.map(|url| ("REDIS_URL", url)));
    command.output().unwrap()
}

#[track_caller]
fn assert_fails_with(output: &Output, message: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(message), "{said}");
}

#[track_caller]
fn assert_shows_what_it_should(demo: &Output) {
    let table = String::from_utf8_lossy(&demo.stdout);
    assert!(demo.status.success(), "{table}");
    assert_eq!(table.matches("  yes\n").count(), 9, "{table}");
}

#[test]
fn the_demo_shows_what_it_should_in_memory() {
    assert_shows_what_it_should(&quickstart(&["--demo"], None));
}

#[test]
fn the_demo_shows_what_it_should_on_redis_and_again_on_what_it_left_there() {
    let redis = RedisServer::start();
    for _ in 0..2 {
        assert_shows_what_it_should(&quickstart(&["--demo"], Some(&redis.url())));
    }
}

#[test]
fn a_redis_that_is_not_there_ends_it_with_a_message() {
    let output = quickstart(&["--demo"], Some("redis://127.0.0.1:1"));
    assert_fails_with(&output, "REDIS_URL does not lead to a cache");
    assert_fails_with(&output, "127.0.0.1:1");
}

#[test]
fn an_unknown_flag_ends_it_with_those_that_exist() {
    assert_fails_with(
        &quickstart(&["--dmeo"], None),
        "--demo, --port N and --help",
    );
}

#[test]
fn a_port_that_is_taken_ends_it_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_fails_with(&quickstart(&["--port", &port], None), "--port N");
}
