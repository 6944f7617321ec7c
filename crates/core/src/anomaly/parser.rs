//! The grammar of rules: `[NAME:] CONDITION {and CONDITION} {; …}`, where a condition is
//! `silent for SPAN` or `SIGNAL (>|<) NUMBER [%|/min|x baseline] [for SPAN]`.

use super::{Condition, Level, Limit, Reading, Rule, SignalName, Unit};
use crate::mistake::{Wrong, named, thousandths};
use crate::time::Span;

/// The word for no rules.
pub(super) const NONE: &str = "none";
/// The condition that the device is not heard.
const SILENT: &str = "silent";
/// Nothing is watched for longer.
const LONGEST: Span = Span::from_secs(24 * 60 * 60);
/// More rules or conditions than anybody reads.
const MOST: usize = 32;

pub(super) fn parse(text: &str) -> Result<Vec<Rule>, Wrong> {
    if text.trim() == NONE {
        return Ok(Vec::new());
    }
    let mut words = Words { chars: text.chars().collect(), at: 0 };
    let mut rules: Vec<Rule> = Vec::new();
    loop {
        let (at, rule) = words.rule()?;
        if rules.iter().any(|known| known.name == rule.name) {
            let message = format!("there is a rule `{}` already: `NAME: …` names one", rule.name);
            return Err((at, message));
        }
        if rules.len() == MOST {
            return Err((at, format!("there are more than {MOST} rules")));
        }
        rules.push(rule);
        let (at, word) = words.next();
        match word.as_str() {
            "" => return Ok(rules),
            // A `;` may stand behind the last one too.
            ";" if words.peek().is_empty() => return Ok(rules),
            ";" => {}
            _ => return Err((at, format!("expected `and`, `;` or the end, found `{word}`"))),
        }
    }
}

/// Words of letters, numbers, and single signs; spaces only separate.
struct Words {
    chars: Vec<char>,
    at: usize,
}

impl Words {
    /// The next word and where it begins; an empty one at the end.
    fn next(&mut self) -> (usize, String) {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        let begin = self.at;
        let rest = &self.chars[begin..];
        let count = |fits: fn(&char) -> bool| rest.iter().take_while(|c| fits(c)).count();
        let length = match rest.first() {
            None => 0,
            Some('0'..='9') => count(|c| matches!(c, '0'..='9' | '.')),
            Some('a'..='z' | 'A'..='Z' | '_') => {
                count(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            }
            Some(_) => 1,
        };
        self.at = begin + length;
        (begin, self.chars[begin..self.at].iter().collect())
    }

    fn peek(&mut self) -> String {
        let before = self.at;
        let (_, word) = self.next();
        self.at = before;
        word
    }

    /// Takes the next word if it is this one.
    fn take(&mut self, word: &str) -> bool {
        let is_next = self.peek() == word;
        if is_next {
            self.next();
        }
        is_next
    }

    fn rule(&mut self) -> Result<(usize, Rule), Wrong> {
        let before = self.at;
        let (at, first) = self.next();
        let named = is_word(&first) && self.take(":");
        if !named {
            self.at = before;
        }
        let mut conditions = vec![self.condition()?];
        while self.take("and") {
            let at = self.at;
            conditions.push(self.condition()?);
            if conditions.len() > MOST {
                return Err((at, format!("a rule has at most {MOST} conditions")));
            }
        }
        Ok((at, Rule { name: first, conditions }))
    }

    fn condition(&mut self) -> Result<Condition, Wrong> {
        let (at, word) = self.next();
        if word == SILENT {
            let (at, next) = self.next();
            if next != "for" {
                return Err((at, format!("expected `for` and a span, found {}", named(&next))));
            }
            return Ok(Condition::Silent(self.span()?));
        }
        let signal: SignalName = word.parse().map_err(|_| {
            (at, format!("expected a signal like `processor` or `silent`, found {}", named(&word)))
        })?;
        let (at, sign) = self.next();
        let side = match sign.as_str() {
            ">" => Limit::Above,
            "<" => Limit::Below,
            _ => return Err((at, format!("expected `>` or `<`, found {}", named(&sign)))),
        };
        let limit = side(self.level(&signal)?);
        let span = if self.take("for") { self.span()? } else { Span::ZERO };
        Ok(Condition::Beyond { signal, limit, span })
    }

    fn level(&mut self, signal: &SignalName) -> Result<Level, Wrong> {
        let (at, word) = self.next();
        let number = reading(&word).ok_or_else(|| {
            (at, format!("expected a number with at most 3 decimals, found {}", named(&word)))
        })?;
        if self.take("x") {
            let (at, word) = self.next();
            return match word.as_str() {
                "baseline" if number > Reading::default() => Ok(Level::Baseline(number)),
                "baseline" => Err((at, "nothing is 0 times what is normal".to_owned())),
                _ => Err((at, format!("expected `baseline`, found {}", named(&word)))),
            };
        }
        let unit = self.unit()?;
        if signal.is_percentage() && (unit != Unit::Percent || number > Reading::whole(100)) {
            return Err((at, format!("`{signal}` is measured in percent, from 0% to 100%")));
        }
        Ok(Level::Fixed(number, unit))
    }

    fn unit(&mut self) -> Result<Unit, Wrong> {
        if self.take("%") {
            return Ok(Unit::Percent);
        }
        if !self.take("/") {
            return Ok(Unit::Own);
        }
        let (at, word) = self.next();
        if word == "min" {
            return Ok(Unit::PerMinute);
        }
        Err((at, format!("expected `/min`, found {}", named(&word))))
    }

    /// Numbers with their units, like `5m` or `1h 30m`.
    fn span(&mut self) -> Result<Span, Wrong> {
        let (mut begin, mut text) = (None, String::new());
        while self.peek().starts_with(|c: char| c.is_ascii_digit()) {
            let (at, number) = self.next();
            begin = begin.or(Some(at));
            text = text + &number + &self.next().1;
        }
        let Some(at) = begin else {
            let (at, word) = self.next();
            return Err((at, format!("expected a span like `5m`, found {}", named(&word))));
        };
        match text.parse::<Span>() {
            Ok(Span::ZERO) => Err((at, "it must be longer than nothing".to_owned())),
            Ok(span) if span > LONGEST => Err((at, "nothing is watched for more than 1d".into())),
            Ok(span) => Ok(span),
            Err(error) => Err((at, error.to_string())),
        }
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// A decimal number with at most three digits behind the point.
fn reading(text: &str) -> Option<Reading> {
    thousandths(text, 12).map(Reading::from_thousandths)
}
