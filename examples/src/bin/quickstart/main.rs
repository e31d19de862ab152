//! The quick start: an axum service over SQLite whose queries and pages are cached.
//!
//! Read `cities.rs` for the attributes on functions, `routes.rs` for the layer around routes,
//! and `cache.rs` for the choice between memory and Redis. `demo` tries all of it.

mod cache;
mod cities;
mod database;
mod demo;
mod guide;
mod options;
mod routes;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use axum::serve::{Listener, ListenerExt};
use tokio::net::TcpListener;

use crate::cities::Cities;
use crate::database::Database;
use crate::options::{Command, HELP};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        let causes = std::iter::successors(failure.source(), |cause| (*cause).source());
        causes.for_each(|cause| eprintln!("  because: {cause}"));
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode, Failure> {
    match Command::parse(env::args().skip(1))? {
        Command::Help => print!("{HELP}"),
        Command::Serve { port } => serve(port).await?,
        Command::Demo { port } => return demonstrate(port).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves until Ctrl-C.
async fn serve(port: u16) -> Result<(), Failure> {
    let listener = listen(port).await?;
    let guide = guide::text(listener.local_addr()?);
    let router = service().await?;
    println!("{guide}");
    let router = router.route("/", get(async || guide));
    let stop = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    let server = axum::serve(without_delay(listener), router);
    server.with_graceful_shutdown(stop).await?;
    Ok(())
}

/// Serves in the background while the tour is made.
async fn demonstrate(port: u16) -> Result<ExitCode, Failure> {
    let listener = listen(port).await?;
    let server = listener.local_addr()?;
    let router = service().await?;
    tokio::spawn(async { axum::serve(without_delay(listener), router).await });
    let ok = demo::run(server).await?;
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The service, on a database and a cache of its own.
async fn service() -> Result<Router, Failure> {
    let cache = cache::connect().await?;
    let database = Database::of_cities()?;
    let (cities, provider) = (::cities::all().len(), cache.provider_name());
    println!("{cities} cities in SQLite, cached in {provider}\n");
    Ok(routes::router(Cities::new(database), cache)?)
}

async fn listen(port: u16) -> Result<TcpListener, Failure> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| {
        format!("cannot listen on {address}: {error}; choose another by --port N").into()
    })
}

/// Sends what is written at once. Otherwise a body that comes after its head, as a cached one
/// can, waits until the client has acknowledged the head, which takes clients 40 ms.
fn without_delay(listener: TcpListener) -> impl Listener<Addr = SocketAddr> {
    listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            eprintln!("a connection may be slow: {error}");
        }
    })
}
