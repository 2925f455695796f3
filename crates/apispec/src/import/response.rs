//! Responses with their first content type.

use serde_json::Value;

use super::{Generation, Importer};
use crate::check;
use crate::error::SpecError;
use crate::model::Response;
use crate::pointer;
use crate::sample::Audience;

impl<'t> Importer<'t, '_> {
    pub(super) fn responses(
        &mut self,
        operation: &'t Value,
        at: &str,
    ) -> Result<Vec<Response>, SpecError> {
        let at = pointer::join(at, "responses");
        let Some(map) = operation.get("responses") else { return Ok(Vec::new()) };
        let Some(map) = map.as_object() else {
            self.notes.add(&at, "responses must be a map");
            return Ok(Vec::new());
        };
        let mut responses = Vec::new();
        let mut shown = false;
        for (status, value) in map {
            if status.starts_with("x-") {
                continue;
            }
            let here = pointer::join(&at, status);
            if !check::is_status(status) {
                self.notes.add(&here, "this is no status code");
            }
            let Some((value, _)) = self.follow(value, &here) else { continue };
            let first_success = !shown && (status.starts_with('2') || status == "default");
            shown |= first_success;
            responses.push(self.response(status, value, operation, first_success, &here)?);
        }
        Ok(responses)
    }

    fn response(
        &mut self,
        status: &str,
        value: &'t Value,
        operation: &'t Value,
        generate: bool,
        at: &str,
    ) -> Result<Response, SpecError> {
        self.charge(size_of::<Response>(), at)?;
        let (content_type, schema, written) = match self.generation {
            Generation::OpenApi3 => self.content_of_3(value, at)?,
            Generation::Swagger2 => self.content_of_2(value, operation, at)?,
        };
        let mut example = written;
        if let (None, Some(schema)) = (&example, &schema) {
            example = self.schema_example(schema, at)?;
        }
        let mut example_generated = false;
        if let (None, Some(schema), true) = (&example, &schema, generate) {
            example = Some(self.generate(schema, Audience::Response, at)?);
            example_generated = true;
        }
        Ok(Response {
            status: status.to_owned(),
            description: self.copy_text(value, "description", at)?,
            content_type,
            schema,
            example,
            example_generated,
        })
    }

    fn content_of_3(&mut self, value: &'t Value, at: &str) -> Result<Content, SpecError> {
        let content = value.get("content").and_then(Value::as_object);
        let Some((content_type, media)) = content.and_then(|content| content.iter().next()) else {
            return Ok((None, None, None));
        };
        let Some((media, _)) = self.follow(media, at) else { return Ok((None, None, None)) };
        let schema = match media.get("schema") {
            Some(schema) => Some(self.copy(schema, at)?),
            None => None,
        };
        let example = self.written_example(media, at)?;
        Ok((Some(content_type.clone()), schema, example))
    }

    fn content_of_2(
        &mut self,
        value: &'t Value,
        operation: &'t Value,
        at: &str,
    ) -> Result<Content, SpecError> {
        let schema = match value.get("schema") {
            Some(schema) => Some(self.copy(schema, at)?),
            None => None,
        };
        let examples = value.get("examples").and_then(Value::as_object);
        if let Some((content_type, example)) = examples.and_then(|all| all.iter().next()) {
            let example = self.copy(example, at)?;
            return Ok((Some(content_type.clone()), schema, Some(example)));
        }
        let produced = self.media_types(operation, "produces").first().copied();
        let content_type = schema.is_some().then(|| produced.unwrap_or("application/json"));
        Ok((content_type.map(str::to_owned), schema, None))
    }
}

/// Content type, schema, example.
type Content = (Option<String>, Option<Value>, Option<Value>);
