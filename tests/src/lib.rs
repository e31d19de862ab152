//! Servers that the whole-stack tests start, and helpers that they share.
