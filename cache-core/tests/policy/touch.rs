//! A node that has lost touch does not know what was invalidated, and shows nothing stale.

use std::convert::Infallible;

use cache_core::testkit::ChaosProvider;
use cache_core::{Clock, Provider};

use crate::*;

async fn load(cache: &Cache, fails: bool) -> Option<u8> {
    let load = move || async move {
        match fails {
            true => Err("no"),
            false => Ok(Loaded::new(1).ttl(TICK)),
        }
    };
    cache.get_or_load(KEY, load).await.ok()
}

#[tokio::test]
async fn what_is_stale_is_not_shown_out_of_touch() {
    let (provider, _chaos) = ChaosProvider::out_of_touch();
    let (log, clock) = (provider.log().clone(), Clock::system());
    let policy = forgiving().stale_while_revalidate(SECOND * 30);
    let cache = Cache::builder(provider).policy(policy).build().unwrap();
    let until = clock.now().saturating_add(SECOND);
    log.touched(until);
    assert_eq!(load(&cache, false).await, Some(1));
    tokio::time::sleep(TICK * 2).await;
    assert_eq!(load(&cache, true).await, Some(1), "it is in touch");
    eventually("it has lost touch", || !log.in_touch(clock.now())).await;
    assert_eq!(load(&cache, true).await, None);
    let borrowed = || async { Ok::<_, Infallible>(2_u8) };
    assert_eq!(cache.get_or_set(KEY, borrowed).await, Ok(2));
}
