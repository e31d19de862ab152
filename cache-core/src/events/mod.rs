//! What happens to entries without its reader's doing, as a stream that anybody may follow.
//!
//! Whoever tells of an event may hold locks, so the event is set aside until they are given back
//! (see `deferred`), and the hub that hands it on never waits: who reads too slowly misses some.

mod event;
mod hub;
mod subscription;

pub(crate) use event::Told;
pub use event::{EntryKey, Event, InvalidatedBy};
pub(crate) use hub::Hub;
pub use hub::MAX_EVENTS;
pub use subscription::Events;
