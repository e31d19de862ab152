//! A list that only grows, and is read without locks.

use std::sync::OnceLock;

/// A handful of things that are made once each and stay. Looking through them waits for nobody.
#[derive(Debug)]
pub(crate) struct Chain<T>(OnceLock<Box<Link<T>>>);

#[derive(Debug)]
struct Link<T> {
    item: T,
    rest: Chain<T>,
}

impl<T> Chain<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The first item that fits; if there is none, one that `make` makes, which must fit.
    ///
    /// `make` is called once, or a few times if several threads add at one moment.
    pub(crate) fn find_or_add(&self, fits: impl Fn(&T) -> bool, make: impl Fn() -> T) -> &T {
        let mut chain = self;
        loop {
            let link = chain.0.get_or_init(|| {
                Box::new(Link {
                    item: make(),
                    rest: Self::new(),
                })
            });
            if fits(&link.item) {
                return &link.item;
            }
            chain = &link.rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn each_item_is_made_once_and_stays() {
        let chain = Chain::new();
        let made = AtomicUsize::new(0);
        let find = |wanted: u8| {
            chain.find_or_add(
                |item| *item == wanted,
                || {
                    made.fetch_add(1, Ordering::SeqCst);
                    wanted
                },
            )
        };
        let (first, second) = (find(1), find(2));
        assert_eq!((*first, *second), (1, 2));
        assert!(std::ptr::eq(first, find(1)) && std::ptr::eq(second, find(2)));
        assert_eq!(made.load(Ordering::SeqCst), 2);
    }
}
