//! Form fields with label, hint and error, tied together for assistive technology.

use maud::{Markup, html};

use super::icon::icon;

/// What was wrong with the fields of a form, in the order found. The empty name is the whole form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<(&'static str, String)>);

impl Problems {
    pub fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.push((field, message.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, message)| message.as_str())
    }

    /// Says at the top of the form that it was refused and links to each field.
    pub fn summary(&self) -> Markup {
        html! {
            @if !self.is_empty() {
                div class="notice bad" role="alert" {
                    (icon("alert"))
                    div {
                        @for (field, message) in &self.0 {
                            @if field.is_empty() { span { (message) } }
                            @else { a href={ "#" (field) } { (message) } }
                        }
                    }
                }
            }
        }
    }
}

impl From<(&'static str, &str)> for Problems {
    fn from((field, message): (&'static str, &str)) -> Self {
        Self(vec![(field, message.to_owned())])
    }
}

/// One labelled input. The name is also the id.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    pub name: &'static str,
    pub label: &'a str,
    pub kind: &'a str,
    pub value: &'a str,
    pub hint: &'a str,
    pub autocomplete: &'a str,
    pub required: bool,
    pub max_chars: u32,
}

impl Default for Field<'_> {
    fn default() -> Self {
        Self {
            name: "",
            label: "",
            kind: "text",
            value: "",
            hint: "",
            autocomplete: "off",
            required: false,
            max_chars: 200,
        }
    }
}

impl Field<'_> {
    pub fn show(&self, problems: &Problems) -> Markup {
        let problem = problems.of(self.name);
        let number = self.kind == "number";
        html! {
            div class="field" {
                label for=(self.name) {
                    (self.label) @if !self.required { span class="muted" { " (optional)" } }
                }
                input class="input" id=(self.name) name=(self.name) type=(self.kind) value=(self.value)
                    autocomplete=(self.autocomplete) required[self.required]
                    maxlength=[(!number && self.kind != "datetime-local").then_some(self.max_chars)]
                    min=[number.then_some(1)] step=[number.then_some(1)]
                    aria-invalid=[problem.map(|_| "true")]
                    aria-describedby=[self.described(problem)];
                (notes(self.name, self.hint, problem))
            }
        }
    }

    fn described(&self, problem: Option<&str>) -> Option<String> {
        described_by(self.name, self.hint, problem)
    }
}

/// A text of several lines.
pub fn text_area(
    name: &'static str,
    label: &str,
    value: &str,
    hint: &str,
    problems: &Problems,
) -> Markup {
    let problem = problems.of(name);
    html! {
        div class="field" {
            label for=(name) { (label) span class="muted" { " (optional)" } }
            textarea class="input mono" id=(name) name=(name) rows="3" spellcheck="false"
                aria-invalid=[problem.map(|_| "true")]
                aria-describedby=[described_by(name, hint, problem)] { (value) }
            (notes(name, hint, problem))
        }
    }
}

/// One way to answer a question.
#[derive(Clone, Debug)]
pub struct Choice {
    pub value: String,
    pub label: Markup,
    pub hint: String,
    pub chosen: bool,
}

/// A group of radio buttons, or of check boxes where several may hold.
pub fn choices(
    name: &'static str,
    legend: &str,
    hint: &str,
    several: bool,
    options: &[Choice],
    problems: &Problems,
) -> Markup {
    let problem = problems.of(name);
    html! {
        fieldset class="choices grid" id=(name) tabindex="-1"
            aria-describedby=[described_by(name, hint, problem)] {
            legend { (legend) }
            (notes(name, hint, problem))
            @for option in options {
                label class="choice" {
                    input type=(if several { "checkbox" } else { "radio" }) name=(name)
                        value=(option.value) checked[option.chosen] required[!several];
                    span {
                        span { (option.label) }
                        @if !option.hint.is_empty() { small { (option.hint) } }
                    }
                }
            }
        }
    }
}

/// A drop-down list of (value, text).
pub fn select(name: &'static str, label: &str, value: &str, options: &[(&str, &str)]) -> Markup {
    html! {
        div class="field" {
            label class="hush" for=(name) { (label) }
            select class="input" id=(name) name=(name) {
                @for (option, text) in options {
                    option value=(option) selected[*option == value] { (text) }
                }
            }
        }
    }
}

/// A search box for a list.
pub fn search(value: &str, label: &str) -> Markup {
    html! {
        div class="field grow" {
            label class="hush" for="q" { (label) }
            input class="input" type="search" id="q" name="q" value=(value) placeholder=(label)
                maxlength="100" autocomplete="off";
        }
    }
}

fn notes(name: &str, hint: &str, problem: Option<&str>) -> Markup {
    html! {
        @if let Some(problem) = problem {
            p class="problem" id={ (name) "-problem" } { (icon("alert")) (problem) }
        }
        @if !hint.is_empty() { p class="hint" id={ (name) "-hint" } { (hint) } }
    }
}

fn described_by(name: &str, hint: &str, problem: Option<&str>) -> Option<String> {
    let mut ids = Vec::new();
    if problem.is_some() {
        ids.push(format!("{name}-problem"));
    }
    if !hint.is_empty() {
        ids.push(format!("{name}-hint"));
    }
    (!ids.is_empty()).then(|| ids.join(" "))
}
