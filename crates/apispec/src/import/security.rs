//! Security schemes, and the requirements that hold for an operation.

use serde_json::Value;

use super::{Generation, Importer, text};
use crate::error::SpecError;
use crate::model::{SchemeScope, SecurityRequirement, SecurityScheme};
use crate::pointer;

impl<'t> Importer<'t, '_> {
    fn scheme_folder(&self) -> (&'static str, Option<&'t Value>) {
        let root = self.tree.root();
        match self.generation {
            Generation::Swagger2 => ("/securityDefinitions", root.get("securityDefinitions")),
            Generation::OpenApi3 => {
                let folder = root.get("components").and_then(|all| all.get("securitySchemes"));
                ("/components/securitySchemes", folder)
            }
        }
    }

    pub(super) fn security_schemes(&mut self) -> Result<Vec<SecurityScheme>, SpecError> {
        let (at, folder) = self.scheme_folder();
        let mut schemes = Vec::new();
        for (name, value) in folder.and_then(Value::as_object).into_iter().flatten() {
            let at = pointer::join(at, name);
            let Some((value, _)) = self.follow(value, &at) else { continue };
            let kind = text(value, "type");
            if !is_known_kind(&kind) {
                self.notes.add(&at, "this kind of security scheme is not known");
            }
            let some = |member: &str| Some(text(value, member)).filter(|text| !text.is_empty());
            self.charge(size_of::<SecurityScheme>() + name.len(), &at)?;
            schemes.push(SecurityScheme {
                name: name.clone(),
                kind,
                location: some("in"),
                parameter: some("name"),
                scheme: some("scheme"),
                description: text(value, "description"),
                scopes: scheme_scopes(value),
            });
        }
        Ok(schemes)
    }

    /// The operation's requirements, else the document's; an empty list counts as absent.
    pub(super) fn security(
        &mut self,
        operation: &'t Value,
        at: &str,
    ) -> Result<Option<Vec<Vec<SecurityRequirement>>>, SpecError> {
        if let Some(own) = self.requirements(operation.get("security"), at)? {
            return Ok(Some(own));
        }
        self.requirements(self.tree.root().get("security"), "")
    }

    fn requirements(
        &mut self,
        list: Option<&'t Value>,
        at: &str,
    ) -> Result<Option<Vec<Vec<SecurityRequirement>>>, SpecError> {
        let at = pointer::join(at, "security");
        let Some(list) = list else { return Ok(None) };
        let Some(list) = list.as_array() else {
            self.notes.add(&at, "security must be a list");
            return Ok(None);
        };
        let mut alternatives = Vec::new();
        for (index, alternative) in list.iter().enumerate() {
            let at = format!("{at}/{index}");
            let Some(map) = alternative.as_object() else {
                self.notes.add(&at, "a security requirement must be a map");
                continue;
            };
            let mut requirements = Vec::new();
            for (scheme, scopes) in map {
                self.note_unknown_scheme(scheme, &at);
                let scopes = scopes.as_array().into_iter().flatten().filter_map(Value::as_str);
                let scopes: Vec<String> = scopes.map(str::to_owned).collect();
                let bytes: usize = scopes.iter().map(|scope| 24 + scope.len()).sum();
                self.charge(bytes + scheme.len() + size_of::<SecurityRequirement>(), &at)?;
                requirements.push(SecurityRequirement { scheme: scheme.clone(), scopes });
            }
            alternatives.push(requirements);
        }
        Ok((!alternatives.is_empty()).then_some(alternatives))
    }

    fn note_unknown_scheme(&mut self, scheme: &str, at: &str) {
        let (_, folder) = self.scheme_folder();
        if folder.is_none_or(|folder| folder.get(scheme).is_none()) {
            self.notes.add(at, &format!("the security scheme {scheme} is not defined"));
        }
    }
}

fn is_known_kind(kind: &str) -> bool {
    matches!(kind, "apiKey" | "http" | "oauth2" | "openIdConnect" | "mutualTLS" | "basic")
}

/// The scopes of all flows, or of the one flow of Swagger 2.0, each once.
fn scheme_scopes(scheme: &Value) -> Vec<SchemeScope> {
    let flows = scheme.get("flows").and_then(Value::as_object);
    let flow_scopes = flows.into_iter().flat_map(|flows| flows.values());
    let mut scopes: Vec<SchemeScope> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for holder in flow_scopes.chain(std::iter::once(scheme)) {
        for (name, description) in
            holder.get("scopes").and_then(Value::as_object).into_iter().flatten()
        {
            if seen.insert(name.as_str()) {
                let description = description.as_str().unwrap_or_default().to_owned();
                scopes.push(SchemeScope { name: name.clone(), description });
            }
        }
    }
    scopes
}
