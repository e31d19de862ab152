//! Entries in the memory of this process, over moka.
