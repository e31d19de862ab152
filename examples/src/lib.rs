//! What examples share with their tests.

pub mod shelf;
