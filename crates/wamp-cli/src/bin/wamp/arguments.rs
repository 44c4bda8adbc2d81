//! Arguments of calls and publications from the command line.

use std::io::Read;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches};

use crate::document::{Arguments, Document};
use crate::fail::Fail;

/// The positional and keyword arguments of the command line, in their order.
///
/// ARG and `--string` are mixed, so their order is taken from their places in the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenArguments {
    items: Vec<Item>,
    args: Option<String>,
    kwarg: Vec<String>,
    kwargs: Option<String>,
}

#[derive(Clone, Debug)]
enum Item {
    /// JSON, `@FILE`, or a string.
    Any(String),
    /// A string as it is.
    Text(String),
}

const ARG: &str = "ARG";
const STRING: &str = "string";
const ARGS: &str = "args";
const KWARG: &str = "kwarg";
const KWARGS: &str = "kwargs";

impl clap::Args for GivenArguments {
    fn augment_args(command: clap::Command) -> clap::Command {
        let document = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).value_name("JSON").help(help).allow_hyphen_values(true)
        };
        command
            .arg(Arg::new(ARG).num_args(0..).action(ArgAction::Append).allow_negative_numbers(true).help(
                "Argument: JSON, or @FILE for a JSON document (@- from standard input), otherwise a string",
            ))
            .arg(
                Arg::new(STRING)
                    .long(STRING)
                    .value_name("TEXT")
                    .action(ArgAction::Append)
                    .allow_hyphen_values(true)
                    .help("Argument that is a string, whatever it looks like"),
            )
            .arg(
                Arg::new(KWARG)
                    .short('k')
                    .long(KWARG)
                    .value_name("KEY=VALUE")
                    .action(ArgAction::Append)
                    .help("Keyword argument; the value is written as an ARG"),
            )
            .arg(document(ARGS, "All arguments as a JSON list, or @FILE").conflicts_with(STRING))
            .arg(document(KWARGS, "All keyword arguments as a JSON object, or @FILE").conflicts_with(KWARG))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for GivenArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut arguments = Self::default();
        arguments.update_from_arg_matches(matches)?;
        Ok(arguments)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let places = |name: &str| -> Result<Vec<(usize, String)>, clap::Error> {
            let wrong = |error| clap::Error::raw(ErrorKind::InvalidValue, error);
            let values = matches.try_get_many::<String>(name).map_err(wrong)?;
            let places = matches.indices_of(name).into_iter().flatten();
            Ok(places.zip(values.into_iter().flatten().cloned()).collect())
        };
        let any = places(ARG)?.into_iter().map(|(place, text)| (place, Item::Any(text)));
        let texts = places(STRING)?.into_iter().map(|(place, text)| (place, Item::Text(text)));
        let mut items: Vec<_> = any.chain(texts).collect();
        items.sort_by_key(|(place, _)| *place);
        self.items = items.into_iter().map(|(_, item)| item).collect();
        self.kwarg = places(KWARG)?.into_iter().map(|(_, text)| text).collect();
        self.args = matches.get_one::<String>(ARGS).cloned();
        self.kwargs = matches.get_one::<String>(KWARGS).cloned();
        Ok(())
    }
}

impl GivenArguments {
    /// The texts of ARG and `--string`, as they are.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|item| match item {
            Item::Any(text) | Item::Text(text) => text.as_str(),
        })
    }

    /// Reads the documents. With `is_each` ARG is not an argument.
    ///
    /// # Errors
    /// Names the first argument that is not what it has to be.
    pub(crate) fn read_for(&self, is_each: bool) -> Result<Arguments, Fail> {
        match is_each {
            true => Self { items: Vec::new(), ..self.clone() }.read(),
            false => self.read(),
        }
    }

    /// Reads the documents.
    ///
    /// # Errors
    /// Names the first argument that is not what it has to be.
    pub(crate) fn read(&self) -> Result<Arguments, Fail> {
        let mut arguments = Arguments::default();
        for (i, item) in self.items.iter().enumerate() {
            arguments.args.push(match item {
                Item::Text(text) => Document::Text(text.clone()),
                Item::Any(text) => {
                    value(text).map_err(|error| fail(&format!("argument {}", i + 1), &error))?
                }
            });
        }
        if let Some(text) = &self.args {
            if !self.items.is_empty() {
                return Err(Fail::usage("--args has all arguments, and excludes single ones"));
            }
            match document(text).map_err(|error| fail("--args", &error))? {
                Document::List(items) => arguments.args = items,
                _ => return Err(Fail::usage("--args: not a JSON list")),
            }
        }
        for text in &self.kwarg {
            let Some((key, text)) = text.split_once('=') else {
                return Err(Fail::usage(format!("--kwarg: not KEY=VALUE: {text}")));
            };
            let value = value(text).map_err(|error| fail(&format!("keyword {key}"), &error))?;
            arguments.kwargs.retain(|(other, _)| other != key);
            arguments.kwargs.push((key.to_owned(), value));
        }
        if let Some(text) = &self.kwargs {
            match document(text).map_err(|error| fail("--kwargs", &error))? {
                Document::Dict(entries) => arguments.kwargs = entries,
                _ => return Err(Fail::usage("--kwargs: not a JSON object")),
            }
        }
        Ok(arguments)
    }
}

