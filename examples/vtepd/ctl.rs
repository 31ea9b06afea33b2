//! The client: sends its words, prints the answer.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::args::CtlArgs;
use super::request;

/// Exit code 0: done; 1: refused, or nobody is there; 2: the words make no sense.
pub fn run(args: &CtlArgs) -> ExitCode {
    let mut line = args.words.join(" ");
    if args.json {
        line.push_str(" --json");
    }
    if args.stats {
        line.push_str(" -s");
    }
    if let Err(error) = request::parse(&line) {
        eprintln!("{error}");
        return ExitCode::from(2);
    }
    match ask(args, &line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn ask(args: &CtlArgs, line: &str) -> Result<(), String> {
    let path = args.ctl.display();
    let mut stream = UnixStream::connect(&args.ctl).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{path} is not there: is vtepd running with --ctl {path}?"),
        io::ErrorKind::ConnectionRefused => format!("nobody listens at {path}: vtepd has ended"),
        io::ErrorKind::PermissionDenied => format!("{path} is for root and the user who started vtepd only"),
        _ => format!("{path}: {error}"),
    })?;
    let broken = |error: io::Error| format!("{path}: {error}");
    writeln!(stream, "{line}").map_err(broken)?;
    let mut answer = BufReader::new(stream);
    let mut first = String::new();
    answer.read_line(&mut first).map_err(broken)?;
    match first.trim_end() {
        "ok" => print(answer),
        "" => Err(format!("{path}: vtepd ended before it answered")),
        refusal => Err(refusal.strip_prefix("error: ").unwrap_or(refusal).to_owned()),
    }
}

/// Line by line, so that `monitor` shows events as they come. A closed pipe behind us is the end, not a failure.
fn print(mut answer: impl BufRead) -> Result<(), String> {
    let mut out = io::stdout().lock();
    loop {
        let bytes = answer.fill_buf().map_err(|error| error.to_string())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let len = bytes.len();
        if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
            return if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error.to_string()) };
        }
        answer.consume(len);
    }
}
