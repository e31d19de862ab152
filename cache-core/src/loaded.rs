//! What a load answers: a value, and the terms of this very result.

use crate::terms::{EntryOptions, Ttl};

/// A loaded value with terms of its own, which come before those of the call.
///
/// A loader that has nothing to say about them returns the value alone.
///
/// ```
/// use cache_core::{Cache, Loaded};
/// use std::time::Duration;
///
/// # async fn example() -> Result<(), cache_core::LoadError<std::io::Error>> {
/// # let cache = Cache::memory();
/// let page: String = cache
///     .get_or_load("page", || async {
///         let (body, max_age) = ("text".to_owned(), 30);
///         Ok(Loaded::new(body).ttl(Duration::from_secs(max_age)).tag("pages"))
///     })
///     .await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Loaded<T> {
    value: T,
    ttl: Option<Ttl>,
    tags: Vec<Box<str>>,
}

impl<T> Loaded<T> {
    /// A value under the terms of the call.
    pub fn new(value: T) -> Self {
        Self {
            value,
            ttl: None,
            tags: Vec::new(),
        }
    }

    /// How long this result is fresh, in place of the call's time to live and of
    /// [`Policy::negative_ttl`](crate::Policy::negative_ttl). With a time to live of zero it is not stored.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// No limit in time.
    pub fn no_ttl(self) -> Self {
        self.ttl(Ttl::Never)
    }

    /// Adds a tag to those of the call. Limits: [`EntryOptions::tag`].
    pub fn tag(mut self, tag: impl Into<Box<str>>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds several tags.
    pub fn tags<I>(mut self, tags: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<Box<str>>,
    {
        self.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    pub(crate) fn into_value(self) -> T {
        self.value
    }

    /// The value, and the call's options with what this result says in their place.
    pub(crate) fn over(self, options: EntryOptions) -> (T, EntryOptions) {
        let options = options.tags(self.tags);
        let options = match self.ttl {
            Some(ttl) => options.of_result(ttl),
            None => options,
        };
        (self.value, options)
    }
}

impl<T> From<T> for Loaded<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}
