//! What the nodes of a deployment talk to, and what breaks.

use cache_core::{RedisProvider, RedisProviderBuilder};

use super::{Fault, NODES};
use crate::cluster::Cluster;
use crate::redis_server::RedisServer;
use crate::sentinels::{NAME, Watched};
use crate::tcp_proxy::TcpProxy;

/// The servers of a deployment, and the network to them.
pub(super) enum Machines {
    /// One server, and a proxy before it for each node.
    Server(RedisServer, Vec<TcpProxy>),
    /// A primary, its replica, and sentinels.
    Watched(Watched),
    /// Three primaries and their replicas.
    Cluster(Cluster),
}

/// Which machines there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Server,
    Watched,
    Cluster,
}

impl Machines {
    pub(super) fn start(fault: Fault) -> Self {
        match fault.setup() {
            Setup::Server => {
                let server = RedisServer::start_with(fault.server_arguments());
                let proxy = |_| TcpProxy::start(server.address());
                let proxies = (0..NODES).map(proxy).collect();
                Self::Server(server, proxies)
            }
            Setup::Watched => Self::Watched(Watched::start()),
            Setup::Cluster => Self::Cluster(Cluster::start_replicated()),
        }
    }

    /// The way of a node to the server.
    pub(super) fn provider(&self, node: usize) -> RedisProviderBuilder {
        match self {
            Self::Server(_, proxies) => {
                RedisProvider::builder(format!("redis://{}", proxies[node].address()))
            }
            Self::Watched(watched) => {
                RedisProvider::builder(format!("redis://{NAME}")).sentinels(watched.urls())
            }
            Self::Cluster(cluster) => {
                let urls = cluster.urls();
                RedisProvider::builder(&urls[0]).cluster_nodes(&urls[1..])
            }
        }
    }
}
