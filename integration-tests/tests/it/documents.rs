//! The documents agree with the code: cited rules exist, and so do the named tests and features.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use wamp_core::Time;
use wamp_core::router::{self, Join, Realm};
use wamp_core::session::{self, Session};
use wamp_proto::{Message, Serializer};

/// The rules, rendered as `wamp_core::behaviour`.
const BEHAVIOUR: &str = "crates/wamp-core/src/behaviour.md";

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the folder of this package is in the workspace").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All source files of the workspace, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders: Vec<PathBuf> =
        ["crates", "examples", "integration-tests"].map(|top| root().join(top)).into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder that can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                if !["target", "node_modules", ".cache"].iter().any(|skipped| name == *skipped) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file is text");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 200, "{}", found.len());
    found
}

/// The numbers that follow "behaviour" in a line: `behaviour 3, behaviour 4`, `behaviour 55, 56`, `behaviours 54 and
/// 61`, `behaviour 25 to 30`.
fn cited(line: &str) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    for (at, word) in line.match_indices("behaviour") {
        let text = line[at + word.len()..].trim_start_matches('s');
        let Some(mut rest) = text.strip_prefix([' ', '_']) else { continue };
        let mut before = None;
        loop {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let Ok(number) = rest[..digits].parse::<u32>() else { break };
            numbers.extend(before.take().map_or(number..=number, |first: u32| first..=number));
            rest = &rest[digits..];
            let separator = [", ", " and ", " to "].into_iter().find(|separator| rest.starts_with(separator));
            let Some(separator) = separator else { break };
            before = (separator == " to ").then_some(number);
            rest = &rest[separator.len()..];
        }
    }
    numbers
}

/// The numbers of the rules, from their anchors.
fn rules(document: &str) -> Vec<u32> {
    let anchors = document.split("<a id=\"rule-").skip(1);
    anchors
        .map(|text| {
            let (number, text) = text.split_once("\"></a>**").expect("an anchor stands before its rule");
            assert!(text.starts_with(&format!("{number}. ")), "the rule at the anchor {number}");
            number.parse().expect("a rule has a number")
        })
        .collect()
}

/// The tests that the document names, each with the rule.
fn named_tests(document: &str) -> Vec<(&str, &str)> {
    let mut named = Vec::new();
    for rule in document.split("<a id=\"rule-").skip(1) {
        let (number, text) = rule.split_once('"').expect("an anchor ends");
        let Some((_, tests)) = text.split_once("*Tests:*") else { continue };
        let (tests, _) = tests.split_once("\n\n").unwrap_or((tests, ""));
        named.extend(tests.split('`').skip(1).step_by(2).map(|test| (number, test)));
    }
    named
}

/// The names of all test functions in a source file.
fn test_functions(source: &str) -> impl Iterator<Item = &str> {
    let is_test =
        |line: &str| ["#[test]", "#[tokio::test"].iter().any(|test| line.trim_start().starts_with(test));
    let mut lines = source.lines();
    std::iter::from_fn(move || {
        lines.by_ref().find(|line| is_test(line))?;
        let function = lines.by_ref().find_map(|line| line.split_once("fn "))?.1;
        function.split(['(', '<']).next()
    })
}

#[test]
fn each_rule_that_is_cited_exists() {
    let rules = rules(&read(BEHAVIOUR));
    assert!(rules.len() > 67 && rules.is_sorted_by(|a, b| a < b), "{rules:?}");
    let mut cites = 0;
    for (path, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            for number in cited(line) {
                let exists = rules.contains(&number) || path.ends_with(file!());
                assert!(exists, "{}:{}: no rule {number} in {BEHAVIOUR}", path.display(), index + 1);
                cites += 1;
            }
        }
    }
    assert!(cites > 100, "{cites}");
}

#[test]
fn citations_are_read_in_every_form() {
    let table: [(&str, &[u32]); 6] = [
        ("// behaviour 3, behaviour 4", &[3, 4]),
        ("(behaviour 55, 56, 57, 62).", &[55, 56, 57, 62]),
        ("// behaviours 54 and 61: not spoken", &[54, 61]),
        ("// behaviour 25 to 27", &[25, 26, 27]),
        ("fn behaviour_58_utf8_is_checked", &[58]),
        ("whose behaviour is 5 and behaviour_of_2", &[]),
    ];
    for (line, numbers) in table {
        assert_eq!(cited(line).into_iter().collect::<Vec<_>>(), numbers, "{line}");
    }
}

