//! Tables as text.

use std::time::Duration;

use wamp_proto::shown;

/// The longest text of a cell, in bytes.
const CELL: usize = 60;

/// A column: its title, and whether it has numbers, which are aligned to the right.
pub(super) struct Column(pub(super) &'static str, pub(super) bool);

/// Returns the lines of a table. Unprintable characters are escaped, and no line is wider than `width`.
pub(super) fn lines(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| shown(cell, CELL).to_string()).collect()).collect();
    let len = |text: &str| text.chars().count();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            rows.iter().map(|row| len(&row[index])).chain([len(column.0)]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for ((cell, width), column) in cells.zip(&widths).zip(columns) {
            let space = " ".repeat(width.saturating_sub(len(cell)));
            line += &if column.1 { format!("{space}{cell}  ") } else { format!("{cell}{space}  ") };
        }
        let line = line.trim_end();
        match width {
            Some(width) => line.chars().take(width).collect(),
            None => line.to_owned(),
        }
    };
    let mut lines = vec![line(&mut columns.iter().map(|column| column.0))];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines
}

/// A duration in two units at most.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..100 => format!("{seconds}s"),
        100..6000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// A number of bytes.
pub(super) fn bytes(number: f64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, size)| number >= f64::from(*size)) {
        Some((unit, size)) => format!("{:.1} {unit}", number / f64::from(size)),
        None => format!("{number:.0} B"),
    }
}

/// A rate per second.
pub(super) fn rate(number: f64) -> String {
    if number < 10.0 { format!("{number:.1}/s") } else { format!("{number:.0}/s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_and_texts_of_clients_are_escaped() {
        let columns = [Column("NAME", false), Column("N", true)];
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["\u{1b}[31mred".to_owned(), "7".to_owned()]];
        let expected = ["NAME            N", "a              10", r"\u{1b}[31mred   7"];
        assert_eq!(lines(&columns, &rows, None), expected);
        assert_eq!(lines(&columns, &rows, Some(6))[2], r"\u{1b}");
    }

    #[test]
    fn numbers_have_units() {
        let spans = [0, 9_900, 99_000, 100_000, 7_260_000].map(|millis| span(Duration::from_millis(millis)));
        assert_eq!(spans, ["0.0s", "9.9s", "99s", "1m40s", "2h01m"]);
        assert_eq!([0.0, 1023.0, 1536.0, 3e6].map(bytes), ["0 B", "1023 B", "1.5 KiB", "2.9 MiB"]);
        assert_eq!([0.0, 9.94, 1234.5].map(rate), ["0.0/s", "9.9/s", "1234/s"]);
    }
}
