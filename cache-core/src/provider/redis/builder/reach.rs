//! How the server is reached that the settings name: alone, by sentinels, or as a cluster.

use std::collections::HashSet;

use ::redis::{Client, ConnectionInfo};

use super::RedisProviderBuilder;
use crate::error::Result;
use crate::provider::redis::address;
use crate::provider::redis::error::{configuration, from_redis};
use crate::provider::redis::sentinels::Sentinels;
use crate::provider::redis::server::Server;

impl RedisProviderBuilder {
    pub(super) fn server(&self) -> Result<Server> {
        let info = self.connection(&self.url)?;
        #[cfg(feature = "redis-cluster")]
        if let Some(others) = &self.cluster_nodes {
            return self.cluster(info, others);
        }
        let sentinels = self.watchers(&info)?;
        Server::new(info, sentinels, self.bounds, self.clock.clone())
    }

    #[cfg(feature = "redis-cluster")]
    fn cluster(&self, info: ConnectionInfo, others: &[String]) -> Result<Server> {
        if self.sentinels.is_some() {
            return Err(configuration(
                "`cluster_nodes` and `sentinels` do not go together: a cluster promotes replicas by itself",
            ));
        }
        let others = others.iter().map(|url| self.connection(url));
        let seeds: Vec<_> = std::iter::once(Ok(info))
            .chain(others)
            .collect::<Result<_>>()?;
        seeds.iter().try_for_each(address::check_cluster_node)?;
        Server::cluster(&seeds, self.bounds, self.clock.clone())
    }

    fn connection(&self, url: &str) -> Result<ConnectionInfo> {
        let info = address::parse(url, self.bounds.touch)?;
        #[cfg(feature = "tls")]
        let info = self.tls.secure(info)?;
        Ok(info)
    }

    fn watchers(&self, info: &ConnectionInfo) -> Result<Option<Sentinels>> {
        let Some(urls) = &self.sentinels else {
            return Ok(None);
        };
        if urls.is_empty() {
            return Err(configuration("there is no sentinel in `sentinels`"));
        }
        let client = |url: &String| Client::open(self.connection(url)?).map_err(from_redis);
        let clients: Vec<_> = urls.iter().map(client).collect::<Result<_>>()?;
        refuse_duplicates(&clients)?;
        let name = address::primary_name(info)?;
        Ok(Some(Sentinels::new(name, clients, self.bounds.command)))
    }
}

fn refuse_duplicates(sentinels: &[Client]) -> Result<()> {
    let addresses = sentinels
        .iter()
        .map(|sentinel| sentinel.get_connection_info().addr());
    let different: HashSet<_> = addresses.map(ToString::to_string).collect();
    if different.len() == sentinels.len() {
        return Ok(());
    }
    let message = "a sentinel is listed twice in `sentinels`; its answer would count twice";
    Err(configuration(message))
}
