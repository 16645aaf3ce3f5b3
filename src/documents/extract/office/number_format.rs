//! Numbers of a spreadsheet as its cells show them: dates, times, percentages, decimals.
//!
//! A cell holds a number and the index of a format; only the format says that 45306 is a day in January. Dates are
//! written as RFC 3339 writes them, whatever order of day and month the format has: it is the one that every reader
//! understands alike.

use chrono::{Duration, NaiveDate};

/// What a format makes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberFormat {
    /// As many digits as it has.
    #[default]
    General,
    /// So many digits after the point, with commas between thousands or without.
    Fixed {
        decimals: usize,
        thousands: bool,
    },
    Percent {
        decimals: usize,
    },
    Date,
    Time,
    DateTime,
    /// Hours that may be more than a day's, as `[h]:mm` has them.
    Elapsed,
}

use NumberFormat::{Date, DateTime, Elapsed, Fixed, General, Percent, Time};

impl NumberFormat {
    /// The format with an index that Excel defines itself (ECMA-376, part 1, 18.8.30); those of East Asian versions
    /// are dates.
    pub fn built_in(index: u32) -> Self {
        match index {
            1 => Fixed { decimals: 0, thousands: false },
            2 => Fixed { decimals: 2, thousands: false },
            3 | 5 | 6 | 37 | 38 | 41 | 42 => Fixed { decimals: 0, thousands: true },
            4 | 7 | 8 | 39 | 40 | 43 | 44 => Fixed { decimals: 2, thousands: true },
            9 => Percent { decimals: 0 },
            10 => Percent { decimals: 2 },
            14..=17 | 27..=31 | 34..=36 | 50..=58 => Date,
            18..=21 | 32 | 33 | 45 | 47 => Time,
            22 => DateTime,
            46 => Elapsed,
            _ => General,
        }
    }

    /// The format of a code such as `yyyy\-mm\-dd` or `#,##0.00 [$€-407]`. Its first section counts, that of positive
    /// numbers.
    pub fn parse(code: &str) -> Self {
        let (mut date, mut month, mut time) = (false, false, false);
        let (mut percent, mut thousands, mut digits) = (false, false, false);
        let mut decimals: Option<usize> = None;
        let mut characters = code.chars().peekable();
        while let Some(character) = characters.next() {
            match character.to_ascii_lowercase() {
                ';' => break,
                '"' => drop(characters.by_ref().find(|next| *next == '"')),
                '\\' | '_' | '*' => drop(characters.next()),
                '[' => {
                    let inner: String = characters.by_ref().take_while(|next| *next != ']').collect();
                    let inner = inner.to_ascii_lowercase();
                    // Colours, conditions and currencies stand in brackets too.
                    if !inner.is_empty() && inner.chars().all(|unit| matches!(unit, 'h' | 'm' | 's')) {
                        return Elapsed;
                    }
                }
                'd' | 'y' => date = true,
                'h' | 's' => time = true,
                'm' => month = true,
                // Exponents, fractions, and the word General.
                'e' | '?' | '/' if !date && !time && !month => return General,
                'g' => return General,
                '%' => percent = true,
                '.' => decimals = Some(0),
                '0' | '#' => {
                    digits = true;
                    decimals = decimals.map(|count| count + usize::from(character == '0'));
                }
                ',' => thousands |= digits,
                _ => {}
            }
        }
        let decimals = decimals.unwrap_or_default().min(15);
        // Beside hours or seconds it is minutes.
        match (date || (month && !time), time) {
            (true, true) => DateTime,
            (true, false) => Date,
            (false, true) => Time,
            _ if percent => Percent { decimals },
            _ if digits => Fixed { decimals, thousands },
            _ => General,
        }
    }

