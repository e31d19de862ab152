//! Entries in a file of this machine, over redb: they are still there after a restart.
//!
//! | file | what it owns |
//! |---|---|
//! | `opening`, `on_damage` | the file's lock, and whether it can be trusted |
//! | `store` | the open file, and its being opened anew |
//! | `row`, `state` | the tables: entries and their order; the log |
//! | `operations`, `writes`, `job` | what callers ask for, on its way to the writer |
//! | `writer` | the thread that writes |
//! | `transaction`, `batch`, `changes` | one transaction, and what each operation changes in it |
//! | `reads`, `sweep`, `recent` | looking, freeing, sparing |
//! | `leases` | the loads that are under way |

mod batch;
mod builder;
mod changes;
mod digest;
mod error;
mod job;
mod leases;
mod on_damage;
mod opening;
mod operations;
mod reads;
mod recent;
mod row;
mod state;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;
mod writes;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

pub use builder::DiskProviderBuilder;
pub use on_damage::OnDamage;

use error::away;
use reads::Reads;
use store::Store;
use writer::Message;

use crate::error::Result;
use crate::namespace::Scope;

const NAME: &str = "disk";

/// How many KiB may wait to be written.
const QUEUE_KIB: usize = 64 << 10;

/// Keeps entries in a file of this machine, so that they are still there after a restart.
///
/// The file belongs to one process at a time; [`build`](DiskProviderBuilder::build) refuses one
/// that another has. It is a [redb](https://www.redb.org) database: pure Rust, transactions, one
/// file, a stable format. All handles on one provider share the file, and clones of the provider
/// do.
///
/// ```
/// use cache_core::{Cache, DiskProvider};
///
/// # async fn example(folder: &std::path::Path) -> Result<(), cache_core::Error> {
/// let provider = DiskProvider::builder(folder.join("cache.redb")).build().await?;
/// let cache = Cache::builder(provider.clone()).build()?;
/// cache.set("greeting", "hello").await?;
/// provider.close().await;
///
/// let provider = DiskProvider::open(folder.join("cache.redb")).await?;
/// let cache = Cache::builder(provider.clone()).build()?;
/// assert_eq!(cache.get::<String>("greeting").await?.as_deref(), Some("hello"));
/// # provider.close().await;
/// # Ok(())
/// # }
/// # let folder = std::env::temp_dir().join(format!("cache-core-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example(&folder)).unwrap();
/// # std::fs::remove_dir_all(&folder).unwrap();
/// ```
///
/// # What is atomic
///
/// Every operation on one key, `set_many`, and an invalidation with all its records. One thread
/// writes, so that they have an order; those that wait at one moment share a transaction, and its
/// `fsync`. Readers see the last transaction, and wait for nobody. A future that is dropped before
/// its turn came leaves a write or an invalidation undone, and a loaded value is stored only while
/// its lease stands, which ends with its load.
///
/// # What is durable
///
/// | | on the disk |
/// |---|---|
/// | `set`, `set_many`, `increment`, `expire`, `update` | when the call returns |
/// | `delete`, `invalidate*`, `clear` | when the call returns [`Applied`](crate::Invalidated::Applied) |
/// | values of `get_or_set`, `#[cached]` and the HTTP layer | within a second, or with the next of the above |
/// | what is evicted or swept | likewise |
///
/// Transactions reach the disk in their order. So a crash, or a power cut if the disk keeps its
/// promises, loses some of the values that were loaded last, and nothing else: what was
/// invalidated stays so, and no value that was replaced by `set` comes back. The tags, patterns
/// and namespaces that were invalidated are kept in the same file as the entries; leases are not,
/// so that a load of an earlier run stores nothing.
///
/// [`close`](Self::close) writes all of it. A file that was not closed is looked through when it
/// is opened next.
///
/// # What is bounded
///
/// | | |
/// |---|---|
/// | keys and stored values | [`max_bytes`](DiskProviderBuilder::max_bytes). Over it the oldest go, but for those that have been read lately (CLOCK, with 128 KiB of bits in memory: no read causes a write). A value that is larger is not kept |
/// | the file | 2 to 4 times `max_bytes` in the end, measured with values of 200 bytes to 200 KB: it grows by doubling, and rounds values up to pages of 4 KiB. It does not shrink by itself; [`compact`](Self::compact) leaves 1.3 to 2 times of what there is |
/// | barriers in the file | [`Caps`](crate::log::Caps), and 4,096 records |
/// | memory | the [page cache](DiskProviderBuilder::page_cache_bytes), 64 MiB of writes that wait, the log, and the leases of loads that are under way |
/// | readers | 32 at the same time; others wait |
/// | what a call waits | [`timeout`](DiskProviderBuilder::timeout) for each turn at the disk: an operation takes one, a `set` or `increment` that finds invalidations waiting takes two, a load one for its look and one for its lease |
///
/// What has expired is gone when it is read; a sweep frees it, and what was hidden, in the
/// background. [`Cache::sweep`](crate::Cache::sweep)
/// and [`Cache::usage`](crate::Cache::usage) do and say nothing here; [`size`](Self::size) says how much there is. Times to live go by the machine's clock, also while nobody has the file. The
/// provider's thread ends with its last clone.
///
/// # What happens when something fails
///
/// | | `get_or_set`, `#[cached]`, HTTP | explicit operations | invalidations | afterwards |
/// |---|---|---|---|---|
/// | the disk is full, or the quota, or the largest size of a file is reached | what is stored is shown, the rest computed; while the file is opened anew, all of it | reads go on, but for that moment; writes: [`Unready`](crate::ErrorKind::Unready) | hold here, [`Pending`](crate::Invalidated::Pending) | the file is opened anew at once, which takes as long as reading it, and written again after ten times as long, 1 to 60 s; nothing that was there is lost |
/// | the disk answers with an error | computed | [`Backend`](crate::ErrorKind::Backend) or `Unready` | likewise | likewise |
/// | the disk hangs | computed after `timeout` | [`Timeout`](crate::ErrorKind::Timeout) after it; a write that had not begun is not done. What a `set` had begun is not shown, and its keys are deleted; an `increment`, `expire` or `update` that had begun may be done | likewise, after it | goes on where the disk does |
/// | the process is killed | | | what was `Applied` holds; what was `Pending` is lost | the file is looked through at the next opening |
/// | the file is damaged while nobody has it | | | | the next opening [refuses it, or begins anew](OnDamage), where it can be told: in the log always; an entry is a miss when it is read |
/// | another process has the file | | | | opening fails with `Unready` after 2 s |
///
/// The file is made so that only its user may read and write it. Whoever can write to it, or puts an old copy of it in its place between two runs, can
/// bring back what was invalidated. `Error::source` has what the system said to the one who met it; others who shared
/// the transaction are told the same without it.
#[derive(Clone)]
pub struct DiskProvider(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    reads: Reads,
    writes: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    key_prefix: Box<str>,
    root: Scope,
    timeout: Duration,
}

