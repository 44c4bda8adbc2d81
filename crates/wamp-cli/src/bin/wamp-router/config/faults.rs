//! The faults of a configuration, each with its place.

use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;

/// A text that settings come from: a file, or an option of the command line.
#[derive(Debug)]
struct Source {
    /// The path, or the name of the option.
    name: String,
    text: String,
    /// The folder of a file, against which the paths in it are resolved; `None` for an option.
    folder: Option<PathBuf>,
    /// Every user of this machine can read the file.
    is_public: bool,
}

/// The place of a key or a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The index of the source.
    pub(crate) source: usize,
    /// The start, in bytes from the beginning of the source.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Place {
    pub(crate) fn new(source: usize, span: Range<usize>) -> Self {
        Self { source, start: span.start, end: span.end }
    }

    fn span(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// The severity of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    /// The configuration is not used.
    Error,
    /// The configuration can be used.
    Warning,
}

#[derive(Debug)]
struct Fault {
    place: Option<Place>,
    severity: Severity,
    message: String,
    /// Another place that the fault is about, and its label.
    other: Option<(Place, &'static str)>,
}

/// All faults of a configuration, and the texts that they are in.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    sources: Vec<Source>,
    faults: Vec<Fault>,
}

impl Faults {
    /// Adds the text of a file. Returns its index, for the places in it.
    pub(crate) fn add_file(&mut self, path: &Path, text: &str) -> usize {
        let folder = Some(path.parent().map(Path::to_owned).unwrap_or_default());
        self.sources.push(Source {
            name: path.display().to_string(),
            text: text.to_owned(),
            folder,
            is_public: is_public(path),
        });
        self.sources.len() - 1
    }

    /// Adds the value of an option of the command line.
    pub(crate) fn add_option(&mut self, name: &str, text: &str) -> usize {
        self.sources.push(Source {
            name: name.to_owned(),
            text: text.to_owned(),
            folder: None,
            is_public: false,
        });
        self.sources.len() - 1
    }

    /// Returns a path that is written at a place. A path in a file is relative to the folder of the file.
    pub(crate) fn resolve(&self, place: &Place, path: &str) -> PathBuf {
        match &self.sources[place.source].folder {
            Some(folder) => folder.join(path),
            None => path.into(),
        }
    }

