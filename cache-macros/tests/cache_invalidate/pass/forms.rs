// Results of every kind, also those that have no name and those that nobody could store.
#![deny(warnings)]

use cache_core::{Cache, cache_invalidate};

struct Users {
    cache: Cache,
}

struct Receipt;

impl Users {
    #[cache_invalidate(key_pattern = "users:*", cache = self.cache, namespace = "inner")]
    async fn nothing(&self) {}

    #[cache_invalidate(key_pattern = "users:*", cache = self.cache)]
    async fn unnamed(&self, id: u64) -> impl Iterator<Item = u64> + use<> {
        0..id
    }

    #[cache_invalidate(tags = ["users"], cache = self.cache, before)]
    async fn consumed(self, receipt: Receipt) -> Result<Receipt, Box<dyn std::error::Error>> {
        let _: u8 = "1".parse()?;
        Ok(receipt)
    }

    #[cache_invalidate(key_pattern = "{names}", cache = self.cache)]
    async fn borrowed<'a>(&self, names: &'a [String]) -> Option<&'a String> {
        names.first()
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let users = Users { cache: Cache::memory() };
        users.nothing().await;
        assert_eq!(users.unnamed(3).await.count(), 3);
        assert!(users.borrowed(&[]).await.is_none());
        assert!(users.consumed(Receipt).await.is_ok());
    });
}
