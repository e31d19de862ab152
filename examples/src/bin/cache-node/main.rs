//! A node of a small deployment, to run several of: a memory tier in front of one Redis server.
//!
//! Read `node.rs` for the cache, and `source.rs` for what it caches. `cache-node --help` says how
//! to start one.

mod node;
mod options;
mod routes;
mod source;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use tokio::net::TcpListener;

use crate::node::Node;
use crate::options::{Command, HELP, Options};

/// How many connections and files a node would like to have open.
const OPEN_FILES: u64 = 10_000;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            let causes = std::iter::successors(failure.source(), |cause| (*cause).source());
            causes.for_each(|cause| eprintln!("  because: {cause}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    match Command::parse(env::args().skip(1))? {
        Command::Help => print!("{HELP}"),
        Command::Serve(options) => serve(&options).await?,
    }
    Ok(())
}

/// Serves until Ctrl-C.
async fn serve(options: &Options) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(OPEN_FILES)?;
    let address = options.listen;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| {
        format!("cannot listen on {address}: {error}; choose another by --listen")
    })?;
    let node = Node::start(options).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    let server = axum::serve(listener, routes::router(node));
    server.with_graceful_shutdown(stop).await?;
    Ok(())
}
