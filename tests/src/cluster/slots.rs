//! Slots: where a key lies, and moving what lies in one to another primary.

use std::ops::Range;

use redis::{Cmd, cmd};

use super::Cluster;

/// How many slots there are.
pub const SLOTS: u16 = 16_384;

/// How long one step of a move may block a server, in milliseconds.
const MIGRATION_MILLIS: u64 = 5_000;

/// A slot on its way from one primary to another, to be looked at between the steps. While it is
/// under way, the source sends whoever asks for a key that it no longer has to the target (`ASK`).
#[derive(Debug)]
pub struct SlotMove<'a> {
    cluster: &'a Cluster,
    slot: u16,
    from: usize,
    to: usize,
}

/// The slot of a key: CRC16 (XMODEM) of what stands in the first `{…}` that is not empty, or of all.
pub fn slot_of(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let hashed = match tag {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    };
    hashed.bytes().fold(0, crc16) % SLOTS
}

impl Cluster {
    /// The node that has the slot of `key`.
    ///
    /// # Panics
    ///
    /// If no node that runs claims it.
    pub fn owner_of(&self, key: &str) -> usize {
        self.owner_of_slot(slot_of(key))
    }

    /// The node that has a slot.
    ///
    /// # Panics
    ///
    /// If no node that runs claims it.
    pub fn owner_of_slot(&self, slot: u16) -> usize {
        let claims = |node: &usize| {
            let view = self.nodes[*node].is_up().then(|| self.view(*node));
            view.is_some_and(|view| self.member(&view, *node).is_some_and(|it| it.has(slot)))
        };
        let owner = (0..self.nodes.len()).find(claims);
        owner.unwrap_or_else(|| panic!("no node that runs has slot {slot}"))
    }

    /// A key that `node` has: `prefix` and a number.
    ///
    /// # Panics
    ///
    /// If `node` has no slots.
    pub fn key_on(&self, node: usize, prefix: &str) -> String {
        let view = self.view(node);
        let member = self.member(&view, node).expect("the node itself");
        (0..u32::from(SLOTS))
            .map(|number| format!("{prefix}{number}"))
            .find(|key| member.has(slot_of(key)))
            .expect("a key in a slot of the node")
    }

    /// Moves a slot, with all that lies in it, to the primary `to`.
    ///
    /// # Panics
    ///
    /// If `to` has it already, or a server refuses.
    pub fn move_slot(&self, slot: u16, to: usize) {
        self.begin_move(slot, to).finish();
    }

    /// Moves those of the slots to the primary `to` that it does not have.
    ///
    /// # Panics
    ///
    /// If a server refuses.
    pub fn move_slots(&self, slots: Range<u16>, to: usize) {
        for slot in slots {
            if self.owner_of_slot(slot) != to {
                self.move_slot(slot, to);
            }
        }
    }

    /// Announces that a slot moves to the primary `to`. Nothing has moved yet.
    ///
    /// # Panics
    ///
    /// If `to` has it already, or a server refuses.
    pub fn begin_move(&self, slot: u16, to: usize) -> SlotMove<'_> {
        let from = self.owner_of_slot(slot);
        assert_ne!(from, to, "slot {slot} is there already");
        self.set_slot(to, slot, "IMPORTING", from);
        self.set_slot(from, slot, "MIGRATING", to);
        SlotMove {
            cluster: self,
            slot,
            from,
            to,
        }
    }

    fn set_slot(&self, told: usize, slot: u16, state: &str, other: usize) {
        let (slot, other) = (slot.to_string(), &self.nodes[other].id);
        self.tell(told, &["CLUSTER", "SETSLOT", &slot, state, other]);
    }
}

impl SlotMove<'_> {
    /// The primary that gives the slot away.
    pub fn source(&self) -> usize {
        self.from
    }

    /// Moves up to `count` of the keys in the slot: how many it was.
    ///
    /// # Panics
    ///
    /// If a server refuses.
    pub fn carry(&self, count: usize) -> usize {
        let keys = self.keys(count);
        if !keys.is_empty() {
            self.migrate(&keys);
        }
        keys.len()
    }

    /// Moves one key.
    ///
    /// # Panics
    ///
    /// If the source does not have it, or a server refuses.
    pub fn carry_key(&self, key: &str) {
        let moved = self.migrate(&[key.into()]);
        assert_eq!(moved, "OK", "{key} moves");
    }

    /// Moves what is left, makes the target the owner, and waits until all nodes that run know.
    ///
    /// # Panics
    ///
    /// If a server refuses, or that takes more than 30 seconds.
    pub fn finish(self) {
        while self.carry(1_000) > 0 {}
        let others =
            (0..self.cluster.nodes.len()).filter(|&node| node != self.to && node != self.from);
        for node in [self.to, self.from].into_iter().chain(others) {
            if self.cluster.is_primary(node) {
                self.cluster.set_slot(node, self.slot, "NODE", self.to);
            }
        }
        self.cluster
            .wait_for("all know the slot's new owner", |views| {
                let owner = |view| self.cluster.member(view, self.to);
                views
                    .iter()
                    .all(|view| owner(view).is_some_and(|it| it.has(self.slot)))
            });
    }

    fn keys(&self, count: usize) -> Vec<Vec<u8>> {
        let mut command = cmd("CLUSTER");
        command.arg("GETKEYSINSLOT").arg(self.slot).arg(count);
        self.ask_source(&command)
    }

    /// `OK`, or `NOKEY` if none of the keys is there.
    fn migrate(&self, keys: &[Vec<u8>]) -> String {
        let mut command = cmd("MIGRATE");
        let port = self.cluster.server(self.to).port();
        command.arg("127.0.0.1").arg(port).arg("").arg(0);
        command.arg(MIGRATION_MILLIS).arg("KEYS").arg(keys);
        self.ask_source(&command)
    }

    fn ask_source<T: redis::FromRedisValue>(&self, command: &Cmd) -> T {
        let connection = self.cluster.server(self.from).connect();
        let reply = connection.and_then(|mut connection| command.query(&mut connection));
        reply.unwrap_or_else(|error| panic!("moving slot {}: {error}", self.slot))
    }
}

fn crc16(crc: u16, byte: u8) -> u16 {
    let step = |crc: u16, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 };
    (0..8).fold(crc ^ (u16::from(byte) << 8), step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_checksum_of_what_stands_in_braces() {
        // From Redis's cluster specification: the CRC16 of "123456789" is 0x31C3.
        assert_eq!(slot_of("123456789"), 0x31C3 % SLOTS);
        assert_eq!(slot_of("a{123456789}b{c}"), 0x31C3 % SLOTS);
        assert_eq!(slot_of("{}123"), "{}123".bytes().fold(0, crc16) % SLOTS);
    }
}
