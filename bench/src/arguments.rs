//! `--name value` pairs.

use std::collections::HashMap;
use std::error::Error;
use std::str::FromStr;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) struct Arguments(HashMap<String, String>);

impl Arguments {
    pub(crate) fn of(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut given = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("{word} is no option"))?;
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            given.insert(name.to_owned(), value);
        }
        Ok(Self(given))
    }

    pub(crate) fn text(&self, name: &str) -> Outcome<&str> {
        Ok(self.0.get(name).ok_or_else(|| format!("--{name} is needed"))?)
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Outcome<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| format!("--{name} {text} is no number").into())
    }

    pub(crate) fn number_or<T: FromStr>(&self, name: &str, default: T) -> Outcome<T> {
        if self.0.contains_key(name) { self.number(name) } else { Ok(default) }
    }
}
