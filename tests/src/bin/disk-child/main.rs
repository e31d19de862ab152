//! A process with a disk provider, for the tests that take such a process something away: its life,
//! or the room on its disk.

mod full;
mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cache_core::{Cache, DiskProvider};

const HELP: &str = "\
Does to a disk provider's file what its tests ask for.

usage: disk-child traffic FILE FIRST   writes and invalidates without end, and tells what it did,
                                       beginning with the number FIRST
       disk-child full FILE            fills the file to a limit, and checks what holds then
       disk-child --help               print this
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["traffic", file, first] => traffic::run(file.into(), first).await,
        ["full", file] => full::run(file.into()).await,
        ["--help"] => print!("{HELP}"),
        _ => {
            eprint!("{HELP}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn opened(path: PathBuf) -> (DiskProvider, Cache) {
    // Whatever else the machine writes at the same time.
    let patience = Duration::from_secs(60);
    let builder = DiskProvider::builder(path).timeout(patience);
    let provider = builder.build().await.expect("a provider");
    let cache = Cache::builder(provider.clone()).no_default_ttl();
    (provider, cache.build().expect("a cache"))
}
