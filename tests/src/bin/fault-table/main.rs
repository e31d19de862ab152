//! Breaks a deployment in every way that is known here, and prints what callers saw, as markdown.

use std::process::ExitCode;
use std::time::Duration;

use cache_tests::faults::{Fault, document, survive};

const HELP: &str = "\
Breaks a deployment in every way that is known here, and prints what callers
saw, as markdown. Exits with 1 if a caller saw what it must not.

usage: fault-table [--seconds N] [--only TEXT]

  --seconds N   how long each fault lasts; default 3
  --only TEXT   only the faults whose names contain this
  --help        print this
";

struct Options {
    lasting: Duration,
    only: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => print_table(&options).await,
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn print_table(options: &Options) -> ExitCode {
    let (mut reports, mut is_good) = (Vec::new(), true);
    for fault in Fault::EVERY {
        if !fault.title().contains(&options.only) {
            continue;
        }
        let report = survive(fault, options.lasting).await;
        let complaints = report.complaints();
        is_good &= complaints.is_empty();
        eprintln!("{}: {}", fault.title(), verdict(&complaints));
        reports.push(report);
    }
    print!("{}", document(&reports, options.lasting));
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn verdict(complaints: &[String]) -> String {
    match complaints {
        [] => "survived".into(),
        complaints => complaints.join(", "),
    }
}

/// `None` if only help was asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        lasting: Duration::from_secs(3),
        only: String::new(),
    };
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--seconds" => options.lasting = seconds(arguments.next())?,
            "--only" => options.only = arguments.next().ok_or("--only needs a part of a name")?,
            unknown => return Err(format!("`{unknown}` is not known here; see --help")),
        }
    }
    Ok(Some(options))
}

fn seconds(text: Option<String>) -> Result<Duration, String> {
    let seconds = text.and_then(|text| text.parse().ok());
    let seconds: f64 = seconds.ok_or("--seconds needs a number, such as --seconds 3")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("--seconds {seconds}: {error}"))
}