#[test]
fn each_rule_names_tests_that_exist() {
    let (document, sources) = (read(BEHAVIOUR), sources());
    let tests: BTreeSet<&str> = sources.iter().flat_map(|(_, text)| test_functions(text)).collect();
    assert!(tests.len() > 500, "{}", tests.len());
    let named = named_tests(&document);
    let missing: Vec<_> = named.iter().filter(|(_, test)| !tests.contains(test)).collect();
    assert!(missing.is_empty(), "{BEHAVIOUR} names tests that do not exist (rule, test): {missing:?}");
    for rule in rules(&document) {
        let has_test = named.iter().any(|(number, _)| number.parse() == Ok(rule));
        assert!(has_test, "rule {rule} names no test");
    }
}

#[test]
fn each_file_that_is_named_exists() {
    let mut count = 0;
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"] {
        for name in read(document).split('`').skip(1).step_by(2) {
            let is_path = name.contains('/') && [".rs", ".md", ".toml"].iter().any(|end| name.ends_with(end));
            if is_path && !name.contains(['<', ' ', ':']) {
                let found = ["", "crates"].iter().any(|folder| root().join(folder).join(name).is_file());
                assert!(found, "{document} names {name}, which does not exist");
                count += 1;
            }
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn the_programs_of_the_cookbook_are_short() {
    let cookbook = read("examples/COOKBOOK.md");
    let programs: Vec<&str> = cookbook
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("a program ends").0)
        .collect();
    assert!(programs.len() >= 16, "{}", programs.len());
    for program in programs {
        assert!(program.lines().count() < 40, "{program}");
    }
}

/// The features in `Details.roles` of HELLO or WELCOME, each with the roles that announce it, in the order of their
/// names.
fn announced(message: &Message) -> BTreeMap<String, Vec<String>> {
    let json = message.encode(Serializer::Json).expect("HELLO and WELCOME can be written");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let roles = json[2]["roles"].as_object().expect("a dict of roles");
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for (role, details) in roles {
        for (feature, value) in details["features"].as_object().into_iter().flatten() {
            assert_eq!(value, &serde_json::Value::Bool(true), "{feature}");
            found.entry(feature.clone()).or_default().push(role.clone());
        }
    }
    for roles in found.values_mut() {
        roles.sort_unstable();
    }
    found
}

#[test]
fn the_table_of_features_equals_the_announcement() {
    let mut session = Session::new(Time::ORIGIN, session::Config::new("realm1"), 1);
    let hello = session.poll_transmit().expect("HELLO");
    let Message::Hello(details) = hello.clone() else { panic!("{hello:?}") };
    let mut realm = Realm::new(router::Config::new("realm1"), 1);
    let join = Join {
        details: details.details,
        serializer: Serializer::Json,
        max_message: 1 << 20,
        transport: Default::default(),
    };
    realm.join(Time::ORIGIN, join).expect("the realm is open");
    let (_, welcome) = realm.poll_transmit().expect("WELCOME");

    let readme = read("README.md");
    let (_, table) = readme.split_once("\n| feature | router | client |\n").expect("README.md has the table");
    let (table, _) = table.split_once("\n\n").expect("the table ends");
    let mut documented = [BTreeMap::new(), BTreeMap::new()];
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let feature = cells[1].trim_matches('`');
        for (side, cell) in documented.iter_mut().zip(&cells[2..4]) {
            let mut roles: Vec<String> =
                cell.split(", ").filter(|role| !role.is_empty()).map(str::to_owned).collect();
            roles.sort_unstable();
            if !roles.is_empty() {
                side.insert(feature.to_owned(), roles);
            }
        }
    }
    let [router, client] = documented;
    assert_eq!(router, announced(&welcome), "the column of the router");
    assert_eq!(client, announced(&hello), "the column of the client");
}