    /// `number` as a cell shows it. `from_1904` for workbooks whose days count from 1904.
    pub fn show(self, number: f64, from_1904: bool) -> String {
        let shown = match self {
            General => None,
            Fixed { decimals, thousands: false } => Some(format!("{number:.decimals$}")),
            Fixed { decimals, thousands: true } => Some(grouped(&format!("{number:.decimals$}"))),
            Percent { decimals } => Some(format!("{:.decimals$}%", number * 100.0)),
            Elapsed => elapsed(number),
            Date | Time | DateTime => moment(number, from_1904, self),
        };
        shown.filter(|shown| shown.len() < 40).unwrap_or_else(|| general(number))
    }
}

/// As many digits as Excel keeps, 15.
fn general(number: f64) -> String {
    let number = format!("{number:.14e}").parse().unwrap_or(number);
    match number.abs() {
        0.0 => "0".to_owned(),
        1e-9..1e15 => number.to_string(),
        _ => format!("{number:E}"),
    }
}

fn grouped(number: &str) -> String {
    let (sign, number) = if let Some(rest) = number.strip_prefix('-') { ("-", rest) } else { ("", number) };
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut grouped = String::from(sign);
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

fn elapsed(days: f64) -> Option<String> {
    let seconds = (days * 86_400.0).round();
    if !(0.0..1e12).contains(&seconds) {
        return None;
    }
    let seconds = seconds as u64;
    Some(format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60))
}

/// A day and time. Day 1 is the first of January 1900, and 1900 has a 29th of February, as in Lotus 1-2-3.
fn moment(days: f64, from_1904: bool, format: NumberFormat) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&days) {
        return None;
    }
    let epoch = match from_1904 {
        true => NaiveDate::from_ymd_opt(1904, 1, 1)?,
        false if days < 60.0 => NaiveDate::from_ymd_opt(1899, 12, 31)?,
        false => NaiveDate::from_ymd_opt(1899, 12, 30)?,
    };
    let seconds = (days * 86_400.0).round() as i64;
    let moment = epoch.and_hms_opt(0, 0, 0)? + Duration::seconds(seconds);
    Some(match format {
        Time => moment.format("%H:%M:%S").to_string(),
        Date => moment.format("%Y-%m-%d").to_string(),
        _ => moment.format("%Y-%m-%d %H:%M:%S").to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_codes() {
        for (code, format) in [
            ("General", General),
            ("0.00", Fixed { decimals: 2, thousands: false }),
            ("#,##0", Fixed { decimals: 0, thousands: true }),
            ("#,##0.00\\ \"€\"", Fixed { decimals: 2, thousands: true }),
            ("[$€-407]#,##0.00;[Red]-#,##0.00", Fixed { decimals: 2, thousands: true }),
            ("0.0%", Percent { decimals: 1 }),
            ("yyyy\\-mm\\-dd", Date),
            ("[$-409]mmmm\\ d\\,\\ yyyy;@", Date),
            ("dd/mm/yyyy hh:mm", DateTime),
            ("mm:ss", Time),
            ("h:mm AM/PM", Time),
            ("[h]:mm:ss", Elapsed),
            ("0.00E+00", General),
            ("# ?/?", General),
            ("@", General),
            ("\"day\" 0", Fixed { decimals: 0, thousands: false }),
        ] {
            assert_eq!(NumberFormat::parse(code), format, "{code}");
        }
    }

    #[test]
    fn numbers_are_shown_as_in_their_cells() {
        for (format, number, shown) in [
            (General, 0.1 + 0.2, "0.3"),
            (General, 1e20, "1E20"),
            (General, -12.0, "-12"),
            (Fixed { decimals: 2, thousands: true }, -1_234_567.891, "-1,234,567.89"),
            (Percent { decimals: 1 }, 0.4567, "45.7%"),
            (Date, 45_306.0, "2024-01-15"),
            (Date, 1.0, "1900-01-01"),
            (DateTime, 45_306.75, "2024-01-15 18:00:00"),
            (Time, 0.25, "06:00:00"),
            (Elapsed, 1.5, "36:00:00"),
            (Date, -5.0, "-5"),
            (Date, f64::INFINITY, "INF"),
        ] {
            assert_eq!(format.show(number, false).to_uppercase(), shown, "{format:?}");
        }
        assert_eq!(Date.show(43_844.0, true), "2024-01-15");
    }
}
