//! What one node says of the cluster.

use std::collections::BTreeMap;

use crate::redis_server::RedisServer;

/// One node's answers to `CLUSTER INFO` and `CLUSTER NODES`.
#[derive(Debug)]
pub(super) struct View {
    info: String,
    members: Vec<Member>,
}

/// A line of `CLUSTER NODES`.
#[derive(Debug)]
pub(super) struct Member {
    id: String,
    flags: Vec<String>,
    is_linked: bool,
    /// First and last slot of each of its ranges.
    slots: Vec<(u16, u16)>,
}

/// What nodes have to agree about.
#[derive(Debug, PartialEq)]
pub(super) struct Role<'a> {
    is_replica: bool,
    is_dead: bool,
    slots: &'a [(u16, u16)],
}

impl View {
    pub(super) fn of(server: &RedisServer) -> Self {
        let nodes: String = server.cli(&["CLUSTER", "NODES"]);
        Self {
            info: server.cli(&["CLUSTER", "INFO"]),
            members: nodes.lines().filter_map(Member::parse).collect(),
        }
    }

    /// All slots are served, as far as this node knows.
    pub(super) fn is_ok(&self) -> bool {
        self.info.contains("cluster_state:ok")
    }

    /// How many nodes, itself included, it has a working link to.
    pub(super) fn acquainted(&self) -> usize {
        let known = |member: &&Member| member.is_linked && !member.is("handshake");
        self.members.iter().filter(known).count()
    }

    pub(super) fn replicas(&self) -> usize {
        let replica = |member: &&Member| member.is("slave");
        self.members.iter().filter(replica).count()
    }

    pub(super) fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Each node's id and what it is.
    pub(super) fn roles(&self) -> BTreeMap<&str, Role<'_>> {
        let members = self.members.iter();
        members.map(|it| (&it.id[..], it.role())).collect()
    }
}

impl Member {
    /// `<id> <address> <flags> <primary> <ping> <pong> <epoch> <link> <slots>…`
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<_> = line.split(' ').collect();
        let (fixed, slots) = fields.split_at_checked(8)?;
        Some(Self {
            id: fixed[0].into(),
            flags: fixed[2].split(',').map(Into::into).collect(),
            is_linked: fixed[7] == "connected",
            slots: slots.iter().filter_map(|text| range(text)).collect(),
        })
    }

    fn role(&self) -> Role<'_> {
        Role {
            is_replica: self.is("slave"),
            is_dead: self.is("fail"),
            slots: &self.slots,
        }
    }

    pub(super) fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|it| it == flag)
    }

    pub(super) fn has(&self, slot: u16) -> bool {
        let within = |&(first, last): &(u16, u16)| (first..=last).contains(&slot);
        self.slots.iter().any(within)
    }

    pub(super) fn has_slots(&self) -> bool {
        !self.slots.is_empty()
    }
}

/// `5` or `5-7`; slots that are on their way stand in brackets, and are not parsed.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}
