//! Request bodies: `requestBody` of 3.x, `body` and `formData` parameters of Swagger 2.0.

use serde_json::{Map, Value, json};

use super::parameter::Input;
use super::{Generation, Importer, is_true};
use crate::error::SpecError;
use crate::model::RequestBody;
use crate::pointer;
use crate::sample::Audience;

impl<'t> Importer<'t, '_> {
    pub(super) fn request_body(
        &mut self,
        inputs: &[Input<'t>],
        operation: &'t Value,
        at: &str,
    ) -> Result<Option<RequestBody>, SpecError> {
        match self.generation {
            Generation::OpenApi3 => self.body_of_3(operation, at),
            Generation::Swagger2 => self.body_of_2(inputs, operation, at),
        }
    }

    fn body_of_3(
        &mut self,
        operation: &'t Value,
        at: &str,
    ) -> Result<Option<RequestBody>, SpecError> {
        let Some(body) = operation.get("requestBody") else { return Ok(None) };
        let at = pointer::join(at, "requestBody");
        let Some((body, _)) = self.follow(body, &at) else { return Ok(None) };
        let content = body.get("content").and_then(Value::as_object);
        let Some((content_type, media)) = content.and_then(|content| content.iter().next()) else {
            self.notes.add(&at, "the request body has no content");
            return Ok(None);
        };
        let Some((media, _)) = self.follow(media, &at) else { return Ok(None) };
        let schema = match media.get("schema") {
            Some(schema) => self.copy(schema, &at)?,
            None => Value::Object(Map::new()),
        };
        let mut example = self.written_example(media, &at)?;
        if example.is_none() {
            example = self.schema_example(&schema, &at)?;
        }
        self.charge(size_of::<RequestBody>() + content_type.len(), &at)?;
        Ok(Some(RequestBody {
            required: is_true(body, "required"),
            description: self.copy_text(body, "description", &at)?,
            content_type: content_type.clone(),
            example_generated: example.is_none(),
            example: match example {
                Some(example) => example,
                None => self.generate(&schema, Audience::Request, &at)?,
            },
            schema,
        }))
    }

    fn body_of_2(
        &mut self,
        inputs: &[Input<'t>],
        operation: &'t Value,
        at: &str,
    ) -> Result<Option<RequestBody>, SpecError> {
        let body = inputs.iter().find(|input| input.location == "body");
        let form: Vec<&Input<'t>> =
            inputs.iter().filter(|input| input.location == "formData").collect();
        if let (Some(_), Some(field)) = (body, form.first()) {
            self.notes.add(&field.at, "formData beside a body parameter is ignored");
        }
        if let Some(body) = body {
            return self.body_parameter(body, operation).map(Some);
        }
        if form.is_empty() {
            return Ok(None);
        }
        self.form(&form, operation, at).map(Some)
    }

    fn body_parameter(
        &mut self,
        input: &Input<'t>,
        operation: &'t Value,
    ) -> Result<RequestBody, SpecError> {
        let (body, at) = (input.value, input.at.as_str());
        let schema = match body.get("schema") {
            Some(schema) => self.copy(schema, at)?,
            None => Value::Object(Map::new()),
        };
        let mut example = self.written_example(body, at)?;
        if example.is_none() {
            example = self.schema_example(&schema, at)?;
        }
        let media_types = self.media_types(operation, "consumes");
        Ok(RequestBody {
            required: is_true(body, "required"),
            description: self.copy_text(body, "description", at)?,
            content_type: media_types.first().unwrap_or(&"application/json").to_string(),
            example_generated: example.is_none(),
            example: match example {
                Some(example) => example,
                None => self.generate(&schema, Audience::Request, at)?,
            },
            schema,
        })
    }

    fn form(
        &mut self,
        fields: &[&Input<'t>],
        operation: &'t Value,
        at: &str,
    ) -> Result<RequestBody, SpecError> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut has_file = false;
        for field in fields {
            let mut schema = self.flat_schema(field.value, &field.at)?;
            if let Some(map) = schema.as_object_mut() {
                if map.get("type").is_some_and(|kind| kind == "file") {
                    has_file = true;
                    map.insert("type".to_owned(), json!("string"));
                    map.insert("format".to_owned(), json!("binary"));
                }
                let description = self.copy_text(field.value, "description", &field.at)?;
                map.insert("description".to_owned(), Value::String(description));
            }
            if is_true(field.value, "required") {
                required.push(Value::String(field.name.clone()));
            }
            properties.insert(field.name.clone(), schema);
        }
        let is_required = !required.is_empty();
        let schema = json!({"type": "object", "properties": properties, "required": required});
        let media_types = self.media_types(operation, "consumes");
        let form_type = media_types
            .iter()
            .find(|kind| kind.contains("form"))
            .copied()
            .unwrap_or("application/x-www-form-urlencoded");
        let content_type = if has_file { "multipart/form-data" } else { form_type };
        Ok(RequestBody {
            required: is_required,
            description: String::new(),
            content_type: content_type.to_owned(),
            example: self.generate(&schema, Audience::Request, at)?,
            example_generated: true,
            schema,
        })
    }

    /// `consumes` or `produces` of the operation, else of the document.
    pub(super) fn media_types(&self, operation: &'t Value, member: &str) -> Vec<&'t str> {
        let list = operation.get(member).or_else(|| self.tree.root().get(member));
        list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }
}
