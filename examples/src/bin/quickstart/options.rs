//! The command line.

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A web service over SQLite whose queries and pages are cached.

usage: quickstart [--demo] [--port N]

  --demo     make a tour of requests, print what they showed, and exit:
             0 if every step showed what it should, else 1
  --port N   listen on this port of 127.0.0.1
             (without it: 3000; with --demo any free port)
  --help     print this

With REDIS_URL in the environment, such as redis://127.0.0.1:6379, the cache
is that Redis server; without it, the memory of this process.
";

const DEFAULT_PORT: u16 = 3000;
const ANY_FREE_PORT: u16 = 0;

/// What the program was asked to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Serve { port: u16 },
    Demo { port: u16 },
}

impl Command {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut demo, mut port) = (false, None);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" | "-h" => return Ok(Self::Help),
                "--demo" => demo = true,
                "--port" => port = Some(parse_port(arguments.next())?),
                unknown => {
                    return Err(format!(
                        "`{unknown}` is not known here; there are --demo, --port N and --help"
                    ));
                }
            }
        }
        Ok(if demo {
            let port = port.unwrap_or(ANY_FREE_PORT);
            Self::Demo { port }
        } else {
            let port = port.unwrap_or(DEFAULT_PORT);
            Self::Serve { port }
        })
    }
}

fn parse_port(text: Option<String>) -> Result<u16, String> {
    let text = text.ok_or("--port needs a number behind it, such as --port 3000")?;
    text.parse()
        .map_err(|_| format!("`{text}` is not a port; one is a number from 0 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_demo_takes_any_free_port_unless_told_otherwise() {
        assert_eq!(parse(""), Ok(Command::Serve { port: 3000 }));
        assert_eq!(parse("--demo"), Ok(Command::Demo { port: 0 }));
        assert_eq!(parse("--port 80 --demo"), Ok(Command::Demo { port: 80 }));
    }

    #[test]
    fn a_mistake_is_answered_with_what_is_possible() {
        assert!(parse("--dmeo").unwrap_err().contains("--demo, --port N"));
        assert!(parse("--port").unwrap_err().contains("--port 3000"));
        assert!(parse("--port x").unwrap_err().contains("65535"));
    }
}
