//! Which node has which keys.

use std::collections::HashSet;
use std::sync::Arc;

use ::redis::{Value, from_redis_value};
use crc16::{State, XMODEM};

use super::node::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::provider::redis::call::Call;

/// How many slots the keys of a cluster are divided into.
const SLOTS: u16 = 16_384;

const NOBODY: u16 = u16::MAX;

/// The host and the port of a node.
pub(super) type Address = (String, u16);

/// Some slots, and who has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    /// The primary, then its replicas.
    pub(super) nodes: Vec<Address>,
}

/// The nodes that are known, and the slots that they have.
pub(super) struct Map {
    nodes: Vec<Arc<Node>>,
    /// For each slot, the place of its node; or `NOBODY`.
    owners: Box<[u16]>,
}

/// The slot of a key: that of what stands between its first braces, if anything does.
///
/// See "Hash tags" in the Redis Cluster specification.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    let tag = || {
        let open = key.iter().position(|&byte| byte == b'{')? + 1;
        let length = key[open..].iter().position(|&byte| byte == b'}')?;
        (length > 0).then(|| &key[open..open + length])
    };
    State::<XMODEM>::calculate(tag().unwrap_or(key)) % SLOTS
}

/// The slot of the key that decides where a call is sent.
pub(super) fn slot_of_call(call: &Call) -> u16 {
    slot_of(call.key().unwrap_or_default())
}

impl Map {
    /// Nodes of which nothing is known yet.
    pub(super) fn without_owners(nodes: Vec<Arc<Node>>) -> Self {
        Self {
            nodes,
            owners: vec![NOBODY; usize::from(SLOTS)].into(),
        }
    }

    /// The map that these ranges describe, with nodes from `node_at`.
    pub(super) fn of(
        ranges: &[Range],
        mut node_at: impl FnMut(&Address) -> Result<Arc<Node>>,
    ) -> Result<Self> {
        let mut map = Self::without_owners(Vec::new());
        for range in ranges {
            for (rank, address) in range.nodes.iter().enumerate() {
                let place = match map.place_of(address) {
                    Some(place) => place,
                    None => map.add(node_at(address)?),
                };
                if rank == 0 {
                    let slots = usize::from(range.first)..=usize::from(range.last);
                    map.owners[slots].fill(place);
                }
            }
        }
        Ok(map)
    }

    /// This map, with one more node, unless it is there.
    pub(super) fn with(&self, node: Arc<Node>) -> Self {
        let mut map = Self {
            nodes: self.nodes.clone(),
            owners: self.owners.clone(),
        };
        if map.place_of(&node.address).is_none() {
            map.add(node);
        }
        map
    }

    /// This map, but for a slot that has moved to another node.
    pub(super) fn moved(&self, slot: u16, node: Arc<Node>) -> Self {
        let address = node.address.clone();
        let mut map = self.with(node);
        map.owners[usize::from(slot)] = map.place_of(&address).unwrap_or(NOBODY);
        map
    }

    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    pub(super) fn node_at(&self, address: &Address) -> Option<Arc<Node>> {
        let place = self.place_of(address)?;
        Some(Arc::clone(&self.nodes[usize::from(place)]))
    }

    /// The nodes that have slots, by their addresses.
    pub(super) fn primaries(&self) -> Vec<Arc<Node>> {
        let places: HashSet<u16> = self.owners.iter().copied().collect();
        let node = |&place: &u16| self.nodes.get(usize::from(place)).map(Arc::clone);
        let mut nodes: Vec<_> = places.iter().filter_map(node).collect();
        nodes.sort_by(|one, other| one.address.cmp(&other.address));
        nodes
    }

    /// The node that has a slot.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connection`] if no node has been reached yet, [`ErrorKind::Unready`] if none
    /// has the slot.
    pub(super) fn owner(&self, slot: u16) -> Result<Arc<Node>> {
        let place = self.owners[usize::from(slot)];
        if let Some(node) = self.nodes.get(usize::from(place)) {
            return Ok(Arc::clone(node));
        }
        let is_empty = self.owners.iter().all(|&place| place == NOBODY);
        Err(match is_empty {
            true => Error::new(
                ErrorKind::Connection,
                "no node of the cluster has been reached yet",
            ),
            false => Error::new(
                ErrorKind::Unready,
                "no node of the cluster has the key's slot",
            ),
        })
    }

    /// Whether every slot has a node.
    ///
    /// # Errors
    ///
    /// Those of [`owner`](Self::owner) for one that has none.
    pub(super) fn check(&self) -> Result<()> {
        let is_open = |&slot: &u16| self.address_of(slot).is_none();
        match (0..SLOTS).find(is_open) {
            Some(slot) => self.owner(slot).map(drop),
            None => Ok(()),
        }
    }

    /// The slots of this map that belong to another node in the other one, or to none.
    pub(super) fn changes_from(&self, before: &Self) -> Vec<u16> {
        let owned = |&slot: &u16| self.address_of(slot).is_some();
        let changed = |&slot: &u16| self.address_of(slot) != before.address_of(slot);
        (0..SLOTS).filter(owned).filter(changed).collect()
    }

    /// The slots that a node has.
    pub(super) fn slots_of(&self, node: &Node) -> Vec<u16> {
        let theirs = |&slot: &u16| self.address_of(slot) == Some(&node.address);
        (0..SLOTS).filter(theirs).collect()
    }

    fn address_of(&self, slot: u16) -> Option<&Address> {
        let node = self
            .nodes
            .get(usize::from(self.owners[usize::from(slot)]))?;
        Some(&node.address)
    }

    fn place_of(&self, address: &Address) -> Option<u16> {
        let place = self.nodes.iter().position(|node| node.address == *address);
        place.and_then(|place| u16::try_from(place).ok())
    }

    fn add(&mut self, node: Arc<Node>) -> u16 {
        self.nodes.push(node);
        // A cluster has at most as many nodes as slots.
        u16::try_from(self.nodes.len() - 1).unwrap_or(NOBODY)
    }
}

/// What `CLUSTER SLOTS` says. A node that does not know its own host is the one that was asked.
pub(super) fn ranges_from(reply: &Value, asked: &str) -> Option<Vec<Range>> {
    let Value::Array(ranges) = reply else {
        return None;
    };
    ranges
        .iter()
        .map(|range| range_from(range, asked))
        .collect()
}

fn range_from(reply: &Value, asked: &str) -> Option<Range> {
    let Value::Array(parts) = reply else {
        return None;
    };
    let [first, last, nodes @ ..] = &parts[..] else {
        return None;
    };
    let [primary, replicas @ ..] = nodes else {
        return None;
    };
    let (first, last) = (number(first)?, number(last)?);
    let mut nodes = vec![address_from(primary, asked)?];
    let known = |node| address_from(node, asked);
    nodes.extend(replicas.iter().filter_map(known));
    let is_usable = first <= last && last < SLOTS;
    is_usable.then_some(Range { first, last, nodes })
}

fn address_from(reply: &Value, asked: &str) -> Option<Address> {
    let Value::Array(parts) = reply else {
        return None;
    };
    let host: Option<String> = from_redis_value(parts.first()?.clone()).ok()?;
    let host = match host.as_deref() {
        None | Some("") => asked.to_owned(),
        Some("?") => return None,
        Some(host) => host.to_owned(),
    };
    Some((host, number(parts.get(1)?)?))
}

fn number(reply: &Value) -> Option<u16> {
    match reply {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}
