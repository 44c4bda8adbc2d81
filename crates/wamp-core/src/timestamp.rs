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
