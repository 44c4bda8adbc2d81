//! The files of `dist`: the options, settings and variables in them exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wamp-router")).args(arguments).output().unwrap()
}

/// Returns the words of a text that begin like this.
fn words(text: &str, first: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let long = words.filter(|word| word.starts_with(first) && word.len() > first.len());
    long.map(ToOwned::to_owned).collect()
}

/// Returns the lines of a file that run the router.
fn commands(text: &str) -> Vec<&str> {
    let is_command = |line: &&str| {
        ["ExecStart", "ExecReload=/usr/local/bin/wamp-router", "ENTRYPOINT", "CMD", "HEALTHCHECK", "command:"]
            .iter()
            .any(|key| line.trim_start().starts_with(key))
    };
    text.lines().filter(is_command).collect()
}

#[test]
fn each_option_in_the_files_of_dist_exists() {
    let help = run(&["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let known = words(&help, "--");
    assert!(known.contains("--config") && known.contains("--listen"), "{known:?}");
    let mut count = 0;
    for name in ["wamp-router.service", "Containerfile", "compose.yaml"] {
        let text = text(name);
        for command in commands(&text) {
            for option in words(command, "--") {
                assert!(known.contains(&option), "{name}: {option} in {command}");
                count += 1;
            }
            // The commands beside serving.
            if let Some(rest) = command.split_once("wamp-router ").map(|(_, rest)| rest)
                && !rest.starts_with('-')
            {
                let word = rest.split(' ').next().unwrap();
                assert!(run(&[word, "--help"]).status.success(), "{name}: {word} in {command}");
            }
        }
        for variable in words(&text, "WAMP_ROUTER_") {
            assert!(help.contains(&variable), "{name}: {variable}");
        }
    }
    assert!(count >= 2, "{count}");
    // Also the options and settings that the explanations name.
    let of_wamp_router = text("README.md");
    for option in words(&of_wamp_router, "--") {
        let is_line_of_table = option.trim_matches('-').is_empty();
        assert!(is_line_of_table || known.contains(&option), "README.md: {option}");
    }
    let settings = String::from_utf8(run(&["init"]).stdout).unwrap();
    for name in ["README.md", "wamp-router.service"] {
        for setting in text(name).split('`').filter_map(|code| code.strip_prefix("limits.")) {
            assert!(settings.contains(&format!("\n#{setting} = ")), "{name}: limits.{setting}");
        }
    }
}

#[test]
fn the_configuration_of_the_image_is_good() {
    let folder = std::env::temp_dir().join(format!("wamp-router-dist-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (secret, configuration) = (folder.join("ticket"), folder.join("router.toml"));
    std::fs::write(&secret, "a ticket\n").unwrap();
    let text = text("router.toml");
    let compose = self::text("compose.yaml");
    let path =
        text.split('"').find(|text| text.starts_with("/run/secrets/")).expect("the path of the secret");
    assert!(compose.contains(path.strip_prefix("/run/secrets/").unwrap()), "compose.yaml has another secret");
    std::fs::write(&configuration, text.replace(path, &secret.display().to_string())).unwrap();
    let checked = run(&["check", &configuration.display().to_string()]);
    let _ = std::fs::remove_dir_all(&folder);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// Checked by systemd itself, where it is installed.
#[test]
fn systemd_accepts_the_units() {
    let folder = std::env::temp_dir().join(format!("wamp-router-units-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let names = ["wamp-router.service", "wamp-router.socket"];
    for name in names {
        // It looks for the program.
        let unit = text(name).replace("/usr/local/bin/wamp-router", env!("CARGO_BIN_EXE_wamp-router"));
        std::fs::write(folder.join(name), unit).unwrap();
    }
    let units = names.map(|name| folder.join(name));
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output();
    let _ = std::fs::remove_dir_all(&folder);
    let Ok(verified) = verified else { return };
    let said = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("wamp-router")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
