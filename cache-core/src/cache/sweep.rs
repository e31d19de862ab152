//! What is stored, and freeing at once what nobody may be shown any more.

use super::Cache;
use crate::error::Result;
use crate::provider::Usage;

impl Cache {
    /// Frees what has expired or is hidden in this process's memory, and says how many entries that
    /// were: those of the memory provider, or the copies in the memory tier.
    ///
    /// Nothing depends on it. What has expired or is hidden is not shown, whether it is freed or
    /// not; the memory provider frees what has expired while it is read and written, and its bound
    /// on bytes holds for what is hidden, too. This is for those who want the memory back now, and
    /// for tests: under a manual [`Clock`](crate::Clock) nothing else frees what has expired. On a
    /// Redis server the provider's own sweeper is at work all the time, and on a disk the provider's own
    /// sweep: this frees nothing there.
    ///
    /// Under the machine's clock an entry can be freed about a second after it has expired, and no
    /// earlier; under a manual one at once.
    ///
    /// All namespaces are swept. It takes time in proportion to what is stored: one look at every
    /// entry, then the freeing, a thousand at a time. Dropping the future leaves the rest for
    /// later.
    ///
    /// # Errors
    ///
    /// What a provider of your own answered.
    pub async fn sweep(&self) -> Result<u64> {
        let swept = self.engine().sweep().await;
        swept.map_err(|error| self.during("sweep", error))
    }

    /// What the provider holds, and what has left it by itself: all namespaces together. On a disk
    /// this says nothing; `DiskProvider::size` does.
    pub fn usage(&self) -> Usage {
        self.engine().provider.usage()
    }

    /// What the memory tier holds, and what has left it by itself; `None` if there is no tier. What
    /// leaves it is still on the server.
    pub fn memory_tier_usage(&self) -> Option<Usage> {
        self.engine().near_usage()
    }
}
