//! Redis Cluster: many servers, each with some of the keys.
//!
//! The redis crate's own cluster client hides which server carried a call out, repeats what may
//! have been carried out already, and knows no pipelines across nodes. Here each node has a
//! [`Link`](super::link::Link) as a single server has: with its clock, which deadlines are moments
//! of, its scripts and its breaker. `map.rs` knows which node has a key, `route.rs` sends calls
//! there, `survey.rs` asks beside the heartbeat how the nodes are.

mod map;
mod node;
mod route;
mod survey;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ::redis::{Client, ConnectionInfo, Value};

use super::address::at;
use super::call::Call;
use super::error::from_redis;
use super::link::read;
use super::server::Bounds;
use super::server_time::ServerTime;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use map::{Address, Map, slot_of};
use node::Node;

/// Bits of a scan's cursor that are the node's own; those above say which node it is.
const CURSOR_BITS: u32 = 48;

/// The nodes of one cluster; clones share them.
#[derive(Clone)]
pub(super) struct Cluster {
    shared: Arc<Shared>,
    /// Whether calls are sent although a node's breaker is open.
    probes: bool,
}

struct Shared {
    /// How every node is reached, but for its address.
    info: ConnectionInfo,
    bounds: Bounds,
    clock: Clock,
    seeds: Vec<Arc<Node>>,
    map: RwLock<Arc<Map>>,
    /// The slots that have come to another server since its predecessor was told what to delete.
    unsettled: Mutex<HashSet<u16>>,
}

impl Cluster {
    /// The cluster that these are nodes of. Does not connect.
    pub(super) fn new(seeds: &[ConnectionInfo], bounds: Bounds, clock: Clock) -> Result<Self> {
        let node = |info: &ConnectionInfo| Node::new(info.clone(), &bounds, &clock);
        let nodes: Vec<_> = seeds.iter().map(node).collect::<Result<_>>()?;
        Ok(Self {
            shared: Arc::new(Shared {
                info: seeds[0].clone(),
                bounds,
                clock,
                map: RwLock::new(Arc::new(Map::without_owners(nodes.clone()))),
                seeds: nodes,
                unsettled: Mutex::default(),
            }),
            probes: false,
        })
    }

    pub(super) fn probing(&self) -> Self {
        Self {
            probes: true,
            ..self.clone()
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.shared.bounds.command
    }

    pub(super) fn reconnect(&self, key: &str) {
        if let Ok(node) = self.owner(key) {
            node.link.primary.reconnect();
        }
    }

    /// Whether it is known which node has this key.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.owner(key).is_ok()
    }

    pub(super) fn client(&self, key: &str) -> Result<Client> {
        let node = self.owner(key)?;
        node.link.primary.client().map_err(from_redis)
    }

    pub(super) fn leads_to(&self, client: &Client, key: &str) -> bool {
        let owner = self.owner(key);
        owner.is_ok_and(|node| node.link.primary.is(client))
    }

    pub(super) fn time(&self, key: &str) -> Option<Arc<ServerTime>> {
        self.owner(key).ok()?.link.time()
    }

    /// Goes through the nodes by their addresses. The cursor of a node has room below the number
    /// of the node.
    pub(super) async fn scan(
        &self,
        cursor: u64,
        step: impl Fn(u64) -> Call,
    ) -> Result<(u64, Vec<Vec<u8>>)> {
        let (number, within) = (cursor >> CURSOR_BITS, cursor & ((1 << CURSOR_BITS) - 1));
        let nodes = self.map().primaries();
        let Some(node) = usize::try_from(number).ok().and_then(|at| nodes.get(at)) else {
            return Ok((0, Vec::new()));
        };
        let replies = node
            .calls(&[step(within)], self.until(), self.probes)
            .await?;
        let (next, keys) = read(replies.into_iter().next().unwrap_or(Value::Nil))?;
        let is_last = number + 1 == nodes.len() as u64;
        match next {
            0 if is_last => Ok((0, keys)),
            0 => Ok(((number + 1) << CURSOR_BITS, keys)),
            next if next >> CURSOR_BITS == 0 => Ok((number << CURSOR_BITS | next, keys)),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "a node's cursor is too long to scan a cluster by",
            )),
        }
    }

    fn map(&self) -> Arc<Map> {
        let map = self.shared.map.read();
        Arc::clone(&map.unwrap_or_else(PoisonError::into_inner))
    }

    /// The node that has this key.
    fn owner(&self, key: &str) -> Result<Arc<Node>> {
        self.map().owner(slot_of(key.as_bytes()))
    }

    /// The node at an address: the one that is known, or a new one, which is known from now on.
    fn node_at(&self, address: &Address) -> Result<Arc<Node>> {
        if let Some(node) = self.map().node_at(address) {
            return Ok(node);
        }
        let (host, port) = address.clone();
        let info = at(&self.shared.info, host, port);
        let node = Node::new(info, &self.shared.bounds, &self.shared.clock)?;
        self.change(|map| map.with(Arc::clone(&node)));
        Ok(node)
    }

    fn change(&self, change: impl FnOnce(&Map) -> Map) {
        let map = self.shared.map.write();
        let mut map = map.unwrap_or_else(PoisonError::into_inner);
        *map = Arc::new(change(&map));
    }

    fn unsettle(&self, slots: impl IntoIterator<Item = u16>) {
        let unsettled = self.shared.unsettled.lock();
        unsettled
            .unwrap_or_else(PoisonError::into_inner)
            .extend(slots);
    }
}
