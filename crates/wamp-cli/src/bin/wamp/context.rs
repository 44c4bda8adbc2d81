//! `wamp context`: connections with a name, in files.

use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::connect::{Lasting, Settings, connect_with};
use crate::credentials::Source;
use crate::fail::{Code, Fail};
use crate::options::{Global, SerializerName};
use crate::output::{self, Form, Object, Output};
use crate::ping::show_joined;
use crate::signals::Signals;

/// Keep connections under a name: URL, realm, credentials and TLS.
///
/// They are files in $XDG_CONFIG_HOME/wamp/contexts, or ~/.config/wamp/contexts. The selected one is taken by each command
/// without --context, --url or WAMP_URL.
#[derive(clap::Args)]
pub(crate) struct Context {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Keep the connection of the options under a name, such as `wamp context add prod --url wss://example.com/ws`.
    Add {
        #[command(flatten)]
        name: Name,

        /// Source of the ticket: file:PATH, env:NAME or command:COMMAND.
        #[arg(long, value_name = "SOURCE", value_parser = source)]
        ticket: Option<Source>,

        /// Source of the password of SCRAM and WAMP-CRA.
        #[arg(long, value_name = "SOURCE", value_parser = source)]
        secret: Option<Source>,

        /// Source of the private key of WAMP-Cryptosign.
        #[arg(long, value_name = "SOURCE", value_parser = source)]
        key: Option<Source>,

        /// Replace a context that exists.
        #[arg(long)]
        replace: bool,
    },
    /// Print the names. A star is before the selected one.
    Ls,
    /// Print a context, by default that of --context or the selected one. It has no secrets, only where they are.
    Show {
        /// Name.
        name: Option<String>,
    },
    /// Take a context for all commands that do not name one.
    Select(Name),
    /// Change a context with $VISUAL or $EDITOR.
    Edit(Name),
    /// Remove a context.
    Rm(Name),
    /// Join the realm of a context, by default the selected one, and print the session.
    Check {
        /// Name.
        name: Option<String>,
    },
}

#[derive(clap::Args)]
struct Name {
    /// Name: letters, digits, dots, dashes and underscores.
    #[arg(value_parser = checked_name)]
    name: String,
}

/// A context as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stored {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) url: Vec<String>,
    pub(crate) realm: Option<String>,
    pub(crate) serializer: Option<SerializerName>,
    pub(crate) authid: Option<String>,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) cert_key: Option<PathBuf>,
    pub(crate) proxy: Option<String>,
    // Tables are last, as TOML has it.
    pub(crate) ticket: Option<Source>,
    pub(crate) secret: Option<Source>,
    pub(crate) key: Option<Source>,
}

impl Stored {
    /// The context that the options choose, or the selected one; an empty one if there is none.
    ///
    /// The selected one is not taken with a URL of its own, so that its credentials go to its routers only.
    pub(crate) fn chosen(global: &Global) -> Result<Self, Fail> {
        match &global.context {
            Some(name) => Self::read(name),
            None if !global.url.is_empty() => Ok(Self::default()),
            None => selected().map_or_else(|| Ok(Self::default()), |name| Self::read(&name)),
        }
    }

