//! What a schema plainly says about itself, for reading parameters and for telling alternatives apart.

use super::check::Checker;
use super::schema::{Schema, SchemaId, Types};

/// Deepest nesting, and most parts of one schema, that are looked through.
const MAX_LOOK: usize = 8;

impl<'v> Checker<'v> {
    /// The types that a schema can take, as far as it says so plainly; empty if it does not.
    pub(super) fn types(&self, id: SchemaId) -> Types {
        self.types_within(id, MAX_LOOK)
    }

    fn types_within(&self, id: SchemaId, depth: usize) -> Types {
        let schema = &self.schemas[id as usize];
        if depth == 0 || !schema.types.is_empty() {
            let null = if schema.nullable { Types::NULL } else { Types::default() };
            return schema.types.with(null);
        }
        if let Some(target) = schema.reference {
            let types = self.types_within(target, depth - 1);
            if !types.is_empty() {
                return types;
            }
        }
        let Some(parts) = &schema.parts else { return Types::default() };
        let mut types = Types::default();
        for part in parts.all_of.iter().take(MAX_LOOK) {
            types = types.with(self.types_within(*part, depth - 1));
        }
        for part in parts.one_of.iter().chain(&parts.any_of).take(MAX_LOOK) {
            let one = self.types_within(*part, depth - 1);
            if one.is_empty() && types.is_empty() {
                return Types::default();
            }
            types = types.with(one);
        }
        types
    }

    /// The first schema that the given one leads to for which `pick` finds something.
    pub(super) fn find<T>(
        &self,
        id: SchemaId,
        pick: &dyn Fn(&'v Schema) -> Option<T>,
    ) -> Option<T> {
        self.find_within(id, pick, MAX_LOOK)
    }

    fn find_within<T>(
        &self,
        id: SchemaId,
        pick: &dyn Fn(&'v Schema) -> Option<T>,
        depth: usize,
    ) -> Option<T> {
        let schema = &self.schemas[id as usize];
        if let Some(found) = pick(schema) {
            return Some(found);
        }
        if depth == 0 {
            return None;
        }
        let parts = schema.parts.as_deref();
        let parts = parts.into_iter().flat_map(|parts| {
            parts.all_of.iter().chain(&parts.one_of).chain(&parts.any_of).take(MAX_LOOK)
        });
        schema
            .reference
            .iter()
            .chain(parts)
            .find_map(|part| self.find_within(*part, pick, depth - 1))
    }
}
