//! Calls per day as bars, drawn by the server. The drawing stretches to its place, so its texts are
//! HTML beside it; the same numbers stand in a table below for whoever cannot see or hover it.

use keytoll_domain::time::Day;
use maud::{Markup, html};

use super::text::{brief, count, counted, date};

/// Calls of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayBar {
    pub day: Day,
    pub successes: u64,
    pub errors: u64,
}

impl DayBar {
    fn total(self) -> u64 {
        self.successes.saturating_add(self.errors)
    }
}

const HEIGHT: u64 = 1000;
const STEP: u64 = 10;
const BAR: u64 = 7;

/// The chart. `id` must be unique on the page; days are oldest first.
pub fn calls_per_day(id: &str, days: &[DayBar]) -> Markup {
    let most = days.iter().map(|day| day.total()).max().unwrap_or(0);
    let top = round_up(most);
    let width = u64::try_from(days.len()).unwrap_or(0) * STEP;
    html! {
        figure class="chart" id=(id) data-live {
            div class="scale" aria-hidden="true" {
                span { (brief(top)) } span { (brief(top / 2)) } span { "0" }
            }
            svg viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-labelledby={ (id) "-title " (id) "-desc" } {
                title id={ (id) "-title" } { "Calls per day" }
                desc id={ (id) "-desc" } { (describe(days)) }
                @for line in [0, HEIGHT / 2, HEIGHT] {
                    line class="grid" x1="0" x2=(width) y1=(line) y2=(line) {}
                }
                @for (index, day) in (0u64..).zip(days) { (bar(index, *day, top)) }
            }
            div class="days" aria-hidden="true" {
                @for day in [days.first(), days.get(days.len() / 2), days.last()].into_iter().flatten() {
                    span { (short_date(day.day)) }
                }
            }
        }
    }
}

pub fn legend() -> Markup {
    html! {
        div class="legend" {
            span { svg viewBox="0 0 9 9" aria-hidden="true" { rect class="ok" width="9" height="9" {} } "Success (2xx)" }
            span { svg viewBox="0 0 9 9" aria-hidden="true" { rect class="bad" width="9" height="9" {} } "Error" }
        }
    }
}

/// The chart's numbers, newest day first.
pub fn table(days: &[DayBar]) -> Markup {
    html! {
        details class="more" {
            summary { "Show as a table" }
            div class="scroll" tabindex="0" role="region" aria-label="Calls per day" {
                table class="table dense" {
                    thead { tr { th scope="col" { "Day (UTC)" } th class="end" scope="col" { "Calls" }
                        th class="end" scope="col" { "Successes" } th class="end" scope="col" { "Errors" } } }
                    tbody {
                        @for day in days.iter().rev() {
                            tr {
                                th scope="row" { (date(day.day.start())) }
                                td class="end" { (count(day.total())) }
                                td class="end" { (count(day.successes)) }
                                td class="end" { (count(day.errors)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn bar(index: u64, day: DayBar, top: u64) -> Markup {
    let x = index * STEP;
    let inner = x + (STEP - BAR) / 2;
    let errors = scaled(day.errors, top);
    let successes = scaled(day.total(), top).saturating_sub(errors);
    html! {
        g {
            title {
                (date(day.day.start())) ": " (counted(day.total(), "call", "calls")) ", "
                (counted(day.errors, "error", "errors"))
            }
            @if successes > 0 {
                rect class="ok" x=(inner) y=(HEIGHT - errors - successes) width=(BAR) height=(successes) {}
            }
            @if errors > 0 { rect class="bad" x=(inner) y=(HEIGHT - errors) width=(BAR) height=(errors) {} }
            rect class="hit" x=(x) y="0" width=(STEP) height=(HEIGHT) {}
        }
    }
}

/// At least one visible unit for anything above zero.
fn scaled(value: u64, top: u64) -> u64 {
    if value == 0 || top == 0 {
        return 0;
    }
    let height = u128::from(value) * u128::from(HEIGHT) / u128::from(top);
    u64::try_from(height).unwrap_or(HEIGHT).clamp(6, HEIGHT)
}

/// The next of 2, 4, 5, 8, 10 times a power of ten, so that half of it is a round number too.
fn round_up(most: u64) -> u64 {
    let mut size: u64 = 1;
    loop {
        for step in [2, 4, 6, 8, 10] {
            match size.checked_mul(step) {
                Some(top) if top >= most => return top,
                Some(_) => {}
                None => return most,
            }
        }
        size = size.saturating_mul(10);
    }
}

fn describe(days: &[DayBar]) -> String {
    let total = days.iter().fold(0u64, |sum, day| sum.saturating_add(day.total()));
    let Some(peak) = days.iter().max_by_key(|day| day.total()).filter(|day| day.total() > 0) else {
        return format!("No calls in the last {} days.", days.len());
    };
    format!(
        "{} in the last {} days; most on {} with {}.",
        counted(total, "call", "calls"),
        days.len(),
        date(peak.day.start()),
        counted(peak.total(), "call", "calls"),
    )
}

fn short_date(day: Day) -> String {
    day.start().civil().strftime("%-d %b").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_round_and_covers_the_peak() {
        for (most, top) in [(0, 2), (1, 2), (3, 4), (7, 8), (11, 20), (480, 600), (1_001, 2_000)] {
            assert_eq!(round_up(most), top, "{most}");
        }
        assert_eq!(round_up(u64::MAX), u64::MAX);
    }

    #[test]
    fn bars_stay_inside_the_drawing() {
        assert_eq!(scaled(u64::MAX, u64::MAX), HEIGHT);
        assert_eq!(scaled(1, 1_000_000), 6);
        assert_eq!(scaled(0, 10), 0);
    }
}
