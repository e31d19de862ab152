//! The race table on Redis: on one node, and with another node that invalidates.

use cache_core::Cache;
use cache_core::testkit::Nodes;
use cache_tests::redis_node::node;
use cache_tests::redis_server::RedisServer;

async fn cache(server: &RedisServer) -> Cache {
    let builder = Cache::builder(node(server).await);
    builder.build().expect("the cache is built")
}

async fn one_node() -> Nodes {
    let server = RedisServer::start();
    Nodes::one(cache(&server).await).keeping(server)
}

async fn two_nodes() -> Nodes {
    let server = RedisServer::start();
    Nodes::two(cache(&server).await, cache(&server).await).keeping(server)
}

mod on_one_node {
    use super::one_node;

    cache_core::race_table!(one_node());
}

mod on_two_nodes {
    use super::two_nodes;

    cache_core::race_table!(two_nodes());
}