    fn read(name: &str) -> Result<Self, Fail> {
        let name = checked_name(name).map_err(|error| Fail::usage(format!("context {name:?}: {error}")))?;
        let path = path(&name)?;
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fail::usage(format!("there is no context {name:?}"))
                .hint("`wamp context ls` prints the names"),
            _ => Fail::usage(format!("{}: {error}", path.display())),
        })?;
        let mode = fs::metadata(&path).map(|metadata| metadata.permissions().mode()).unwrap_or_default();
        if mode & 0o077 != 0 {
            output::warning(&format!("{}: others may read it; `chmod 600` ends that", path.display()));
        }
        toml::from_str(&text)
            .map_err(|error| Fail::usage(format!("{}: {}", path.display(), one_line(&error))))
    }

    /// The connection of the options and the environment. Secrets are not stored, only where they are.
    fn of(global: &Global) -> Self {
        let source = |file: &Option<String>| match Source::file(file.as_deref()?) {
            Source::File(path) => Some(Source::File(absolute(&path))),
            // Asked for each time.
            _ => None,
        };
        let file = |path: &Option<PathBuf>| path.as_deref().map(absolute);
        Self {
            url: global.url.clone(),
            realm: global.realm.clone(),
            serializer: global.serializer,
            authid: global.authid.clone(),
            ca: file(&global.ca),
            cert: file(&global.cert),
            cert_key: file(&global.cert_key),
            proxy: global.proxy.clone(),
            ticket: source(&global.ticket_file),
            secret: source(&global.secret_file),
            key: source(&global.key_file),
        }
    }

    /// # Errors
    /// A URL has a password.
    fn check(&self) -> Result<(), Fail> {
        let fail = |option, hint| Fail::usage(format!("{option}: a context has no passwords")).hint(hint);
        if self.url.iter().any(|url| password(url).is_some()) {
            return Err(fail("--url", "--ticket, --secret and --key name sources of credentials"));
        }
        if self.proxy.as_deref().and_then(password).is_some() {
            return Err(fail("--proxy", "the variable ALL_PROXY may have a password"));
        }
        Ok(())
    }

    /// Without the passwords that a file which was edited may have.
    fn masked(self) -> Self {
        let masked = |url: String| match password(&url) {
            Some(place) => format!("{}***{}", &url[..place.start], &url[place.end..]),
            None => url,
        };
        Self { url: self.url.into_iter().map(masked).collect(), proxy: self.proxy.map(masked), ..self }
    }
}

/// The place of the password in a URL.
fn password(url: &str) -> Option<Range<usize>> {
    let is_slash = |c| matches!(c, '/' | '\\');
    let scheme = url.find(':').filter(|colon| url[colon + 1..].starts_with(is_slash));
    let begin = scheme.map_or(0, |colon| colon + 1);
    let begin = begin + url[begin..].chars().take_while(|c| is_slash(*c)).count();
    let authority = url[begin..].split(|c| is_slash(c) || matches!(c, '?' | '#')).next()?;
    let user_info = &authority[..authority.rfind('@')?];
    let colon = user_info.find(':')?;
    Some(begin + colon + 1..begin + user_info.len())
}

pub(crate) async fn run(context: Context, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let mut output = Output::new(Form::new(global, false));
    match context.action {
        Action::Add { name: Name { name }, ticket, secret, key, replace } => {
            let given = Stored::of(global);
            let stored = Stored {
                ticket: ticket.or(given.ticket),
                secret: secret.or(given.secret),
                key: key.or(given.key),
                ..given
            };
            stored.check()?;
            add(&name, &stored, replace)?;
        }
        Action::Ls => list(&mut output)?,
        Action::Show { name } => {
            let stored = Stored::read(&named(name.or_else(|| global.context.clone()))?)?.masked();
            output.line(text(&stored)?.trim_end())?;
        }
        Action::Select(Name { name }) => {
            Stored::read(&name)?;
            replace(&directory()?.join("current"), &format!("{name}\n"))?;
        }
        Action::Edit(Name { name }) => edit(&name)?,
        Action::Rm(Name { name }) => {
            let path = path(&name)?;
            fs::remove_file(&path).map_err(|error| Fail::usage(format!("{}: {error}", path.display())))?;
            if selected().is_some_and(|selected| selected == name) {
                let _ = fs::remove_file(directory()?.join("current"));
            }
        }
        Action::Check { name } => {
            let stored = Stored::read(&named(name.or_else(|| global.context.clone()))?)?;
            let settings = Settings::given(global).or(stored);
            let start = Instant::now();
            let session = connect_with(&settings, global, Lasting::Once, &mut signals).await?;
            show_joined(&mut output, &session, settings.realm(), start.elapsed())?;
            session.leave().await;
        }
    }
    output.flush()?;
    Ok(Code::Done)
}

