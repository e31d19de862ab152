//! Disks that are full, files that somebody else has, and paths that lead nowhere.

use std::process::Command;
use std::time::Duration;

use cache_core::{Cache, DiskProvider, EncryptionKeys, ErrorKind, Invalidated};

use crate::Disk;

/// The whole story is in the child, which is the one whose disk is full. `XFSZ` would end it.
#[tokio::test]
async fn a_full_disk_loses_nothing_and_hides_what_was_invalidated() {
    let disk = Disk::new();
    let child = env!("CARGO_BIN_EXE_disk-child");
    let file = disk.path();
    let ran = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", child, "full"])
        .arg(&file)
        .output()
        .expect("a child");
    let (out, errors) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{errors}");
    let stored: usize = out.trim().parse().expect("how much fitted");
    assert!(stored > 3, "{stored}");

    let (_provider, cache) = disk.open().await;
    for key in 0..stored {
        assert!(cache.exists(&key.to_string()).await.unwrap(), "{key}");
    }
    for (key, stays) in [
        ("kept", true),
        ("after", true),
        ("doomed", false),
        ("tagged", false),
    ] {
        assert_eq!(cache.exists(key).await.unwrap(), stays, "{key}");
    }
}

#[tokio::test]
async fn a_file_that_is_open_already_is_refused_by_its_name() {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    let error = disk.builder().build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unready, "{error}");
    let path = disk.path();
    let expected = format!(
        "build on disk: the file `{}` is open already, in another process or in this one; each \
         process needs a file of its own",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    let other = Command::new(env!("CARGO_BIN_EXE_disk-child"))
        .args(["traffic".as_ref(), path.as_os_str(), "1".as_ref()])
        .output();
    let errors = String::from_utf8(other.expect("a child").stderr).unwrap();
    assert!(errors.contains("is open already"), "{errors}");
    cache.set("k", "v").await.unwrap();
    provider.close().await;
    let (_provider, cache) = disk.open().await;
    assert!(cache.exists("k").await.unwrap());
}

#[tokio::test]
async fn a_file_that_is_about_to_be_closed_is_waited_for() {
    let disk = Disk::new();
    let (first, cache) = disk.open().await;
    cache.set("k", "v").await.unwrap();
    let closing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        first.close().await;
    };
    let (second, ()) = tokio::join!(disk.builder().build(), closing);
    let cache = Cache::builder(second.unwrap()).build().unwrap();
    assert!(cache.exists("k").await.unwrap());
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let disk = Disk::new();
    let (_provider, _cache) = disk.open().await;
    let mode = std::fs::metadata(disk.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_an_error_that_says_what_is_needed() {
    let disk = Disk::new();
    for path in [
        disk.folder.path().join("no/cache.redb"),
        disk.folder.path().to_owned(),
    ] {
        let error = DiskProvider::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
        assert!(
            error.to_string().contains("a folder that is there"),
            "{error}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let disk = Disk::new();
    let twice = EncryptionKeys::new(1, [7; 32]).and_read(1, [8; 32]);
    for (builder, word) in [
        (disk.builder().max_bytes(0), "max_bytes"),
        (disk.builder().timeout(Duration::ZERO), "timeout"),
        (disk.builder().sweep(Duration::ZERO), "sweep"),
        (disk.builder().key_prefix(""), "prefix"),
        (disk.builder().encryption(twice), "the number 1"),
    ] {
        let error = builder.build().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(!disk.path().exists());
}

#[tokio::test]
async fn after_its_end_values_are_computed_and_nothing_is_shown() {
    let disk = Disk::new();
    let (provider, cache) = disk.open().await;
    cache.set("k", "v").await.unwrap();
    provider.close().await;
    provider.close().await;
    let load = || async { Ok::<_, std::convert::Infallible>("computed".to_owned()) };
    assert_eq!(cache.get_or_set("k", load).await, Ok("computed".to_owned()));
    assert_eq!(
        cache.get::<String>("k").await.unwrap_err().kind(),
        ErrorKind::Unready
    );
    assert_eq!(
        cache.set("k", "v").await.unwrap_err().kind(),
        ErrorKind::Unready
    );
    assert!(cache.ping().await.is_err());
    assert_eq!(cache.invalidate("k").await.unwrap(), Invalidated::Pending);
}

#[test]
fn without_a_runtime_it_is_not_built() {
    let disk = Disk::new();
    let mut build = Box::pin(disk.builder().build());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = build.as_mut().poll(&mut context) else {
        panic!("an answer at once");
    };
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("runtime"), "{error}");
}

#[tokio::test]
async fn a_cache_with_another_prefix_is_refused() {
    let disk = Disk::new();
    let provider = disk.builder().key_prefix("shop").build().await.unwrap();
    let error = Cache::builder(provider.clone())
        .key_prefix("app")
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("`shop`"), "{error}");
    let cache = Cache::builder(provider).build().unwrap();
    cache.set("k", "v").await.unwrap();
    assert!(cache.exists("k").await.unwrap());
}
