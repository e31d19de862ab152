//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A node of a small deployment: values out of a SQLite file that several nodes
share, cached in memory in front of one Redis server that they share too.

usage: cache-node --source FILE --redis URL [options]

  --source FILE           the values; the file is made if it is not there
  --redis URL             the server, such as redis://127.0.0.1:6379
  --listen ADDRESS        where to serve; default 127.0.0.1:3000, port 0: any
  --prefix NAME           what the keys in Redis begin with; default cache-node
  --touch-bound MS        how long a node that is cut off from Redis shows what
                          others may have invalidated; default 3000
  --command-timeout MS    the longest that one round trip takes; default 1000
  --load-delay MS         how much slower than SQLite the source is; default 0
  --no-lock               load although another node is loading the same value;
                          without this only one of the nodes does
  --help                  print this

  GET  /values/KEY               the value and its version, loaded if need be
  PUT  /values/KEY               writes the body to the source, then invalidates
  POST /invalidate/key/KEY       makes one value go
  POST /invalidate/tag/TAG       makes the values with the tag go: the tag of
                                 user:42 is user
  POST /invalidate/pattern/GLOB  makes the values go whose keys match
  GET  /stats                    what the node has done, and how it is
";

/// What the program was asked to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Serve(Options),
}

/// What a node is told.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) source: PathBuf,
    pub(crate) redis: String,
    pub(crate) listen: SocketAddr,
    pub(crate) prefix: String,
    pub(crate) touch_bound: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) load_delay: Duration,
    pub(crate) lock: bool,
}

impl Command {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut source, mut redis) = (None, None);
        let mut options = Options {
            source: PathBuf::new(),
            redis: String::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            prefix: "cache-node".into(),
            touch_bound: Duration::from_secs(3),
            command_timeout: Duration::from_secs(1),
            load_delay: Duration::ZERO,
            lock: true,
        };
        while let Some(name) = arguments.next() {
            if matches!(name.as_str(), "--help" | "-h") {
                return Ok(Self::Help);
            }
            let mut value = || {
                arguments
                    .next()
                    .ok_or(format!("{name} needs a value behind it"))
            };
            match name.as_str() {
                "--source" => source = Some(value()?.into()),
                "--redis" => redis = Some(value()?),
                "--listen" => options.listen = address(&value()?)?,
                "--prefix" => options.prefix = value()?,
                "--touch-bound" => options.touch_bound = millis(&name, &value()?)?,
                "--command-timeout" => options.command_timeout = millis(&name, &value()?)?,
                "--no-lock" => options.lock = false,
                "--load-delay" => options.load_delay = millis(&name, &value()?)?,
                unknown => return Err(format!("`{unknown}` is not known here; see --help")),
            }
        }
        options.source = source.ok_or("--source FILE is missing: where are the values?")?;
        options.redis = redis.ok_or("--redis URL is missing: which server do the nodes share?")?;
        Ok(Self::Serve(options))
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |_| format!("`{text}` is no address; one is written 127.0.0.1:3000");
    text.parse().map_err(wrong)
}

fn millis(name: &str, text: &str) -> Result<Duration, String> {
    let wrong = |_| format!("{name} takes a number of milliseconds, not `{text}`");
    text.parse().map(Duration::from_millis).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn source_and_server_are_all_that_must_be_said() {
        let Ok(Command::Serve(options)) = parse("--source f --redis r --touch-bound 500") else {
            panic!("a node");
        };
        assert_eq!(options.touch_bound, Duration::from_millis(500));
        assert_eq!(options.command_timeout, Duration::from_secs(1));
        assert!(options.lock);
        let Ok(Command::Serve(unlocked)) = parse("--no-lock --source f --redis r") else {
            panic!("a node");
        };
        assert!(!unlocked.lock);
        assert_eq!(parse("--source f --help"), Ok(Command::Help));
    }

    #[test]
    fn a_mistake_is_answered_with_what_is_possible() {
        for (line, hint) in [
            ("--redis r", "--source FILE"),
            ("--source f", "--redis URL"),
            ("--source", "needs a value"),
            ("--listen 3000", "127.0.0.1:3000"),
            ("--touch-bound 1s", "milliseconds"),
            ("--lisen x", "--help"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(hint), "{line}: {error}");
        }
    }
}
