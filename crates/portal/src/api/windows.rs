//! `limits` and `quota` as bodies write them. Bounds are control's to check.

use keytoll_domain::catalog::{Quota, WindowLimits};

use super::body::Members;

const WINDOWS: [&str; 4] = ["second", "minute", "hour", "day"];

/// The windows of the member `limits`; absent and `null` are the same.
pub(super) fn windows(members: &mut Members) -> Option<WindowLimits> {
    let mut own = members.object("limits")?;
    let limits = WindowLimits {
        second: own.count("second"),
        minute: own.count("minute"),
        hour: own.count("hour"),
        day: own.count("day"),
    };
    members.merge("limits", own, &WINDOWS);
    Some(limits)
}

/// The member `quota`; hard unless it says otherwise.
pub(super) fn quota(members: &mut Members) -> Option<Quota> {
    let mut own = members.object("quota")?;
    if !own.has("calls") {
        own.fault("/calls", "`calls` is missing");
    }
    let quota = Quota {
        units: own.count("calls").unwrap_or_default(),
        hard: own.flag("hard").unwrap_or(true),
    };
    members.merge("quota", own, &["calls", "hard"]);
    Some(quota)
}
