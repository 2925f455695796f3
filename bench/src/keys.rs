//! Keys as providers import them: the brand's prefix and 43 letters and digits.

use std::io::{BufWriter, Write as _, stdout};

use crate::arguments::Outcome;
use crate::random::Random;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_CHARACTERS: usize = 43;

pub(crate) fn run(mut words: impl Iterator<Item = String>) -> Outcome {
    let count: u64 = words.next().ok_or("how many keys?")?.parse()?;
    let seed = words.next().map_or(Ok(1), |text| text.parse())?;
    let mut random = Random::new(seed);
    let mut out = BufWriter::new(stdout().lock());
    for _ in 0..count {
        let mut line = *b"sk_live_...........................................\n";
        for place in &mut line[8..8 + SECRET_CHARACTERS] {
            *place = ALPHABET[usize::try_from(random.below(62))?];
        }
        out.write_all(&line)?;
    }
    Ok(out.flush()?)
}
