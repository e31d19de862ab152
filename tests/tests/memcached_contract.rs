//! Every promise on memcached: conformance and the race table, on one node and on two.

use cache_core::testkit::Nodes;
use cache_tests::memcached_node::{cache, node};
use cache_tests::memcached_server::MemcachedServer;

/// The checks store a value of 1 MiB, which is a little more than a server takes by default.
fn server() -> MemcachedServer {
    MemcachedServer::start_with(&["-I", "2m"])
}

async fn one_node() -> Nodes {
    let server = server();
    Nodes::one(cache(node(&server).await)).keeping(server)
}

async fn two_nodes() -> Nodes {
    let server = server();
    let (one, other) = (node(&server).await, node(&server).await);
    Nodes::two(cache(one), cache(other)).keeping(server)
}

mod on_one_node {
    mod conformance {
        cache_core::conformance!(crate::one_node());
    }

    mod race {
        cache_core::race_table!(crate::one_node());
    }
}

mod on_two_nodes {
    mod conformance {
        cache_core::conformance!(crate::two_nodes());
    }

    mod race {
        cache_core::race_table!(crate::two_nodes());
    }
}