fn add(name: &str, stored: &Stored, is_replaced: bool) -> Result<(), Fail> {
    let (path, text) = (path(name)?, text(stored)?);
    if is_replaced {
        return replace(&path, &text);
    }
    create_directory(&path).and_then(|()| create(&path, &text)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Fail::usage(format!("there is a context {name:?}")).hint("--replace writes it anew")
        }
        _ => Fail::usage(format!("{}: {error}", path.display())),
    })
}

fn list(output: &mut Output) -> Result<(), Fail> {
    let selected = selected();
    let mut names: Vec<String> = fs::read_dir(directory()?.join("contexts"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .collect();
    names.sort();
    for name in names {
        let is_selected = selected.as_ref() == Some(&name);
        match output.form() {
            Form::Objects => {
                let is_selected = crate::document::Document::Bool(is_selected);
                output.object(Object::new("context").text("name", &name).with("selected", is_selected))?;
            }
            _ => output.line(&format!("{} {name}", if is_selected { '*' } else { ' ' }))?,
        }
    }
    Ok(())
}

fn edit(name: &str) -> Result<(), Fail> {
    let path = path(name)?;
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    let editor = editor.ok_or_else(|| {
        Fail::usage("there is no editor").hint(format!("set EDITOR, or change {} yourself", path.display()))
    })?;
    // The shell splits the words of EDITOR; the path is a word of its own.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$0\"")).arg(&path).status();
    let status = status.map_err(|error| Fail::usage(format!("{editor}: {error}")))?;
    if !status.success() {
        return Err(Fail::usage(format!("{editor}: {status}")));
    }
    Stored::read(name).map(drop)
}

/// The name that is given, or that of the selected context.
fn named(name: Option<String>) -> Result<String, Fail> {
    name.or_else(selected)
        .ok_or_else(|| Fail::usage("no context is selected").hint("`wamp context select NAME` selects one"))
}

/// The name of the selected context.
fn selected() -> Option<String> {
    let name = fs::read_to_string(directory().ok()?.join("current")).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn path(name: &str) -> Result<PathBuf, Fail> {
    Ok(directory()?.join("contexts").join(format!("{name}.toml")))
}

fn directory() -> Result<PathBuf, Fail> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("wamp")).ok_or_else(|| Fail::usage("neither XDG_CONFIG_HOME nor HOME is set"))
}

/// Writes a file that only its owner may read, in place of an earlier one, which stays if this fails.
fn replace(path: &Path, text: &str) -> Result<(), Fail> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(name);
    let replaced =
        create_directory(path).and_then(|()| create(&new, text)).and_then(|()| fs::rename(&new, path));
    replaced.map_err(|error| {
        let _ = fs::remove_file(&new);
        Fail::usage(format!("{}: {error}", path.display()))
    })
}

/// Writes a file that does not exist. Only its owner may read it.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Creates the directory of a file. Only its owner may use it.
fn create_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn text(stored: &Stored) -> Result<String, Fail> {
    toml::to_string(stored).map_err(|error| Fail::usage(format!("the context cannot be written: {error}")))
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', ", ")
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A name that is one component of a path.
fn checked_name(name: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain) {
        true => Ok(name.to_owned()),
        false => Err("a name has letters, digits, dots, dashes and underscores, and no dot at its beginning"
            .to_owned()),
    }
}

/// Reads `file:PATH`, `env:NAME` or `command:COMMAND`.
fn source(text: &str) -> Result<Source, String> {
    match text.split_once(':') {
        Some(("file", path)) => Ok(Source::File(absolute(Path::new(path)))),
        Some(("env", name)) => Ok(Source::Env(name.to_owned())),
        Some(("command", command)) => Ok(Source::Command(command.to_owned())),
        _ => Err("one of file:PATH, env:NAME and command:COMMAND".to_owned()),
    }
}
