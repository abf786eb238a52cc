//! Fractions: rates such as 30000/1001, which no floating point number is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Two whole numbers above zero, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Fraction {
    /// Above the line.
    pub numerator: u32,
    /// Below it.
    pub denominator: u32,
}

impl Fraction {
    /// From two numbers; `None` if one is zero or beyond what GStreamer's fractions hold.
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        let fits = |number: u32| number > 0 && i32::try_from(number).is_ok();
        let divisor = gcd(numerator, denominator);
        (fits(numerator) && fits(denominator)).then(|| Self {
            numerator: numerator / divisor,
            denominator: denominator / divisor,
        })
    }

    /// What is above the line, and what is below it.
    pub fn into_parts(self) -> (u32, u32) {
        (self.numerator, self.denominator)
    }

    /// From `30000/1001` or `30`.
    pub fn parse(text: &str) -> Option<Self> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let number = |text: &str| {
            let text = text.trim();
            // `parse` would take a sign, too.
            let is_number = text.starts_with(|c: char| c.is_ascii_digit());
            is_number.then(|| text.parse::<u32>().ok()).flatten()
        };
        Self::new(number(numerator)?, number(denominator)?)
    }

    /// As a number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    match b {
        // Of two zeros too, and then nobody divides by it.
        0 => a.max(1),
        b => gcd(b, a % b),
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_read_and_reduced() {
        for (text, shown) in [("30", "30/1"), ("30000/1001", "30000/1001"), (" 50 / 2 ", "25/1")] {
            assert_eq!(
                Fraction::parse(text).map(|fraction| fraction.to_string()).as_deref(),
                Some(shown)
            );
        }
    }

    #[test]
    fn what_is_no_fraction_above_zero_is_refused() {
        for text in [
            "",
            "/",
            "0",
            "1/0",
            "0/1",
            "-30",
            "+30",
            "29.97",
            "30/1/1",
            "4294967295",
            "1e3",
            "2147483648/1",
        ] {
            assert_eq!(Fraction::parse(text), None, "{text:?}");
        }
    }
}
