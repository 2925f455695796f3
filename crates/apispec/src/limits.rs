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

/// Most schemas that the validators of one document hold; what further ones ask for is not checked.
pub const MAX_VALIDATED_SCHEMAS: usize = 200_000;
/// Most distinct patterns of the validators of one document; further ones are not checked.
pub const MAX_PATTERNS: usize = 1_000;
/// Longest pattern in bytes; a longer one is not checked.
pub const MAX_PATTERN_BYTES: usize = 4 * 1024;
/// Most bytes that one compiled pattern may take, and its cache likewise; a larger one is not checked.
pub const MAX_COMPILED_PATTERN_BYTES: usize = 256 * 1024;
/// Longest JSON body that is validated.
pub const MAX_VALIDATED_BODY_BYTES: usize = 1024 * 1024;
/// Most violations told of one request; the rest are left out.
pub const MAX_VIOLATIONS: usize = 20;
/// Most characters of one name that a violation repeats.
pub const MAX_VIOLATION_NAME_CHARS: usize = 64;
/// Most characters of a violation's message.
pub const MAX_VIOLATION_CHARS: usize = 200;
/// Most comparisons of a schema with a value in one request; a request that needs more is a violation.
pub const MAX_VALIDATION_STEPS: u32 = 500_000;
/// Deepest nesting of schemas that is followed for one value; what lies deeper is not checked.
pub const MAX_VALIDATION_DEPTH: usize = 160;
/// Most parameters in the query of a validated request; more are a violation.
pub const MAX_QUERY_PAIRS: usize = 1_000;
