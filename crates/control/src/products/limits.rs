//! Bounds of what a product or plan says about itself; more is refused with 422. What its document says is cut.

pub const NAME_MAX_CHARS: usize = 200;
pub const VERSION_MAX_CHARS: usize = 40;
pub const DESCRIPTION_MAX_CHARS: usize = 20_000;
/// Longer summaries of operations are cut.
pub const SUMMARY_MAX_CHARS: usize = 500;
pub const TAGS_MAX: usize = 50;
pub const TAG_MAX_CHARS: usize = 50;
pub const SCOPES_MAX: usize = 200;
pub const URL_MAX_LEN: usize = 2_000;
/// A hundred years.
pub const EXPIRY_MAX_DAYS: u64 = 36_500;
/// Products looked at together when host names are compared.
pub(super) const HOSTS_PAGE: u32 = 200;
