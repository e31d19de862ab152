//! Writers that tell what they are about to do, and what has been done.

use std::convert::Infallible;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Cache, EntryOptions, Invalidated};

const WRITERS: u64 = 4;
const KEYS: u64 = 6;

/// Goes on until the process is killed.
pub(super) async fn run(path: PathBuf, first: &str) {
    let next = Arc::new(AtomicU64::new(first.parse().expect("a number")));
    let (_provider, cache) = super::opened(path).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(cache.clone(), writer, Arc::clone(&next))))
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
}

async fn write(cache: Cache, writer: u64, next: Arc<AtomicU64>) {
    let name = format!("w{writer}");
    let cache = cache.namespace(&name);
    let mut random = writer + 1 + next.load(Ordering::Relaxed);
    loop {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let number = next.fetch_add(1, Ordering::Relaxed);
        let (choice, key) = ((random >> 33) % 10, (random >> 45) % KEYS);
        let what = match choice {
            0..4 => "set",
            4..6 => "load",
            6 => "key",
            7 => "tag",
            8 => "pattern",
            _ => "clear",
        };
        tell(&format!("begin {number} {name} {what} {key}"));
        act(&cache, &name, what, key, number).await;
        tell(&format!("end {number} {name} {what} {key}"));
    }
}

/// Keys have the tag of their writer and their parity.
async fn act(cache: &Cache, name: &str, what: &str, key: u64, number: u64) {
    let (tag, key) = (format!("{name}:{}", key % 2), key.to_string());
    let done = match what {
        "set" => return cache.set(&key, &number).tag(tag).await.expect("a set"),
        "load" => {
            let load = || async { Ok::<_, Infallible>(number) };
            let options = EntryOptions::new().tag(tag);
            let Ok(_) = cache.get_or_set_with(&key, options, load).await;
            return;
        }
        "key" => cache.invalidate(&key).await,
        "tag" => cache.invalidate_tag(&tag).await,
        "pattern" => cache.invalidate_pattern("[0-2]").await,
        _ => cache.clear().await,
    };
    assert_eq!(done.expect("an invalidation"), Invalidated::Applied);
}

fn tell(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .expect("somebody who listens");
}
