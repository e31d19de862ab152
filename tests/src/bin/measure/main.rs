//! Measures what the cache promises about speed, and prints the figures as markdown.
//!
//! Everything that is compared is measured in turns in one run, so that a busy machine slows both.

mod delivery;
mod hiding;
mod hits;
mod spans;

use std::process::ExitCode;

use cache_core::{Cache, MemoryTier, RedisProvider};
use cache_tests::redis_server::RedisServer;

const HELP: &str = "\
Measures on a private redis-server how fast invalidations reach other nodes,
how long hiding many values takes its caller, and what hits cost.

usage: measure [--quick] [--only PART]

  --quick      a hundredth of the work: to see whether it runs, not how fast
  --only PART  one of delivery, tiers, redis, hiding
  --help       print this
";

const PARTS: [&str; 4] = ["delivery", "tiers", "redis", "hiding"];

/// How much is done.
#[derive(Clone, Copy)]
struct Work {
    divisor: usize,
}

impl Work {
    fn of(self, whole: usize) -> usize {
        (whole / self.divisor).max(1)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (divisor, arguments) = match &arguments[..] {
        ["--quick", rest @ ..] => (100, rest),
        all => (1, all),
    };
    match arguments {
        ["--help" | "-h"] => print!("{HELP}"),
        [] => measure(Work { divisor }, &PARTS).await,
        ["--only", part] if PARTS.contains(part) => measure(Work { divisor }, &[part]).await,
        _ => {
            eprintln!("error: see --help for what can be given here");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

async fn measure(work: Work, parts: &[&str]) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("Measured on {cores} cores over loopback.\n");
    println!("| What | Figure |\n|---|---|");
    for &part in parts {
        match part {
            "delivery" => delivery::measure(work).await,
            "tiers" => hits::measure_tiers(work).await,
            "redis" => hits::measure_redis(work).await,
            _ => hiding::measure(work).await,
        }
    }
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

/// A provider of a node on the server.
async fn provider(server: &RedisServer) -> RedisProvider {
    let built = RedisProvider::builder(server.url()).build().await;
    built.expect("the node reaches the server")
}

fn tiered(provider: RedisProvider) -> Cache {
    let builder = Cache::builder(provider).memory_tier(MemoryTier::new());
    builder.build().expect("the cache is built")
}
