//! A process that is killed in the middle of its work, and what the next one finds.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Disk;

const ROUNDS: usize = 12;
const KEYS: u64 = 6;
const WRITERS: u64 = 4;

/// What may be shown at one key.
#[derive(Debug, Default)]
struct Truth {
    /// The number of the last thing that was done there, and whether that was a set.
    last: (u64, bool),
    /// Values with smaller numbers have been invalidated, or replaced.
    oldest: u64,
    /// Something had been begun when the process was killed.
    is_open: bool,
}

/// The child tells what it does; it is killed after some of it, and everything it told is taken in.
fn killed(file: &Path, first: u64, after: usize) -> Vec<String> {
    let mut child = traffic(file, first);
    let mut out = BufReader::new(child.stdout.take().expect("what it tells"));
    let mut told = String::new();
    for _ in 0..after {
        out.read_line(&mut told).expect("a line");
    }
    child.kill().expect("a process to kill");
    child.wait().expect("its end");
    out.read_to_string(&mut told).expect("what it told");
    // The last line may be half a line.
    let whole = told.rfind('\n').map_or("", |end| &told[..end]);
    whole.lines().map(str::to_owned).collect()
}

fn traffic(file: &Path, first: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_disk-child"))
        .args([
            "traffic".as_ref(),
            file.as_os_str(),
            first.to_string().as_ref(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child")
}

/// Which keys of its writer an act is about.
fn concerns(what: &str, key: u64) -> Vec<u64> {
    match what {
        "tag" => (0..KEYS).filter(|other| other % 2 == key % 2).collect(),
        "pattern" => (0..3).collect(),
        "clear" => (0..KEYS).collect(),
        _ => vec![key],
    }
}

fn take_in(truths: &mut HashMap<String, Truth>, line: &str) -> u64 {
    let fields: Vec<&str> = line.split(' ').collect();
    let [phase, number, writer, what, key] = fields[..] else {
        panic!("a line of the child: {line}");
    };
    let number: u64 = number.parse().unwrap();
    if what == "load" {
        // It stores a value where there is none, which is newer than all that was there.
        return number;
    }
    for key in concerns(what, key.parse().unwrap()) {
        let truth = truths.entry(format!("{writer}/{key}")).or_default();
        truth.is_open = phase == "begin";
        if phase == "end" {
            truth.last = (number, what == "set");
            truth.oldest = number;
        }
    }
    number
}

#[tokio::test]
async fn nothing_that_was_invalidated_comes_back_when_the_process_is_killed() {
    let disk = Disk::new();
    let mut truths = HashMap::new();
    let (mut next, mut acts, mut shown) = (1, 0, 0);
    for round in 0..ROUNDS {
        for line in killed(&disk.path(), next, 40 + round * 23) {
            next = next.max(take_in(&mut truths, &line) + 1);
            acts += 1;
        }
        shown += check(&disk, &truths).await;
        // What was open is settled by what has been found: later values are newer.
        truths.values_mut().for_each(|truth| truth.is_open = true);
        next += 100;
    }
    assert!(
        acts > 1_900 && shown > 20,
        "{acts} lines, {shown} values found"
    );
}

/// Looks at all keys of the file, and says how many have a value.
async fn check(disk: &Disk, truths: &HashMap<String, Truth>) -> usize {
    let (provider, cache) = disk.open().await;
    let mut shown = 0;
    for writer in 0..WRITERS {
        for key in 0..KEYS {
            let name = format!("w{writer}/{key}");
            let cache = cache.namespace(&format!("w{writer}"));
            let found: Option<u64> = cache.get(&key.to_string()).await.expect("a read");
            let Some(truth) = truths.get(&name) else {
                continue;
            };
            shown += usize::from(found.is_some());
            assert!(
                found.is_none_or(|found| found >= truth.oldest),
                "{name}: {found:?} {truth:?}"
            );
            let (number, is_set) = truth.last;
            if is_set && !truth.is_open {
                assert_eq!(found, Some(number), "{name}: {truth:?}");
            }
        }
    }
    provider.close().await;
    shown
}
