//! Points in time as the meta API writes them: RFC 3339, UTC, milliseconds (behaviour
//! [174](crate::behaviour#rule-174)).

use std::time::Duration;

use crate::Time;

/// Milliseconds since the origin of a machine, in little space: 8,900 years of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    low: u32,
    high: u16,
}

impl Moment {
    pub(crate) fn new(time: Time) -> Self {
        let millis = time.since_origin().as_millis();
        Self { low: millis as u32, high: u16::try_from(millis >> 32).unwrap_or(u16::MAX) }
    }

    /// The text of this moment. `epoch` is the time from 1970 to the origin.
    pub(crate) fn text(self, epoch: Duration) -> String {
        rfc_3339(epoch + Duration::from_millis(u64::from(self.high) << 32 | u64::from(self.low)))
    }
}

/// The text of a time since 1970-01-01T00:00:00Z, such as `2026-03-01T12:00:00.000Z`.
pub(crate) fn rfc_3339(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = since_1970.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Reads a time as in RFC 3339, and returns the time since 1970-01-01T00:00:00Z; zero for an earlier time.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = (rest.get(..8)?, rest.get(8..)?);
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            (Some(&rest[..digits]).filter(|digits| !digits.is_empty())?, &rest[digits..])
        }
        None => ("", rest),
    };
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    // The offset is that of the clock: 12:00+02:00 is 10:00Z.
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let sign = match zone.get(..1)? {
                "+" => -1,
                "-" => 1,
                _ => return None,
            };
            let [hours, minutes] = numbers(&zone[1..], ':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes) as i64 * 60
        }
    };
    let seconds = (hour * 60 + minute) * 60 + second;
    let since = days_since_1970(year, month, day) * 86_400 + seconds as i64 + offset;
    Some(u64::try_from(since).map_or(Duration::ZERO, |seconds| Duration::new(seconds, nanos)))
}

/// Numbers of so many digits each.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// The days from 1970-01-01 to a date in the Gregorian calendar; negative for an earlier date. Years begin in March, as
/// in [`date`].
fn days_since_1970(year: u64, month: u64, day: u64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.wrapping_sub(1), month + 9) };
    let year = year as i64;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year as i64;
    era * 146_097 + of_era - 719_468
}

/// The date of a day since 1970-01-01, in the Gregorian calendar. Years begin in March here, so that a leap day is
/// the last day of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    // behaviour 174
    #[test]
    fn times_are_written_as_in_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc_3339(Duration::from_secs(seconds)), text);
        }
    }

    // behaviour 125
    #[test]
    fn times_are_read_as_in_rfc_3339() {
        for seconds in (0..8_000_000_000).step_by(86_399_999) {
            let time = Duration::from_secs(seconds);
            assert_eq!(read(&rfc_3339(time)), Some(time), "{seconds}");
        }
        for (text, millis) in [
            ("2000-02-29T12:00:00Z", Some(951_825_600_000)),
            ("2000-02-29t12:00:00z", Some(951_825_600_000)),
            ("2000-02-29 14:30:00+02:30", Some(951_825_600_000)),
            ("2000-02-28T23:00:00-13:00", Some(951_825_600_000)),
            ("2000-02-29T12:00:00.5Z", Some(951_825_600_500)),
            ("2000-02-29T12:00:00.123456789012Z", Some(951_825_600_123)),
            ("1969-12-31T23:59:59Z", Some(0)),
            ("0000-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:00+00:01", Some(0)),
            ("9999-12-31T23:59:60Z", Some(253_402_300_800_000)),
            ("2001-02-29T12:00:00Z", None),
            ("2000-00-01T12:00:00Z", None),
            ("2000-13-01T12:00:00Z", None),
            ("2000-01-32T12:00:00Z", None),
            ("2000-01-01T24:00:00Z", None),
            ("2000-01-01T12:00:00", None),
            ("2000-01-01T12:00:00.Z", None),
            ("2000-01-01T12:00:00+2:00", None),
            ("2000-01-01T12:00:00+0200", None),
            ("2000-01-01", None),
            ("2000-1-01T12:00:00Z", None),
            ("+000-01-01T12:00:00Z", None),
            ("2000-01-01T12:00:00Z ", None),
            ("20\u{e9}0-01-01T12:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(read(text).map(|time| time.as_millis()), millis, "{text}");
        }
    }

    #[test]
    fn a_moment_keeps_milliseconds_for_thousands_of_years() {
        for millis in [0, 7, u64::from(u32::MAX), u64::from(u32::MAX) + 1, 1 << 45] {
            let moment = Moment::new(Time::after(Duration::from_millis(millis)));
            let epoch = Duration::from_secs(1_700_000_000);
            assert_eq!(moment.text(epoch), rfc_3339(epoch + Duration::from_millis(millis)));
        }
        assert_eq!(size_of::<Moment>(), 8);
    }
}
