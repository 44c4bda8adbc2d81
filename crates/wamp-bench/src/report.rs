//! The output: Markdown tables on standard output, row by row, as they are measured.

use std::io::Write;
use std::time::Duration;

use crate::order::Wrong;

/// Standard output may be closed; the measurement goes on.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The measurements of a fast scenario; cells without one are empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// Per second: results, calls, sessions.
    pub(crate) rate: Option<f64>,
    pub(crate) times: Option<Times>,
    /// The rate, or the median time, divided by that of the null relay in the same repetition.
    pub(crate) of_null: Option<f64>,
    /// The router's CPU seconds per million.
    pub(crate) cpu: Option<f64>,
    /// The router's resident bytes at the end.
    pub(crate) memory: Option<f64>,
    pub(crate) wrong: Option<Wrong>,
    /// The measurements of this scenario alone.
    pub(crate) own: Vec<(&'static str, f64)>,
}

/// The median and the 99th percentile of some times, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |part: f64| {
            let rank = (part * times.len() as f64).ceil() as usize;
            times.get(rank.max(1) - 1).map(|time| time.as_secs_f64() * 1e6)
        };
        Some(Self { p50: at(0.5)?, p99: at(0.99)? })
    }
}

impl Row {
    pub(crate) const HEAD: &'static str = "\
| scenario | per second | p50 us | p99 us | of null | router CPU s per million | router MiB | lost / doubled / out of order | |
|---|---|---|---|---|---|---|---|---|";

    /// The medians of several repetitions; mistakes are added up.
    pub(crate) fn median(rows: &[Row]) -> Row {
        let of = |pick: &dyn Fn(&Row) -> Option<f64>| median(rows.iter().filter_map(pick).collect());
        let p50 = of(&|row| row.times.map(|times| times.p50));
        let p99 = of(&|row| row.times.map(|times| times.p99));
        let wrong = rows.iter().filter_map(|row| row.wrong).reduce(|mut sum, wrong| {
            sum.add(wrong);
            sum
        });
        let names = rows.first().map(|row| row.own.as_slice()).unwrap_or_default();
        let own = |name: &str, row: &Row| row.own.iter().find(|own| own.0 == name).map(|own| own.1);
        Row {
            rate: of(&|row| row.rate),
            times: p50.zip(p99).map(|(p50, p99)| Times { p50, p99 }),
            of_null: of(&|row| row.of_null),
            cpu: of(&|row| row.cpu),
            memory: of(&|row| row.memory),
            wrong,
            own: names.iter().filter_map(|(name, _)| Some((*name, of(&|row| own(name, row))?))).collect(),
        }
    }

    pub(crate) fn line(&self, name: &str) -> String {
        let number = |figure: Option<f64>| figure.map(figure_text).unwrap_or_default();
        let own: Vec<_> =
            self.own.iter().map(|(what, figure)| format!("{what} {}", figure_text(*figure))).collect();
        format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            number(self.rate),
            number(self.times.map(|times| times.p50)),
            number(self.times.map(|times| times.p99)),
            number(self.of_null),
            number(self.cpu),
            number(self.memory.map(|bytes| bytes / f64::from(1 << 20))),
            self.wrong.map(|wrong| wrong.to_string()).unwrap_or_default(),
            own.join(", "),
        )
    }
}

pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(figures[middle]),
        _ => Some((figures[middle - 1] + figures[middle]) / 2.0),
    }
}

/// Three significant digits, and thousands in groups.
pub(crate) fn figure_text(figure: f64) -> String {
    if figure.abs() < 100.0 {
        let decimals = match figure.abs() {
            ..1.0 => 3,
            1.0..10.0 => 2,
            _ => 1,
        };
        return format!("{figure:.decimals$}");
    }
    let digits = format!("{:.0}", figure.abs());
    let mut text = String::from(if figure < 0.0 { "-" } else { "" });
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let texts = [0.1234, 12.34, 123.4, 1_234_567.8, -5000.0].map(figure_text);
        assert_eq!(texts, ["0.123", "12.3", "123", "1,234,568", "-5,000"]);
    }

    #[test]
    fn medians_and_percentiles_need_no_minimum_of_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
        let times = Times::of((1..=100).map(Duration::from_micros).collect()).unwrap();
        assert_eq!((times.p50.round(), times.p99.round()), (50.0, 99.0));
        assert!(Times::of(Vec::new()).is_none());
    }
}
