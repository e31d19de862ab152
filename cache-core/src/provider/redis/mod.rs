//! Entries on a Redis server.
