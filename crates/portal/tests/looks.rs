//! Every sample page keeps the rules that the content policy and assistive technology rely on.

#[path = "../examples/looks/samples.rs"]
mod samples;

use std::collections::HashSet;

use keytoll_portal::ui::Theme;

#[test]
fn pages_have_no_inline_script_or_style() {
    for (name, page) in samples::all(Theme::Dark) {
        for banned in [" style=", " onclick=", "<style", "javascript:", "<script>", "<img"] {
            assert!(!page.contains(banned), "{banned} on {name}");
        }
    }
}

#[test]
fn ids_are_unique_and_labels_name_fields() {
    for (name, page) in samples::all(Theme::System) {
        let ids: Vec<&str> = values(&page, " id=\"").collect();
        let distinct: HashSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len(), "an id occurs twice on {name}: {ids:?}");
        for target in values(&page, " for=\"") {
            assert!(distinct.contains(target), "nothing is called {target} on {name}");
        }
        for list in values(&page, "aria-describedby=\"").chain(values(&page, "aria-labelledby=\""))
        {
            for target in list.split(' ') {
                assert!(distinct.contains(target), "nothing is called {target} on {name}");
            }
        }
    }
}

#[test]
fn every_page_has_one_heading_a_language_and_a_skip_link() {
    for (name, page) in samples::all(Theme::Light) {
        assert_eq!(page.matches("<h1").count(), 1, "{name}");
        assert!(page.contains("<html lang=\"en\"") && page.contains("href=\"#main\""), "{name}");
        assert_eq!(page.matches("<main").count(), 1, "{name}");
    }
}

fn values<'a>(page: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    page.split(start).skip(1).filter_map(|rest| rest.split('"').next())
}
