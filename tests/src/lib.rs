//! Servers that the whole-stack tests start, and helpers that they share.

pub mod cluster;
pub mod cluster_node;
pub mod command_gate;
pub mod fake_sentinel;
pub mod faults;
pub mod listener;
pub mod memcached_node;
pub mod memcached_server;
pub mod redis_node;
pub mod redis_server;
pub mod replicated;
pub mod sentinels;
pub mod tcp_proxy;
