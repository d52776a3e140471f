//! Flags of programs that we stand in for: all of theirs are taken, few have an effect.
//!
//! In: a list of names and types as their `--help` shows them, and the names of those that count. Out: a parser that
//! reads the whole list, and shows it to those who ask which flags there are, as `envtest` does.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// What the command line said.
#[derive(Debug)]
pub(super) struct Flags {
    matches: ArgMatches,
}

impl Flags {
    /// Reads the command line, or ends the process as `--help` and mistakes do. Says which of the given flags are
    /// without effect.
    pub(super) fn read(program: &'static str, about: &'static str, known: &'static str, effective: &[&str]) -> Self {
        let matches = command(program, about, known, effective).get_matches();
        let given = matches.ids().map(clap::Id::as_str).filter(|id| !effective.contains(id));
        let idle: Vec<String> = given.map(|id| format!("--{id}")).collect();
        if !idle.is_empty() {
            #[expect(clippy::print_stderr, reason = "where the original logs")]
            {
                eprintln!("{program}: without effect here: {}", idle.join(" "));
            }
        }
        Self { matches }
    }

    /// The last value of a flag.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.matches.get_many::<String>(name)?.next_back().map(String::as_str)
    }
}

fn command(program: &'static str, about: &'static str, known: &'static str, effective: &[&str]) -> Command {
    let arg = |line: &'static str| {
        let (name, kind) = line.split_once(' ').unwrap_or((line, "string"));
        let help = if effective.contains(&name) { "" } else { "Taken, without effect here" };
        let arg = Arg::new(name)
            .long(name)
            .value_name(kind)
            .action(ArgAction::Append)
            .value_parser(ValueParser::string())
            .allow_hyphen_values(true)
            .help(help);
        match kind {
            "bool" => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
            _ => arg,
        }
    };
    Command::new(program).about(about).version(env!("CARGO_PKG_VERSION")).args(known.lines().map(arg))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "bind-address ip\nprofiling bool\nfeature-gates strings\n";

    fn read(args: &[&str]) -> Result<Flags, String> {
        let words = std::iter::once(&"p").chain(args);
        let matches = command("p", "about", KNOWN, &["bind-address"]).try_get_matches_from(words);
        matches.map(|matches| Flags { matches }).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let flags = read(&["--bind-address=::1", "--profiling", "--feature-gates", "-A=true", "--bind-address", "::2"]);
        let flags = flags.unwrap();
        assert_eq!(flags.last("bind-address"), Some("::2"));
        assert_eq!(flags.last("profiling"), Some("true"));
        assert_eq!(flags.last("feature-gates"), Some("-A=true"));
        assert_eq!(read(&["--profiling=false"]).unwrap().last("profiling"), Some("false"));
        assert_eq!(read(&[]).unwrap().last("profiling"), None);
        assert!(read(&["--insecure-port=0"]).unwrap_err().contains("--insecure-port"));
    }

    #[test]
    fn every_flag_stands_at_the_start_of_a_line_of_the_help() {
        let help = command("p", "about", KNOWN, &[]).render_help().to_string();
        for name in ["--bind-address", "--profiling", "--feature-gates"] {
            assert!(help.lines().any(|line| line.trim_start().starts_with(name)), "{name} in {help}");
        }
    }
}
