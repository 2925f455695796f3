//! Every bound of the importer, by name, with what happens when it is reached.

/// Longest document or external file, in bytes; a longer one is refused.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;
/// Deepest nesting of maps and lists; a deeper document is refused.
pub const MAX_DEPTH: usize = 100;
/// Most values in one file after YAML aliases are expanded; more are refused.
pub const MAX_NODES: usize = 2_000_000;
/// Most bytes of text in one file after YAML aliases are expanded; more are refused.
pub const MAX_TEXT_BYTES: usize = 32 * 1024 * 1024;
/// Most YAML aliases; more are refused.
pub const MAX_YAML_ALIASES: usize = 10_000;
/// Most YAML events that aliases may repeat; more are refused.
pub const MAX_YAML_REPLAYED_EVENTS: usize = 500_000;

/// Most external files; further ones are not loaded, with a diagnostic.
pub const MAX_FILES: usize = 256;
/// Most bytes of all files together; further ones are not loaded, with a diagnostic.
pub const MAX_TOTAL_BYTES: usize = 32 * 1024 * 1024;
/// Longest path of an external file in bytes; a longer one is not asked for.
pub const MAX_FILE_NAME_BYTES: usize = 1024;
/// Most references followed from one place to its value; a longer chain does not resolve.
pub const MAX_REF_CHAIN: usize = 32;

/// Most operations; a document with more is refused.
pub const MAX_OPERATIONS: usize = 20_000;
/// Most parameters of one operation; further ones are ignored, with a diagnostic.
pub const MAX_PARAMETERS: usize = 500;
/// Most placeholders of a path that are looked at; the rest are not checked.
pub const MAX_PLACEHOLDERS: usize = 64;
/// Most bytes that operations may copy out of the document; more are refused, because references
/// let a small document describe a huge one.
pub const MAX_IMPORTED_BYTES: usize = 128 * 1024 * 1024;
/// Most diagnostics kept; the last one then tells how many were left out.
pub const MAX_DIAGNOSTICS: usize = 500;

/// Most values in one generated sample; what does not fit is left out.
pub const MAX_SAMPLE_NODES: usize = 200;
/// Deepest nesting of a generated sample; deeper values are left out.
pub const MAX_SAMPLE_DEPTH: usize = 8;
/// Most schemas looked at for one generated sample.
pub const MAX_SAMPLE_STEPS: usize = 2_000;
/// Most properties of one schema looked at for a sample.
pub const MAX_SAMPLE_PROPERTIES: usize = 1_000;
/// Most schemas looked at for all samples of one import; later samples are `{}`.
pub const MAX_IMPORT_SAMPLE_STEPS: usize = 4_000_000;
/// Longest text that a sample is stretched to for `minLength`.
pub const MAX_SAMPLE_TEXT_BYTES: usize = 64;

/// Most segments of a path template that the matcher takes; a longer one never matches.
pub const MAX_TEMPLATE_SEGMENTS: usize = 64;

/// Most changes that a comparison of two documents lists.
pub const MAX_CHANGES: usize = 5_000;
/// Most pairs of schemas compared for one body or parameter.
pub const MAX_DIFF_STEPS: usize = 20_000;