fn fail(what: &str, error: &str) -> Fail {
    let fail = Fail::usage(format!("{what}: {error}"));
    match error.starts_with("not JSON") && what.starts_with("argument") {
        true => fail.hint("a string that begins with [, { or \" is given with --string"),
        false => fail,
    }
}

/// An argument: JSON, `@FILE`, or a string.
fn value(text: &str) -> Result<Document, String> {
    if text.starts_with('@') { document(text) } else { json_or_string(text) }
}

/// JSON, or a string that does not look like JSON.
pub(crate) fn json_or_string(text: &str) -> Result<Document, String> {
    match Document::from_json(text) {
        Ok(document) => Ok(document),
        Err(error) if text.starts_with(['[', '{', '"']) => Err(format!("{error}: {text}")),
        Err(_) => Ok(Document::Text(text.to_owned())),
    }
}

/// A JSON document, or that of a file.
fn document(text: &str) -> Result<Document, String> {
    let Some(path) = text.strip_prefix('@') else {
        return Document::from_json(text).map_err(|error| format!("{error}: {text}"));
    };
    let (name, content) = match path {
        "-" => {
            let mut content = String::new();
            ("standard input", std::io::stdin().read_to_string(&mut content).map(|_| content))
        }
        path => (path, std::fs::read_to_string(path)),
    };
    let content = content.map_err(|error| format!("{name}: {error}"))?;
    Document::from_json(&content).map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: GivenArguments,
    }

    fn read(line: &[&str]) -> Result<Arguments, Fail> {
        Line::try_parse_from([&["wamp"], line].concat()).unwrap().arguments.read()
    }

    fn json(line: &[&str]) -> String {
        let Arguments { args, kwargs } = read(line).unwrap();
        format!("{} {}", Document::List(args).to_json(), Document::Dict(kwargs).to_json())
    }

    #[test]
    fn an_argument_that_is_json_is_that_value_and_another_one_is_a_string() {
        assert_eq!(json(&["2024", "-3", "x y", "true", "\"5\""]), r#"[2024,-3,"x y",true,"5"] {}"#);
        assert_eq!(json(&["[1,{}]", "", "1.5e3", "01"]), r#"[[1,{}],"",1500.0,"01"] {}"#);
    }

    #[test]
    fn strings_keep_their_place_among_the_arguments() {
        assert_eq!(json(&["1", "--string", "[", "2", "--string", "-x", "3"]), r#"[1,"[",2,"-x",3] {}"#);
    }

    #[test]
    fn keywords_are_read_as_arguments_and_the_last_of_a_name_counts() {
        assert_eq!(json(&["-k", "a=1", "-k", "b=x=y", "-k", "a=[2]"]), r#"[] {"b":"x=y","a":[2]}"#);
        assert_eq!(json(&["--args", "[1,2]", "--kwargs", r#"{"c":null}"#]), r#"[1,2] {"c":null}"#);
    }

    #[test]
    fn text_that_begins_like_json_has_to_be_json() {
        for (line, expected) in [
            (&["1", "[1 2]"][..], "argument 2: not JSON at column 4: [1 2]"),
            (&["--args", "{}"], "--args: not a JSON list"),
            (&["--kwargs", "[]"], "--kwargs: not a JSON object"),
            (&["-k", "a"], "--kwarg: not KEY=VALUE: a"),
            (&["-k", "a={"], "keyword a: not JSON at column 1: {"),
            (&["@/no/such/file"], "argument 1: /no/such/file: No such file or directory (os error 2)"),
        ] {
            let fail = format!("{:?}", read(line).unwrap_err());
            assert!(fail.contains(&format!("{expected:?}")), "{fail}");
        }
    }
}
