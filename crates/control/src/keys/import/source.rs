//! The lines of an import's file, one at a time, within bounds.

use std::io::{BufRead, Read as _};

use super::{IMPORT_LINE_MAX_BYTES, IMPORT_MAX_LINES, ImportError, LineFault};

pub(super) struct Lines<'f, F> {
    file: &'f mut F,
    count: usize,
}

impl<'f, F: BufRead> Lines<'f, F> {
    pub(super) fn new(file: &'f mut F) -> Self {
        Self { file, count: 0 }
    }

    /// Lines read so far.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The next line that is not empty, with its number; without white space around it.
    pub(super) fn next(&mut self) -> Result<Option<(usize, String)>, ImportError> {
        loop {
            let mut bytes = Vec::new();
            let mut piece = self.file.take(IMPORT_LINE_MAX_BYTES as u64 + 1);
            if piece.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            if self.count >= IMPORT_MAX_LINES {
                return Err(ImportError::TooLarge);
            }
            self.count += 1;
            if bytes.len() > IMPORT_LINE_MAX_BYTES {
                let message = format!("longer than {IMPORT_LINE_MAX_BYTES} bytes");
                return Err(ImportError::Lines(vec![LineFault { line: self.count, message }]));
            }
            let text = String::from_utf8(bytes).map_err(|_| ImportError::NotText)?;
            let text = text.trim().trim_start_matches('\u{feff}');
            if !text.is_empty() {
                return Ok(Some((self.count, text.to_owned())));
            }
        }
    }
}
