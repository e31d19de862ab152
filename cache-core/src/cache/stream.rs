//! The keys of a scan as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::KeyScan;
use crate::error::Result;
use crate::provider::BoxFuture;

impl KeyScan {
    /// The keys one by one, from the page on that comes next. Needs the feature `stream`.
    ///
    /// ```
    /// use futures_util::StreamExt;
    ///
    /// # async fn example() -> cache_core::Result<()> {
    /// # let cache = cache_core::Cache::memory();
    /// let mut keys = cache.scan_keys("user:*", 100)?.into_stream();
    /// while let Some(key) = keys.next().await {
    ///     println!("{}", key?);
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
    /// ```
    pub fn into_stream(self) -> KeyStream {
        KeyStream {
            page: Vec::new().into_iter(),
            next: Next::Page(self),
        }
    }
}

/// Keys one by one, by [`KeyScan::into_stream`].
///
/// It holds one page, and asks for the next one when that has been taken, so that it is as slow as
/// its reader. What is said of [`KeyScan`] about keys that come, go, or come twice holds here.
///
/// An error of [`KeyScan::next_page`] is the last item: a loop that passes over errors ends, too.
/// Dropping the stream asks for no more.
pub struct KeyStream {
    page: vec::IntoIter<String>,
    next: Next,
}

enum Next {
    Page(KeyScan),
    Asked(BoxFuture<'static, Asked>),
    End,
}

/// The walk, if it goes on, and the page that was asked for.
type Asked = (KeyScan, Result<Option<Vec<String>>>);

async fn ask(mut scan: KeyScan) -> Asked {
    let page = scan.next_page().await;
    (scan, page)
}

impl KeyStream {
    /// Takes in the next page; `None` at the end.
    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        let mut asked = match std::mem::replace(&mut self.next, Next::End) {
            Next::Page(scan) => Box::pin(ask(scan)),
            Next::Asked(asked) => asked,
            Next::End => return Poll::Ready(None),
        };
        let Poll::Ready((scan, page)) = asked.as_mut().poll(context) else {
            self.next = Next::Asked(asked);
            return Poll::Pending;
        };
        Poll::Ready(page.transpose().map(|page| {
            self.page = page?.into_iter();
            self.next = Next::Page(scan);
            Ok(())
        }))
    }
}

impl Stream for KeyStream {
    type Item = Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(key) = self.page.next() {
                return Poll::Ready(Some(Ok(key)));
            }
            match ready!(self.poll_page(context)) {
                Some(Ok(())) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.page.len(), None)
    }
}

impl FusedStream for KeyStream {
    fn is_terminated(&self) -> bool {
        self.page.len() == 0 && matches!(self.next, Next::End)
    }
}

impl fmt::Debug for KeyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStream")
            .field("held", &self.page.len())
            .field("at_end", &matches!(self.next, Next::End))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use futures_util::StreamExt;

    use crate::cache::Cache;
    use crate::testkit::ChaosProvider;

    #[tokio::test]
    async fn a_stream_gives_the_keys_of_the_scan_and_ends() {
        let cache = Cache::memory().namespace("n");
        for key in ["a", "b", "other"] {
            cache.set(key, "v").await.unwrap();
        }
        let mut stream = cache.scan_keys("?", 1).unwrap().into_stream().fuse();
        let mut keys = Vec::new();
        while let Some(key) = stream.next().await {
            keys.push(key.unwrap());
        }
        keys.sort();
        assert_eq!(keys, ["a", "b"]);
        assert!(stream.is_done());
    }

    #[tokio::test]
    async fn an_error_is_the_last_item() {
        let (provider, chaos) = ChaosProvider::remote();
        let cache = Cache::builder(provider).build().unwrap();
        chaos.away(true);
        let mut stream = cache.scan_keys("*", 10).unwrap().into_stream();
        assert!(stream.next().await.unwrap().is_err());
        assert!(stream.next().await.is_none());
    }
}
