//! What to try, and what it will show.

use std::net::SocketAddr;

/// A few commands for a service that listens here.
pub(crate) fn text(server: SocketAddr) -> String {
    format!(
        r#"Cities of the world on http://{server}. Try it from another terminal:

  curl -iw '\n%{{time_total}} s\n' http://{server}/countries/Germany
      Compares 100 cities with 10,596: the first time in the database, which takes some
      hundred milliseconds (cache-status: ... fwd=miss; stored). Do it again: a hit, in less
      than one (cache-status: ... hit).

  curl -iX PUT -H 'content-type: application/json' -d '{{"altitude": 9000}}' http://{server}/cities/3970
      Raises Berlin above all others. What was made from it is gone, results of functions
      and pages alike: ask for Germany again.

  curl -iw '\n%{{time_total}} s\n' http://{server}/cities/3970/nearest
      The ten nearest cities: a scan of the whole table, once.

  curl http://{server}/stats
      How many queries the database saw.

`quickstart --demo` tries all of it and more by itself. Ctrl-C ends the service.
"#
    )
}