    pub(crate) fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.add(Some(place), Severity::Error, message.into(), None);
    }

    /// Adds an error about two places.
    pub(crate) fn conflict(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        other: &Place,
        label: &'static str,
    ) {
        self.add(Some(place), Severity::Error, message.into(), Some((other.clone(), label)));
    }

    /// Records a secret at a place, which is a fault if every user of the machine can read it.
    pub(crate) fn has_secret(&mut self, place: &Place) {
        let source = &mut self.sources[place.source];
        // The secret is hidden in all faults, also in others of the same line. Other places do not change.
        if let Some(secret) = source.text.get(place.span()) {
            let hidden: String = secret.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
            source.text.replace_range(place.span(), &hidden);
        }
        if std::mem::take(&mut source.is_public) {
            let message =
                format!("every user of this machine can read this secret; chmod 600 {}", source.name);
            self.warning(place, message);
        }
    }

    /// Adds a warning if every user of this machine can read a file with a secret, which is named at a place.
    pub(crate) fn check_private(&mut self, place: &Place, file: &Path) {
        if is_public(file) {
            self.warning(place, format!("every user of this machine can read {}; chmod 600", file.display()));
        }
    }

    /// Adds an error that has no place in a text, such as a file that cannot be read.
    pub(crate) fn error_outside(&mut self, message: impl Into<String>) {
        self.add(None, Severity::Error, message.into(), None);
    }

    pub(crate) fn warning(&mut self, place: &Place, message: impl Into<String>) {
        self.add(Some(place), Severity::Warning, message.into(), None);
    }

    fn add(
        &mut self,
        place: Option<&Place>,
        severity: Severity,
        message: String,
        other: Option<(Place, &'static str)>,
    ) {
        self.faults.push(Fault { place: place.cloned(), severity, message, other });
    }

    /// The number of faults so far.
    pub(crate) fn len(&self) -> usize {
        self.faults.len()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity == Severity::Error)
    }

    /// The faults by their places.
    fn sorted(&self) -> Vec<&Fault> {
        let mut sorted: Vec<_> = self.faults.iter().collect();
        sorted.sort_by(|a, b| a.place.cmp(&b.place));
        sorted
    }

    /// Returns all faults as text for people, each with the line that it is in; with escape sequences for colors if
    /// `colors`.
    pub(crate) fn render(&self, colors: bool) -> String {
        let renderer = if colors { Renderer::styled() } else { Renderer::plain() };
        let sorted = self.sorted();
        let rendered: Vec<String> = sorted.iter().map(|fault| self.render_one(&renderer, fault)).collect();
        rendered.join("\n\n")
    }

    fn render_one(&self, renderer: &Renderer, fault: &Fault) -> String {
        let level = match fault.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let in_file = |place: &&Place| self.sources[place.source].folder.is_some();
        let Some(place) = fault.place.as_ref().filter(in_file) else {
            let title = level.primary_title(self.describe(fault));
            return renderer.render(&[Group::with_title(title)]).trim_end().to_owned();
        };
        let title = level.primary_title(&fault.message);
        let source = &self.sources[place.source];
        let mut snippet = Snippet::source(&source.text).path(&source.name);
        let primary = AnnotationKind::Primary.span(place.span());
        match &fault.other {
            Some((other, label)) if other.source == place.source => {
                snippet = snippet.annotation(AnnotationKind::Context.span(other.span()).label(*label));
            }
            _ => {}
        }
        renderer.render(&[title.element(snippet.annotation(primary))])
    }

    /// The message of a fault, with the option that it is about.
    fn describe(&self, fault: &Fault) -> String {
        let source = fault.place.as_ref().map(|place| &self.sources[place.source]);
        match source {
            // The value of the option may be in the message already.
            Some(Source { name, text, .. }) if fault.message.starts_with(text) => {
                format!("{name}: {}", fault.message)
            }
            Some(Source { name, text, .. }) => format!("{name} {text}: {}", fault.message),
            None => fault.message.clone(),
        }
    }

    /// Returns each fault in a line, with its file, line and column, and whether it is an error.
    pub(crate) fn to_lines(&self) -> Vec<(bool, String)> {
        let line = |fault: &&Fault| {
            let source = fault.place.as_ref().map(|place| (place, &self.sources[place.source]));
            let line = match source.filter(|(_, source)| source.folder.is_some()) {
                Some((place, source)) => {
                    let (line, column) = line_and_column(&source.text, place.start);
                    format!("{}:{line}:{column}: {}", source.name, fault.message)
                }
                None => self.describe(fault),
            };
            (fault.severity == Severity::Error, line)
        };
        self.sorted().iter().map(line).collect()
    }

    /// Returns each fault as a JSON object in a line of its own: `file`, `line` and `column` (from 1; `null` if the
    /// fault has no place), `level` and `message`.
    pub(crate) fn to_json_lines(&self) -> String {
        let mut lines = String::new();
        for fault in self.sorted() {
            let level = match fault.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let (file, line, column) = match &fault.place {
                Some(place) => {
                    let source = &self.sources[place.source];
                    let (line, column) = line_and_column(&source.text, place.start);
                    (Some(&*source.name), Some(line), Some(column))
                }
                None => (None, None, None),
            };
            let message = &fault.message;
            let object = json!({
                "file": file, "line": line, "column": column, "level": level, "message": message
            });
            lines.push_str(&object.to_string());
            lines.push('\n');
        }
        lines
    }
}

/// Returns whether every user of this machine may read a file.
fn is_public(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

/// The line and the column, in characters, of an offset in bytes; both from 1.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
