//! Path templates of google.api.http: `/v1/{parent=shelves/*}/books/**:archive`.
//!
//! ```text
//! Template  = "/" [ Segments ] [ Verb ]
//! Segments  = Segment { "/" Segment }
//! Segment   = "*" | "**" | LITERAL | Variable
//! Variable  = "{" FieldPath [ "=" Segments ] "}"
//! FieldPath = IDENT { "." IDENT }
//! Verb      = ":" LITERAL
//! ```
//!
//! The grammar is that of google/api/http.proto, widened in two places as ESP's is: a template may be `/` alone, and
//! other segments may follow `**`, of which there is at most one. Literals are kept in the normal form of request paths.

use super::path;
use std::fmt;

/// More segments than any sensible API has; bounds the depth of the tree.
pub const MAX_SEGMENTS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub segments: Vec<Segment>,
    pub variables: Vec<Variable>,
    pub verb: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Literal(String),
    /// `*`: one segment.
    Single,
    /// `**`: any number of segments, also none.
    Multi,
}

/// A field that the segments `start..end` of the template bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Dotted.
    pub field: String,
    pub start: usize,
    pub end: usize,
}

/// What is wrong with a template, and where (bytes from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    pub column: usize,
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let template = Template { segments: Vec::new(), variables: Vec::new(), verb: None };
        let mut parser = Parser { text, at: 0, template };
        parser.template()?;
        Ok(parser.template)
    }

    /// Whether both match the same paths, whatever their variables are called.
    pub fn same_shape(&self, other: &Template) -> bool {
        self.segments == other.segments && self.verb == other.verb
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            f.write_str("/")?;
        }
        for (index, segment) in self.segments.iter().enumerate() {
            f.write_str("/")?;
            if let Some(variable) = self.variables.iter().find(|variable| variable.start == index) {
                write!(f, "{{{}", variable.field)?;
                if variable.end != index + 1 || *segment != Segment::Single {
                    f.write_str("=")?;
                }
            }
            match self.variables.iter().find(|variable| (variable.start..variable.end).contains(&index)) {
                Some(variable) if variable.end == variable.start + 1 && *segment == Segment::Single => {}
                _ => write!(f, "{segment}")?,
            }
            if self.variables.iter().any(|variable| variable.end == index + 1) {
                f.write_str("}")?;
            }
        }
        match &self.verb {
            Some(verb) => write!(f, ":{verb}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Segment::Literal(text) => text,
            Segment::Single => "*",
            Segment::Multi => "**",
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    template: Template,
}

impl<'a> Parser<'a> {
    fn template(&mut self) -> Result<(), TemplateError> {
        if !self.eat("/") {
            return Err(self.error("a template starts with `/`"));
        }
        if !self.rest().is_empty() {
            self.segments(false)?;
        }
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("expected `/`, `:` or the end")) }
    }

    fn segments(&mut self, in_variable: bool) -> Result<(), TemplateError> {
        loop {
            self.segment(in_variable)?;
            if self.template.segments.len() > MAX_SEGMENTS {
                return Err(self.error(&format!("more than {MAX_SEGMENTS} segments")));
            }
            if !self.eat("/") {
                return Ok(());
            }
        }
    }

    fn segment(&mut self, in_variable: bool) -> Result<(), TemplateError> {
        if self.rest().starts_with("**") {
            if self.template.segments.contains(&Segment::Multi) {
                return Err(self.error("a template has one `**` at most"));
            }
            self.at += 2;
            self.template.segments.push(Segment::Multi);
        } else if self.eat("*") {
            self.template.segments.push(Segment::Single);
        } else if self.rest().starts_with('{') {
            if in_variable {
                return Err(self.error("a variable within a variable"));
            }
            self.variable()?;
        } else {
            return self.literal(in_variable);
        }
        if !in_variable && self.eat(":") {
            let start = self.at;
            let verb = self.take(|c| !matches!(c, '/' | ':' | '{' | '}' | '*'));
            self.template.verb = Some(self.normal(verb, start, "verb")?);
        }
        Ok(())
    }

    fn variable(&mut self) -> Result<(), TemplateError> {
        self.eat("{");
        let begin = self.at;
        let field = self.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.').to_owned();
        let identifier = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !field.split('.').all(identifier) {
            return Err(TemplateError {
                column: begin + 1,
                message: "expected a field path such as `shelf.name`".into(),
            });
        }
        if self.template.variables.iter().any(|variable| variable.field == field) {
            return Err(TemplateError { column: begin + 1, message: format!("`{field}` is bound twice") });
        }
        let start = self.template.segments.len();
        if self.eat("=") {
            self.segments(true)?;
        } else {
            self.template.segments.push(Segment::Single);
        }
        if !self.eat("}") {
            return Err(self.error("expected `}`"));
        }
        let end = self.template.segments.len();
        self.template.variables.push(Variable { field, start, end });
        Ok(())
    }

    fn literal(&mut self, in_variable: bool) -> Result<(), TemplateError> {
        let start = self.at;
        let text = self.take(|c| !matches!(c, '/' | '{' | '}' | '*'));
        if matches!(self.rest().chars().next(), Some('{' | '*')) {
            return Err(self.error("a variable or wildcard takes a whole segment"));
        }
        let last = self.rest().is_empty() && !in_variable;
        let (name, verb) = match text.rsplit_once(':') {
            Some((name, verb)) if last => (name, Some(verb)),
            _ => (text, None),
        };
        let name = self.normal(name, start, "segment")?;
        self.template.segments.push(Segment::Literal(name));
        if let Some(verb) = verb {
            self.template.verb = Some(self.normal(verb, self.at - verb.len(), "verb")?);
        }
        Ok(())
    }

    fn normal(&self, text: &str, start: usize, what: &str) -> Result<String, TemplateError> {
        let at = |message: String| TemplateError { column: start + 1, message };
        if text.is_empty() {
            return Err(at(format!("an empty {what}")));
        }
        if text.contains('?') {
            return Err(at(format!("a `?` in a {what}")));
        }
        let target = format!("/{text}");
        let target = path::normalize(target.as_bytes()).map_err(|error| at(error.to_string()))?;
        match target.path.strip_prefix(b"/").map(std::str::from_utf8) {
            Some(Ok(text)) if !text.is_empty() && !text.contains('/') => Ok(text.to_owned()),
            _ => Err(at(format!("`{text}` is not a path {what}"))),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn error(&self, message: &str) -> TemplateError {
        TemplateError { column: self.at + 1, message: message.to_owned() }
    }
}
