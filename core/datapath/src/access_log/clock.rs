use std::io::Write;

const NANOSECONDS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// Appends RFC 3339 in UTC with microseconds: `2009-02-13T23:31:30.000000Z`.
pub(super) fn append_timestamp(out: &mut Vec<u8>, unix_ns: u64) {
    let seconds = unix_ns / NANOSECONDS;
    let (year, month, day) = civil_date(seconds / DAY);
    let of_day = seconds % DAY;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let micros = unix_ns % NANOSECONDS / 1000;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z");
}

/// Appends seconds as protobuf's JSON wants a Duration: `0.001250s`.
pub(super) fn append_duration(out: &mut Vec<u8>, ns: u64) {
    let _ = write!(out, "{}.{:06}s", ns / NANOSECONDS, ns % NANOSECONDS / 1000);
}

/// Year, month and day of the day so many after 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year: then the months' lengths follow one
/// line (153 days in five months), and a 400-year era always has 146,097 days.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    const FROM_YEAR_0_TO_1970: u64 = 719_468;
    let days = days + FROM_YEAR_0_TO_1970;
    let (era, of_era) = (days / ERA, days % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}