/// What a [`DiskProvider`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSize {
    /// How many entries there are, those included that cannot be shown any more.
    pub entries: u64,
    /// What their keys and stored values take, which `max_bytes` bounds.
    pub bytes: u64,
    /// What the file takes.
    pub file_bytes: u64,
}

impl DiskProvider {
    /// Opens a file with the defaults; see [`build`](DiskProviderBuilder::build).
    ///
    /// # Errors
    ///
    /// Like [`build`](DiskProviderBuilder::build).
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::builder(path).build().await
    }

    /// Sets up a provider with this file, which is made if it is not there; its folder is not.
    pub fn builder(path: impl Into<PathBuf>) -> DiskProviderBuilder {
        DiskProviderBuilder::new(path.into())
    }

    fn over(
        store: Arc<Store>,
        writes: mpsc::Sender<Message>,
        key_prefix: String,
        timeout: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            reads: Reads::of(&store),
            store,
            writes,
            room: Arc::new(Semaphore::new(QUEUE_KIB)),
            root: Scope::root(&key_prefix),
            key_prefix: key_prefix.into(),
            timeout,
        }))
    }

    /// Brings everything to the disk and closes the file, for all clones: another process can have
    /// it then. Operations afterwards are errors, and loads are computed. Without it the file is
    /// closed when the last clone is dropped, which does not wait for that.
    ///
    /// Dropping the future changes nothing of it.
    pub async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        if self.0.writes.send(Message::Close(answer)).is_ok() {
            // No answer comes from one that has been closed already.
            let _ = closed.await;
        }
    }

    /// Gives the room between the entries back to the disk, and says whether there was any. It
    /// takes time in proportion to the file; nothing can be read or written meanwhile, so that
    /// values are computed after the `timeout`.
    ///
    /// Dropping the future changes nothing of it.
    ///
    /// # Errors
    ///
    /// What the disk answers; nothing is lost then.
    pub async fn compact(&self) -> Result<bool> {
        let (answer, compacted) = oneshot::channel();
        let path = || self.0.store.path().display();
        let sent = self.0.writes.send(Message::Compact(answer));
        let compacted = match sent {
            Ok(()) => compacted.await.unwrap_or_else(|_| Err(away(path()))),
            Err(_) => Err(away(path())),
        };
        compacted.map_err(|error| error.during("compact", NAME))
    }

    /// How much there is.
    ///
    /// # Errors
    ///
    /// What the disk answers.
    pub async fn size(&self) -> Result<DiskSize> {
        let size = self.in_time(self.0.reads.size()).await;
        size.map_err(|error| error.during("size", NAME))
    }
}

impl fmt::Debug for DiskProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskProvider")
            .field("store", &self.0.store)
            .field("log", &self.0.store.log)
            .finish_non_exhaustive()
    }
}
